// What the matcher offers: its engine, the folders command, and the parts that can be used alone.
export { MatcherError, type MatcherErrorCode } from './errors.ts';
export { type FolderMatch, type FolderOptions, type FolderResult, matchFolders } from './folders/folders.ts';
export { matcherEngine } from './service/engine.ts';
