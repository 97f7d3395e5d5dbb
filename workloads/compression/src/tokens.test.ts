import fc from 'fast-check';
import { countTokens as cl100k } from 'gpt-tokenizer/encoding/cl100k_base';
import { countTokens as o200k } from 'gpt-tokenizer/encoding/o200k_base';
import { countTokens as p50k } from 'gpt-tokenizer/encoding/p50k_base';
import { countTokens as r50k } from 'gpt-tokenizer/encoding/r50k_base';
import { describe, expect, test } from 'vitest';
import { tokenizer } from './tokens.ts';

const asText = { disallowedSpecial: new Set<string>() };
const unicode = fc.string({ unit: 'binary', maxLength: 200 });
const repeated = fc
  .tuple(
    fc.constantFrom('a', 'ab', 'Hello', '漢字', '=', 'é', '\u{1f600}', 'مرحبا', '\ud800'),
    fc.integer({ min: 1, max: 60 }),
  )
  .map(([part, times]) => part.repeat(times));

describe('token counts', () => {
  test('equal those of gpt-tokenizer for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 300 }), unicode, repeated), (text) => {
        expect(tokenizer('o200k_base').count(text)).toBe(o200k(text, asText));
        expect(tokenizer('cl100k_base').count(text)).toBe(cl100k(text, asText));
        expect(tokenizer('p50k_base').count(text)).toBe(p50k(text, asText));
        expect(tokenizer('r50k_base').count(text)).toBe(r50k(text, asText));
      }),
      { numRuns: 300 },
    );
  });

  test('spans that tile a text add up to its count', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 300 }), unicode), fc.array(fc.nat(300)), (text, cuts) => {
        const map = tokenizer('o200k_base').map(text);
        const bounds = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
        let sum = 0;
        for (let i = 1; i < bounds.length; i++) sum += map.between(bounds[i - 1] as number, bounds[i] as number);
        expect(sum).toBe(map.total);
        expect(map.total).toBe(tokenizer('o200k_base').count(text));
      }),
    );
  });

  test('special tokens written in a text are ordinary text', () => {
    expect(tokenizer('o200k_base').count('<|endoftext|>')).toBeGreaterThan(1);
  });

  test('a run of a million letters is counted without a quadratic step', () => {
    expect(tokenizer('o200k_base').count('q'.repeat(1_000_000))).toBeGreaterThan(1000);
    expect(tokenizer('o200k_base').count('漢'.repeat(200_000))).toBeGreaterThan(1000);
  });
});
