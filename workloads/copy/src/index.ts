// The copy engine as a library: briefs and their checks, templates, models, and the service.
export { type Brief, brief, messagesFor } from './brief/brief.ts';
export { type Check, checksOf, orderIn, type Rules, readingEase, similarity } from './brief/checks.ts';
export { ranked, type Scored, scored } from './brief/rank.ts';
export { type Prompts, parseTemplate, readPrompts, realised, type Template } from './brief/template.ts';
export { type LocalOptions, writeLocally } from './local.ts';
export type { Ended, Prompt, Sampling, TextModel, TextRequest } from './models/model.ts';
export { type CopyOptions, copyEngine } from './service/engine.ts';
export type { CopyAnswer } from './service/writer.ts';
