// The tokenizer of a mounted model, from the tokenizer.json beside it: words into the model's tokens, in windows it can take.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { QuintetError } from '../errors.ts';

/** Tokens of one run of the model, the special ones at both ends included. */
export interface Window {
  readonly ids: readonly number[];
  /** Which word each token is of; −1 for special ones. */
  readonly words: Int32Array;
}

export interface ModelTokens {
  /** Words in windows of at most `length` tokens; a word longer than a window is cut. */
  windows(text: string, words: readonly { readonly start: number; readonly end: number }[]): Generator<Window>;
}

const special = -1;
const longestWindow = 512;

/** The JSON files beside a model, by name: tokenizer.json, and where there are, tokenizer_config.json and config.json. */
export type TokenizerFiles = Readonly<Record<string, string>>;

/** @throws MODEL_MISSING */
export function tokenizerFilesIn(folder: string): TokenizerFiles {
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const files: Record<string, string> = {};
  try {
    files['tokenizer.json'] = read('tokenizer.json');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new QuintetError('MODEL_MISSING', { uri: `file:${join(folder, 'tokenizer.json')}`, reason });
  }
  for (const name of ['tokenizer_config.json', 'config.json']) {
    try {
      files[name] = read(name);
    } catch {
      // They say little that tokenizer.json does not.
    }
  }
  return files;
}

/** @throws MODEL_INVALID */
export function modelTokens(files: TokenizerFiles): ModelTokens {
  const tokenizer = open(files);
  const length = windowLength(files);
  const [before, after] = specialTokens(tokenizer);
  const room = length - before.length - after.length;
  if (room < 1) throw new QuintetError('MODEL_INVALID', { reason: 'the special tokens fill a window' });
  const known = new Map<string, readonly number[]>();
  /** Words alone, as a sentence would have them: most tokenizers split at white space first. */
  const idsOf = (word: string): readonly number[] => {
    if (word === '') return [];
    const found = known.get(word);
    if (found) return found;
    const all: number[] = tokenizer.encode(word, { add_special_tokens: false }).ids;
    const ids = all.slice(0, room);
    if (known.size >= 50_000) known.clear();
    known.set(word, ids);
    return ids;
  };
  return {
    *windows(text, words) {
      let ids: number[] = [];
      let owners: number[] = [];
      const take = (): Window => {
        const window = {
          ids: [...before, ...ids, ...after],
          words: Int32Array.from([...before.map(() => special), ...owners, ...after.map(() => special)]),
        };
        ids = [];
        owners = [];
        return window;
      };
      let at = 0;
      for (const [index, { start, end }] of words.entries()) {
        // Marks between words belong to no word, but the model reads them.
        const marks = idsOf(text.slice(at, start).trim().slice(0, 16));
        const next = idsOf(text.slice(start, end));
        at = end;
        if (ids.length > 0 && ids.length + marks.length + next.length > room) yield take();
        for (const id of marks.slice(0, room - next.length)) {
          ids.push(id);
          owners.push(special);
        }
        for (const id of next) {
          ids.push(id);
          owners.push(index);
        }
      }
      if (ids.length > 0) yield take();
    },
  };
}

function open(files: TokenizerFiles): Tokenizer {
  try {
    const [model, config] = [files['tokenizer.json'] ?? '', files['tokenizer_config.json'] ?? '{}'];
    return new Tokenizer(JSON.parse(model) as object, JSON.parse(config) as object);
  } catch (error) {
    throw new QuintetError('MODEL_INVALID', { reason: `tokenizer.json is no tokenizer: ${(error as Error).message}` });
  }
}

/** As config.json says, at most 512. */
function windowLength(files: TokenizerFiles): number {
  try {
    const { max_position_embeddings: most } = JSON.parse(files['config.json'] ?? '{}') as Record<string, unknown>;
    return typeof most === 'number' && most > 8 ? Math.min(longestWindow, most) : longestWindow;
  } catch {
    return longestWindow;
  }
}

/** What the tokenizer puts before and after a text, such as [CLS] and [SEP]. */
function specialTokens(tokenizer: Tokenizer): [number[], number[]] {
  const bare: number[] = tokenizer.encode('a', { add_special_tokens: false }).ids;
  const full: number[] = tokenizer.encode('a').ids;
  const at = full.findIndex((_, i) => bare.every((id, k) => full[i + k] === id));
  return at < 0 ? [[], []] : [full.slice(0, at), full.slice(at + bare.length)];
}
