// What of the source the output still says: numbers, names and negations kept, terms covered, the query answered.
import type { Document } from './document.ts';
import type { StrategyOutput } from './strategy.ts';
import { scanWords, wordKind } from './words.ts';

/** Shares from 0 to 1, of distinct things; 1 where the source has none. */
export interface Fidelity {
  readonly numbers: number;
  readonly names: number;
  readonly identifiers: number;
  readonly negations: number;
  /** Of the words that are not function words. */
  readonly terms: number;
  /** Of the query's terms that the source has at all. */
  readonly query?: number;
  /** Cosine of the embeddings of text and output, where an embedding model is mounted. */
  readonly similarity?: number;
  /** One figure to compare strategies by: the mean of the shares, the query counted four times. */
  readonly score: number;
}

export function fidelityOf({ words }: Document, output: StrategyOutput, query: string): Fidelity {
  const kept = new Uint8Array(words.vocabulary.length);
  let next = 0;
  for (const span of output.spans) {
    while (next < words.count && (words.start[next] as number) < span.start) next++;
    for (; next < words.count && (words.start[next] as number) < span.end; next++) {
      if (span.kept) kept[words.id[next] as number] = 1;
    }
  }
  const kinds = new Uint8Array(words.vocabulary.length);
  for (let i = 0; i < words.count; i++) {
    const id = words.id[i] as number;
    kinds[id] = (kinds[id] as number) | (words.kind[i] as number);
  }
  const share = (wanted: (kind: number) => boolean): number => {
    let all = 0;
    let found = 0;
    for (let id = 0; id < kinds.length; id++) {
      if (!wanted(kinds[id] as number)) continue;
      all++;
      found += kept[id] as number;
    }
    return all === 0 ? 1 : round(found / all);
  };
  const shares = {
    numbers: share((kind) => (kind & wordKind.number) !== 0),
    names: share((kind) => (kind & wordKind.name) !== 0),
    identifiers: share((kind) => (kind & wordKind.identifier) !== 0),
    negations: share((kind) => (kind & wordKind.negation) !== 0),
    terms: share((kind) => (kind & wordKind.stop) === 0),
  };
  const asked = queryShare(words.numbers, kept, query);
  const parts = Object.values(shares);
  const sum = parts.reduce((a, b) => a + b, 0) + (asked === undefined ? 0 : asked * 4);
  const score = round(sum / (parts.length + (asked === undefined ? 0 : 4)));
  return { ...shares, ...(asked !== undefined && { query: asked }), score };
}

function queryShare(numbers: ReadonlyMap<string, number>, kept: Uint8Array, query: string): number | undefined {
  if (!query) return undefined;
  const scan = scanWords(query);
  const ids = new Set<number>();
  for (let i = 0; i < scan.count; i++) {
    if ((scan.kind[i] as number) & wordKind.stop) continue;
    const id = numbers.get(scan.vocabulary[scan.id[i] as number] as string);
    if (id !== undefined) ids.add(id);
  }
  if (ids.size === 0) return undefined;
  let found = 0;
  for (const id of ids) found += kept[id] as number;
  return round(found / ids.size);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
