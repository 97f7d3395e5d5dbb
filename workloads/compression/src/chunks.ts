// A text in parts whose borders depend on its content, so that a change leaves all other parts as they were: compressing the
// changed text again redoes only the parts that differ. Also how results of parts become the result of the whole.
import type { Compressed } from './compress.ts';
import { linesOf } from './segment/sentences.ts';

const fewestCharacters = 3000;
const mostCharacters = 24_000;

export interface Chunk {
  readonly start: number;
  readonly text: string;
}

/** Parts that tile the text. A part ends after a line that is blank or hashes to one in eight, once it is long enough. */
export function chunksOf(text: string): Chunk[] {
  const chunks: Chunk[] = [];
  let start = 0;
  for (const line of linesOf(text)) {
    const length = line.end - start;
    if (length < fewestCharacters) continue;
    if (length < mostCharacters && line.length > 0 && hash(text, line.start, line.end) % 8 !== 0) continue;
    chunks.push({ start, text: text.slice(start, line.end) });
    start = line.end;
  }
  if (start < text.length) chunks.push({ start, text: text.slice(start) });
  return chunks;
}

/** Results of all parts in order, as one: texts joined, spans moved to their places, shares weighted by tokens. */
export function joined(
  chunks: readonly Chunk[],
  results: readonly Compressed[],
): Pick<Compressed, 'text' | 'spans' | 'originalTokens' | 'compressedTokens' | 'ratio'> {
  const originalTokens = results.reduce((sum, each) => sum + each.originalTokens, 0);
  const compressedTokens = results.reduce((sum, each) => sum + each.compressedTokens, 0);
  return {
    text: results.map((each) => each.text).join(''),
    spans: results.flatMap((each, i) => {
      const { start } = chunks[i] as Chunk;
      return each.spans.map((span) => ({ ...span, start: span.start + start, end: span.end + start }));
    }),
    originalTokens,
    compressedTokens,
    ratio: originalTokens / Math.max(compressedTokens, 1),
  };
}

/** FNV-1a. */
function hash(text: string, start: number, end: number): number {
  let value = 0x811c9dc5;
  for (let i = start; i < end; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
