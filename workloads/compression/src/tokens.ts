// Exact token counts with the byte-pair ranks of npm gpt-tokenizer, and how many tokens any span of a text holds.
//
// gpt-tokenizer merges a piece by scanning all its pairs after each merge, which is quadratic: 100 000 letters without a
// space would hang a server. Here long pieces are merged with a heap (n log n); the result is the same (see the tests).
import { createRequire } from 'node:module';

export const tokenizerNames = ['o200k_base', 'cl100k_base', 'p50k_base', 'r50k_base'] as const;
export type TokenizerName = (typeof tokenizerNames)[number];

export interface Tokenizer {
  readonly name: TokenizerName;
  /** Tokens of `text` as a whole; special tokens written in it count as ordinary text. */
  count(text: string): number;
  /** Reads the text once; `TokenMap.between` then answers for any span. */
  map(text: string): TokenMap;
}

/** Cumulated tokens at the end of each pre-token of one text. */
export interface TokenMap {
  readonly total: number;
  /** Tokens of the pre-tokens that end in (start, end]: spans that tile the text add up to `total` exactly. */
  between(start: number, end: number): number;
}

const loaded = new Map<TokenizerName, Tokenizer>();

/** The tokenizer of that name, loaded once per process. */
export function tokenizer(name: TokenizerName): Tokenizer {
  let found = loaded.get(name);
  if (!found) loaded.set(name, (found = load(name)));
  return found;
}

type Ranks = readonly (string | readonly number[] | undefined)[];

const splitPatterns: Record<TokenizerName, string> = {
  o200k_base: 'O200K_TOKEN_SPLIT_REGEX',
  cl100k_base: 'CL100K_TOKEN_SPLIT_REGEX',
  p50k_base: 'R50K_TOKEN_SPLIT_REGEX',
  r50k_base: 'R50K_TOKEN_SPLIT_REGEX',
};

function load(name: TokenizerName): Tokenizer {
  const require = createRequire(import.meta.url);
  const ranks = (require(`gpt-tokenizer/cjs/bpeRanks/${name}`) as { default: Ranks }).default;
  const patterns = require('gpt-tokenizer/cjs/encodingParams/constants') as Record<string, RegExp>;
  const pattern = patterns[splitPatterns[name]];
  if (!pattern) throw new Error(`gpt-tokenizer has no split pattern for ${name}`);
  return new BytePairs(name, ranks, pattern);
}

/** Bounds on what is remembered of pieces already merged, in pieces and in characters. */
const cachedPieces = 50_000;
const cachedCharacters = 4_000_000;

class BytePairs implements Tokenizer {
  readonly name: TokenizerName;
  readonly #pattern: RegExp;
  /** Rank by text, for tokens that are valid UTF-8. */
  readonly #byText = new Map<string, number>();
  readonly #ranks: Ranks;
  /** Rank by bytes written as Latin-1; only pieces that are no token need it, so it is built on first use. */
  #byBytes: Map<string, number> | undefined;
  readonly #cache = new Map<string, number>();
  #characters = 0;

  constructor(name: TokenizerName, ranks: Ranks, pattern: RegExp) {
    this.name = name;
    this.#pattern = pattern;
    this.#ranks = ranks;
    ranks.forEach((value, rank) => {
      if (typeof value === 'string') this.#byText.set(value, rank);
    });
  }

  count(text: string): number {
    let total = 0;
    for (const [piece] of text.matchAll(this.#pattern)) total += this.#countPiece(piece);
    return total;
  }

  map(text: string): TokenMap {
    const cumulated = new Uint32Array(text.length + 1);
    let total = 0;
    let at = 0;
    for (const match of text.matchAll(this.#pattern)) {
      const end = match.index + match[0].length;
      cumulated.fill(total, at, end);
      total += this.#countPiece(match[0]);
      at = end;
    }
    cumulated.fill(total, at);
    return { total, between: (start, end) => (cumulated[end] ?? total) - (cumulated[start] ?? total) };
  }

  #countPiece(piece: string): number {
    if (this.#byText.has(piece)) return 1;
    const known = this.#cache.get(piece);
    if (known !== undefined) return known;
    const tokens = this.#merge(Buffer.from(piece, 'utf8').toString('latin1'));
    if (piece.length > cachedCharacters) return tokens;
    this.#characters += piece.length;
    if (this.#cache.size >= cachedPieces || this.#characters > cachedCharacters) {
      this.#cache.clear();
      this.#characters = piece.length;
    }
    this.#cache.set(piece, tokens);
    return tokens;
  }

  /** Merges the lowest-ranked neighbours (leftmost first among equals) until none can be; returns how many parts remain. */
  #merge(bytes: string): number {
    const ranks = (this.#byBytes ??= indexByBytes(this.#ranks));
    const next = new Int32Array(bytes.length + 1);
    const previous = new Int32Array(bytes.length + 1);
    for (let i = 0; i <= bytes.length; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    const rankAt = (start: number): number => {
      const middle = next[start] as number;
      if (middle >= bytes.length) return -1;
      return ranks.get(bytes.slice(start, next[middle])) ?? -1;
    };
    // Keys order by rank, then position; a key whose pair has changed since is recognised by its rank and skipped.
    const heap = new NumberHeap();
    const scale = bytes.length + 1;
    const push = (start: number): void => {
      const rank = rankAt(start);
      if (rank >= 0) heap.push(rank * scale + start);
    };
    for (let i = 0; i < bytes.length; i++) push(i);
    let parts = bytes.length;
    const gone = new Uint8Array(bytes.length + 1);
    for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
      const start = key % scale;
      if (gone[start] || rankAt(start) !== Math.floor(key / scale)) continue;
      const middle = next[start] as number;
      const after = next[middle] as number;
      gone[middle] = 1;
      next[start] = after;
      previous[after] = start;
      parts--;
      push(start);
      const before = previous[start] as number;
      if (before >= 0) push(before);
    }
    return parts;
  }
}

function indexByBytes(ranks: Ranks): Map<string, number> {
  const index = new Map<string, number>();
  ranks.forEach((value, rank) => {
    if (value === undefined) return;
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value);
    index.set(bytes.toString('latin1'), rank);
  });
  return index;
}

class NumberHeap {
  readonly #items: number[] = [];

  push(value: number): void {
    const items = this.#items;
    let at = items.length;
    items.push(value);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if ((items[up] as number) <= value) break;
      items[at] = items[up] as number;
      at = up;
    }
    items[at] = value;
  }

  pop(): number | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (items.length === 0 || last === undefined) return top;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && (items[child + 1] as number) < (items[child] as number)) child++;
      if ((items[child] as number) >= last) break;
      items[at] = items[child] as number;
      at = child;
    }
    items[at] = last;
    return top;
  }
}
