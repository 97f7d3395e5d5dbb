import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Chances } from './model.ts';
import { written } from './written.ts';

/** One token for each byte, as the worst tokenizers have. */
const decode = (tokens: readonly number[]) => Buffer.from(tokens).toString();

function textOf(bytes: readonly number[], stops: readonly string[] = [], chances?: Chances) {
  const out = written(stops, decode, chances);
  let text = '';
  for (const byte of bytes) {
    const { text: piece, stopped } = out.push(byte, { token: String(byte), logprob: -1, top: [] });
    expect(piece).toBe(piece.toWellFormed());
    text += piece;
    if (stopped) return text;
  }
  return text + out.end();
}

test('characters of several tokens come whole', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(textOf([...Buffer.from(text)])).toBe(text);
    }),
  );
});

test('bytes that are no text become replacement characters, never an error, and hold nothing up', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = textOf([...bytes, 0x41, 0x42]);
      expect(text.endsWith('AB')).toBe(true);
    }),
  );
});

test('each token is told with its chance once its text is, those of the stop text are not', () => {
  const all: Chances = { top: 0, tokens: [] };
  expect(textOf([...Buffer.from('né so')], [' s'], all)).toBe('né');
  expect(all.tokens.map(({ token, offset }) => [Number(token), offset])).toEqual([
    [0x6e, 0],
    [0xc3, 1],
    [0xa9, 1],
  ]);
  const whole: Chances = { top: 0, tokens: [] };
  textOf([...Buffer.from('so it')], [' its'], whole);
  expect(whole.tokens).toHaveLength(5);
});
