import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Chunk, chunker, chunksOf, joined, mostCharacters } from './chunks.ts';
import { compress } from './compress.ts';
import { textOfSpans } from './render.ts';

const texts = fc.oneof(
  fc
    .constantFrom('a', ' ', 'The same line.\n', '今天', '😀', 'One sentence. ', '\n')
    .chain((piece) => fc.nat(60_000).map((length) => piece.repeat(Math.ceil(length / piece.length)))),
  fc
    .array(fc.stringMatching(/^[a-z .]{0,90}$/), { maxLength: 900 })
    .map((lines) => lines.map((line, i) => `${line}${i}\n`).join('')),
);

function pieces(text: string, sizes: readonly number[]): string[] {
  const all: string[] = [];
  for (let at = 0, i = 0; at < text.length; i++) {
    const size = (sizes[i % sizes.length] as number) + 1;
    all.push(text.slice(at, at + size));
    at += size;
  }
  return all;
}

describe('parts of a text', () => {
  test('tile it, and none is longer than the limit', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const chunks = chunksOf(text);
        expect(chunks.map((each) => each.text).join('')).toBe(text);
        let at = 0;
        for (const chunk of chunks) {
          expect(chunk.start).toBe(at);
          expect(chunk.text.length).toBeLessThanOrEqual(mostCharacters);
          expect(chunk.text).not.toMatch(/[\ud800-\udbff]$/);
          at += chunk.text.length;
        }
      }),
      { numRuns: 60 },
    );
  });

  test('are the same however the text is split into messages, with less than one part held back', () => {
    fc.assert(
      fc.property(texts, fc.array(fc.nat(9000), { minLength: 1, maxLength: 12 }), (text, sizes) => {
        const split = chunker();
        const found: Chunk[] = [];
        let given = 0;
        for (const piece of pieces(text, sizes)) {
          found.push(...split.push(piece));
          given += piece.length;
          const out = found.reduce((sum, each) => sum + each.text.length, 0);
          expect(given - out).toBeLessThan(mostCharacters);
        }
        expect([...found, ...split.end()]).toEqual(chunksOf(text));
      }),
      { numRuns: 60 },
    );
  });

  test('a million one-character messages without a line end cost no more than their sum', { timeout: 60_000 }, () => {
    const split = chunker();
    let found = 0;
    for (let i = 0; i < 1_000_000; i++) found += split.push(' ').length;
    expect(found).toBeGreaterThan(1_000_000 / mostCharacters - 1);
  });

  test('a change in one place leaves the other parts as they were', () => {
    const lines = Array.from({ length: 3000 }, (_, i) => `Line ${i} of the register, as it was filed.\n`);
    const before = chunksOf(lines.join(''));
    lines[1500] = 'Another line.\n';
    const kept = new Set(before.map(({ text }) => text));
    const after = chunksOf(lines.join(''));
    expect(after.filter(({ text }) => !kept.has(text)).length).toBeLessThanOrEqual(2);
  });
});

test('results of parts join to one result that tiles the whole text, with rate, fidelity and timing', () => {
  const text = Array.from({ length: 900 }, (_, i) => `Shelf ${i % 7} holds the file of case ${i * 31}.\n`).join('');
  const chunks = chunksOf(text);
  const results = chunks.map((chunk) => compress({ text: chunk.text, ratio: 8 }));
  const whole = joined(chunks, results);
  expect(chunks.length).toBeGreaterThan(2);
  expect(textOfSpans(text, whole.spans)).toBe(whole.text);
  expect(whole.rate).toMatchObject({ met: true });
  expect(whole.rate.requested).toBeCloseTo(8, 0);
  expect(whole.fidelity?.numbers).toBeGreaterThan(0);
  expect(whole.timing.total).toBeGreaterThan(0);
});
