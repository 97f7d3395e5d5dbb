// A text read once for all strategies: units that tile it, what each costs in tokens, and which terms it holds. Terms are
// kept as one sparse matrix (units × terms), so that ranking is linear in the number of words.
import type { ContentType } from './detect.ts';
import { segment } from './segment/index.ts';
import type { Tokenizer, TokenMap } from './tokens.ts';
import type { Unit } from './unit.ts';
import { factKinds, scanWords, type Words, wordKind } from './words.ts';

export interface Document {
  readonly text: string;
  readonly type: ContentType;
  readonly tokenizer: Tokenizer;
  readonly map: TokenMap;
  readonly units: readonly Unit[];
  /** Tokens of each unit. */
  readonly cost: Uint32Array;
  readonly words: Words;
  /** Words of unit u: firstWord[u] up to firstWord[u + 1]. */
  readonly firstWord: Uint32Array;
  readonly terms: TermMatrix;
  /** Whether markers say what they stand for. */
  readonly addressed: boolean;
}

/** Distinct terms of unit u: ids[row[u]] … ids[row[u + 1] − 1], each with how often it stands there and what it is. */
export interface TermMatrix {
  readonly row: Uint32Array;
  readonly ids: Uint32Array;
  readonly counts: Uint16Array;
  readonly kinds: Uint8Array;
  /** In how many units a term occurs. */
  readonly frequency: Uint32Array;
}

export function readDocument(
  text: string,
  type: ContentType,
  tokenizer: Tokenizer,
  grain: number,
  addressed = false,
): Document {
  const map = tokenizer.map(text);
  const units = segment(text, type, map, grain);
  const words = scanWords(text);
  const cost = new Uint32Array(units.length);
  const firstWord = new Uint32Array(units.length + 1);
  let word = 0;
  units.forEach((unit, index) => {
    cost[index] = map.between(unit.start, unit.end);
    while (word < words.count && (words.start[word] as number) < unit.start) word++;
    firstWord[index] = word;
  });
  firstWord[units.length] = words.count;
  return { text, type, tokenizer, map, units, cost, words, firstWord, terms: termMatrix(words, firstWord), addressed };
}

function termMatrix(words: Words, firstWord: Uint32Array): TermMatrix {
  const unitCount = firstWord.length - 1;
  const row = new Uint32Array(unitCount + 1);
  const ids = new Uint32Array(words.count);
  const counts = new Uint16Array(words.count);
  const kinds = new Uint8Array(words.count);
  const frequency = new Uint32Array(words.vocabulary.length);
  /** Where the term was last put, valid when it lies in the current row. */
  const slot = new Uint32Array(words.vocabulary.length);
  let next = 0;
  for (let unit = 0; unit < unitCount; unit++) {
    row[unit] = next;
    for (let i = firstWord[unit] as number; i < (firstWord[unit + 1] as number); i++) {
      const kind = words.kind[i] as number;
      if (kind & wordKind.stop && !(kind & factKinds)) continue;
      const id = words.id[i] as number;
      const known = slot[id] as number;
      if (known >= (row[unit] as number) && known < next && ids[known] === id) {
        if ((counts[known] as number) < 65_535) counts[known] = (counts[known] as number) + 1;
        kinds[known] = (kinds[known] as number) | kind;
        continue;
      }
      slot[id] = next;
      ids[next] = id;
      counts[next] = 1;
      kinds[next] = kind;
      frequency[id] = (frequency[id] as number) + 1;
      next++;
    }
  }
  row[unitCount] = next;
  return {
    row,
    ids: ids.subarray(0, next),
    counts: counts.subarray(0, next),
    kinds: kinds.subarray(0, next),
    frequency,
  };
}
