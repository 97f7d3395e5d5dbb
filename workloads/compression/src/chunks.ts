// A text in parts whose borders depend on its content, so that a change leaves all other parts as they were: compressing the
// changed text again redoes only the parts that differ. Also how results of parts become the result of the whole.
import type { Compressed } from './compress.ts';
import type { Fidelity } from './fidelity.ts';
import { isSpace } from './segment/sentences.ts';

const fewestCharacters = 3000;
/** No part is longer, whatever the text is: a text without lines is cut after a sentence, else a word, else a character. */
export const mostCharacters = 24_000;

export interface Chunk {
  readonly start: number;
  readonly text: string;
}

export interface Chunker {
  /** More of the text, and the parts that became whole by it. Fewer than `mostCharacters` are held back. */
  push(text: string): Chunk[];
  /** What was held back, as the last part; empty when nothing was. */
  end(): Chunk[];
}

/** Parts that tile the text. A part ends after a line that is blank or hashes to one in eight, once it is long enough. */
export function chunksOf(text: string): Chunk[] {
  const chunks = chunker();
  return [...chunks.push(text), ...chunks.end()];
}

/** As `chunksOf`, of a text that comes piece by piece: however it is split, the parts are the same. Linear in the text. */
export function chunker(): Chunker {
  let start = 0;
  let held = '';
  let line = emptyLine();
  const take = (text: string, found: Chunk[]): void => {
    let from = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      line.hash = Math.imul(line.hash ^ code, 0x01000193);
      line.blank &&= isSpace(code);
      const length = held.length + at + 1 - from;
      const ends = code === 10 && length >= fewestCharacters && (line.blank || (line.hash >>> 0) % 8 === 0);
      if (code === 10) line = emptyLine();
      if (!ends && length < mostCharacters) continue;
      const part = held + text.slice(from, at + 1);
      const to = ends ? part.length : lastBorder(part);
      found.push({ start, text: part.slice(0, to) });
      start += to;
      from = at + 1;
      held = '';
      // The rest begins a part of its own, as if it had come now.
      line = emptyLine();
      if (to < part.length) take(part.slice(to), found);
    }
    held += text.slice(from);
  };
  return {
    push: (text) => {
      const found: Chunk[] = [];
      take(text, found);
      return found;
    },
    end: () => (held === '' ? [] : [{ start, text: held }]),
  };
}

const emptyLine = (): { hash: number; blank: boolean } => ({ hash: 0x811c9dc5, blank: true });

/** The last end of a line, a sentence or a word in the last third, else the end; never inside a character. */
function lastBorder(part: string): number {
  const floor = Math.floor((mostCharacters * 2) / 3);
  for (const ends of [/\n/, /[.!?。！？｡]/, /\s/]) {
    for (let at = part.length; at > floor; at--) {
      if (ends.test(part[at - 1] as string) && (at === part.length || !ends.test(part[at] as string))) return at;
    }
  }
  const last = part.charCodeAt(part.length - 1);
  return last >= 0xd800 && last < 0xdc00 ? part.length - 1 : part.length;
}

/** Results of all parts in order, as one: texts joined, spans moved to their places, shares weighted by tokens. */
export function joined(
  chunks: readonly Chunk[],
  results: readonly Compressed[],
): Pick<
  Compressed,
  'text' | 'spans' | 'originalTokens' | 'compressedTokens' | 'ratio' | 'rate' | 'timing' | 'fidelity'
> {
  const sum = (of: (each: Compressed) => number): number => results.reduce((all, each) => all + of(each), 0);
  const originalTokens = sum((each) => each.originalTokens);
  const compressedTokens = sum((each) => each.compressedTokens);
  const fidelity = meanFidelity(results);
  return {
    text: results.map((each) => each.text).join(''),
    spans: results.flatMap((each, i) => {
      const { start } = chunks[i] as Chunk;
      return each.spans.map((span) => ({ ...span, start: span.start + start, end: span.end + start }));
    }),
    originalTokens,
    compressedTokens,
    ratio: originalTokens / Math.max(compressedTokens, 1),
    rate: rateOf(results, originalTokens, compressedTokens),
    ...(fidelity && { fidelity }),
    timing: {
      analyse: sum((each) => each.timing.analyse),
      compress: sum((each) => each.timing.compress),
      total: sum((each) => each.timing.total),
    },
  };
}

function rateOf(results: readonly Compressed[], original: number, compressed: number): Compressed['rate'] {
  const asked = results.reduce((all, each) => all + each.originalTokens / Math.max(each.rate.requested, 1), 0);
  const requested = Math.max(1, original / Math.max(asked, 1));
  const reached = original / Math.max(compressed, 1);
  // One token is more than 5 % of a short part.
  const met = Math.abs(compressed - asked) <= Math.max(asked * 0.05, results.length);
  if (met || results.every((each) => each.rate.met)) return { requested, reached, met: true };
  return { requested, reached, met: false, reason: `parts have no smaller whole; ${reached.toFixed(2)} was reachable` };
}

function meanFidelity(results: readonly Compressed[]): Fidelity | undefined {
  const measured = results.flatMap(({ fidelity, originalTokens }) => (fidelity ? [{ fidelity, originalTokens }] : []));
  const [first] = measured;
  if (!first || measured.length < results.length) return undefined;
  const mean = (of: (each: Fidelity) => number | undefined): number => {
    let weight = 0;
    let all = 0;
    for (const { fidelity, originalTokens } of measured) {
      const value = of(fidelity);
      if (value === undefined) continue;
      weight += Math.max(originalTokens, 1);
      all += value * Math.max(originalTokens, 1);
    }
    return Math.round((all / Math.max(weight, 1)) * 1000) / 1000;
  };
  const names = new Set(measured.flatMap(({ fidelity }) => Object.keys(fidelity) as (keyof Fidelity)[]));
  return Object.fromEntries([...names].map((name) => [name, mean((each) => each[name])])) as unknown as Fidelity;
}
