// Files that a person names: read whole, or refused in their words.
import { readFileSync, statSync } from 'node:fs';
import { InvalidResourceError } from '@quintet/crds';

/** Throws `InvalidResourceError` where there is none, or it has more bytes than such a `thing` may have. */
export function readTextFile(file: string, mostMiB: number, thing: string): string {
  try {
    if (statSync(file).size > mostMiB * 2 ** 20) throw new Error(`more than ${mostMiB} MiB is no ${thing}`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(error as NodeJS.ErrnoException, file);
  }
}

/** Throws `InvalidResourceError` where `path` is no folder. */
export function checkFolder(path: string): void {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (error) {
    throw unreadable(error as NodeJS.ErrnoException, path);
  }
  if (!isFolder) throw new InvalidResourceError([{ path: [], message: 'is a file, not a folder', file: path }]);
}

function unreadable({ code, message }: NodeJS.ErrnoException, file: string): InvalidResourceError {
  const messages: Record<string, string> = {
    ENOENT: 'there is no such file or folder',
    ENOTDIR: 'there is no such file or folder',
    EISDIR: 'is a folder, not a file',
    EACCES: 'may not be read',
  };
  return new InvalidResourceError([{ path: [], message: messages[code ?? ''] ?? message, file }]);
}
