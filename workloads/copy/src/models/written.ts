// Tokens become text: whole characters only, up to the first stop text, and where it is asked for with the chance of each token.
import { heldChances } from './chances.ts';
import type { Chances, TokenChance } from './model.ts';
import { stopScanner } from './stops.ts';

export interface Written {
  /** What may be passed on after one more token; `stopped` once a stop text came. */
  push: (token: number, chance?: Omit<TokenChance, 'offset'>) => { text: string; stopped: boolean };
  /** What was held back, when the text has ended without a stop text. */
  end: () => string;
}

/** The text of tokens, given those before them. */
export type Decode<T extends number> = (tokens: readonly T[], before: readonly T[]) => string;

/** A character has at most four bytes, and so at most four tokens. */
const longestCharacter = 4;
/** Tokens before a piece that can change its text, such as whether it begins with a space. */
const lookBehind = 16;

/** @param chances Gets the chance of each token once its text is passed on; those of a stop text are left out. */
export function written<T extends number>(stops: readonly string[], decode: Decode<T>, chances?: Chances): Written {
  const scanner = stopScanner(stops);
  const held = heldChances(chances);
  let before: T[] = [];
  let pending: T[] = [];
  let [read, passed] = [0, 0];
  return {
    push: (token, chance) => {
      if (chance) held.add({ ...chance, offset: read });
      pending.push(token as T);
      const text = decode(pending, before);
      // Not yet a whole character.
      if (text.endsWith('\uFFFD') && pending.length < longestCharacter) return { text: '', stopped: false };
      before = [...before, ...pending].slice(-lookBehind);
      pending = [];
      read += text.length;
      const result = scanner.push(text);
      passed += result.text.length;
      held.release(passed);
      return result;
    },
    end: () => {
      const rest = scanner.end();
      held.release(Number.POSITIVE_INFINITY);
      return rest;
    },
  };
}
