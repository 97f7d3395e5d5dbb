import { describe, expect, test } from 'vitest';
import { compress } from '../compress.ts';
import type { Strategy } from '../strategy.ts';
import { expand } from './frequency.ts';
import { modelStrategy } from './model.ts';

const cases = Array.from(
  { length: 120 },
  (_, i) => `Cabinet ${i} on floor ${i % 9} holds the files of case ${i * 31}. `,
).join('');

describe('the strategy', () => {
  test('extractive finds the sentence a query asks for at 32 times', () => {
    expect(compress({ text: cases, ratio: 32, query: 'files of case 2790' }).text).toContain('case 2790.');
  });

  test('extractive keeps what denies among statements that are else alike', () => {
    const sentence = (i: number) =>
      `Valve ${100 + i} of hall ${i % 7} ${i % 12 === 5 ? 'must never' : 'must always'} be open. `;
    const text = Array.from({ length: 240 }, (_, i) => sentence(i)).join('');
    const kept = (ratio: number) => compress({ text, ratio }).text.match(/never/g)?.length ?? 0;
    expect([kept(4), kept(8)]).toEqual([20, 20]);
  });

  test('hierarchical leaves no section out', () => {
    const text = Array.from(
      { length: 8 },
      (__, s) =>
        `# Part ${s}\n\n${Array.from({ length: s === 0 ? 60 : 6 }, (_, i) => `Item ${s}${i} weighs ${i * 37 + s} grams in box ${i}. `).join('')}\n\n`,
    ).join('');
    const { text: out } = compress({ text, ratio: 3, strategy: 'hierarchical' });
    expect(Array.from({ length: 8 }, (__, s) => new RegExp(`(Item|Part) ${s}`).test(out))).toEqual(
      Array.from({ length: 8 }, () => true),
    );
  });

  test('clustering lets one near-duplicate speak for all', () => {
    const text = Array.from(
      { length: 30 },
      (_, i) => `The pump in hall seven was checked again and found to be working as it should, ${i}. `,
    ).join('');
    const odd = 'Nobody has seen the key of the archive since May. A letter from Graz arrived. ';
    expect(compress({ text: text + odd, ratio: 8, strategy: 'clustering' }).text).toContain('key of the archive');
  });

  test('frequency writes repeated phrases once and keeps more of the text for it', () => {
    const text = Array.from(
      { length: 40 },
      (_, i) => `The northern distribution and maintenance department of the company reported ${i * 17} cases. `,
    ).join('');
    const plain = compress({ text, ratio: 2, strategy: 'extractive' });
    const result = compress({ text, ratio: 2, strategy: 'frequency' });
    expect(result.legend?.length).toBeGreaterThan(0);
    expect(result.compressedTokens).toBeLessThanOrEqual(Math.floor(result.originalTokens / 2));
    expect(expand(result.text, result.legend).length).toBeGreaterThan(plain.text.length * 1.3);
  });

  test('template shows each make of line', () => {
    const lines = Array.from(
      { length: 90 },
      (_, i) =>
        [
          `INFO 08:00:${10 + (i % 50)} user ${i} signed in`,
          `INFO 08:00:${10 + (i % 50)} job ${i} took ${i % 7} s`,
          `INFO 08:00:${10 + (i % 50)} cache holds ${i} rows of table`,
        ][i % 3],
    );
    const { text } = compress({ text: lines.join('\n'), ratio: 16, strategy: 'template' });
    expect([/signed in/, /took/, /cache holds/].map((make) => make.test(text))).toEqual([true, true, true]);
  });

  test('pruning drops small words and never numbers, names or negations', () => {
    const text = Array.from(
      { length: 40 },
      (_, i) => `It is said that the clerk of Lisbon did not pay ${i * 13 + 100} of the bills in the end. `,
    ).join('');
    const { text: out, fidelity, rate } = compress({ text, ratio: 2, strategy: 'pruning' });
    expect(rate.met).toBe(true);
    for (const line of out.split('. ').filter((each) => each.includes('clerk') && each.includes('bills')))
      expect(line).toMatch(/Lisbon.*not.*\d{3}/);
    expect(fidelity?.numbers).toBeGreaterThan(
      compress({ text, ratio: 2, strategy: 'extractive' }).fidelity?.numbers ?? 1,
    );
  });

  test('ensemble agrees with what most strategies keep', () => {
    const { text, rate } = compress({ text: cases, ratio: 8, strategy: 'ensemble', query: 'files of case 2790' });
    expect(rate.met).toBe(true);
    expect(text).toContain('case 2790.');
  });

  test('model keeps what a mounted classifier scores high', () => {
    const classifier = {
      name: 'test',
      score: (text: string, words: readonly { start: number; end: number }[]) =>
        Float32Array.from(words, ({ start }) =>
          text.startsWith('case', start) ? 0 : text.startsWith('77', start) ? 1 : 0.1,
        ),
    };
    expect(
      compress({ text: cases, ratio: 32, strategy: 'model', plugins: [modelStrategy(classifier)] }).text,
    ).toContain('Cabinet 77 ');
  });
});

test('a strategy of a user is used by its name, without touching the core', () => {
  const last: Strategy = {
    name: 'last',
    compress: ({ document: { text, units } }) => {
      const start = units.at(-1)?.start ?? 0;
      return {
        text: `…${text.slice(start)}`,
        spans: [
          { start: 0, end: start, kept: false, marker: '…' },
          { start, end: text.length, kept: true },
        ],
      };
    },
  };
  expect(compress({ text: cases, strategy: 'last', plugins: [last] }).text).toBe(
    '…Cabinet 119 on floor 2 holds the files of case 3689. ',
  );
});

test.each([
  ['null', null],
  ['a number', 3],
  ['an object', {}],
])('a plugin whose marker is %s is refused as one that does not tile its source', (_, marker) => {
  const wrong = {
    name: 'wrong',
    compress: () => ({ text: '', spans: [{ start: 0, end: cases.length, kept: false, marker }] }),
  };
  expect(() => compress({ text: cases, strategy: 'wrong', plugins: [wrong as never] })).toThrow(
    expect.objectContaining({ code: 'PluginFailed', message: 'the strategy wrong does not tile its source' }),
  );
});

test('a plugin that writes plain markers itself may go on when addressed ones are asked for', () => {
  const last: Strategy = {
    name: 'last',
    compress: ({ document: { text } }) => ({
      text: `… ${text.slice(-20)}`,
      spans: [
        { start: 0, end: text.length - 20, kept: false, marker: '… ' },
        { start: text.length - 20, end: text.length, kept: true },
      ],
    }),
  };
  expect(compress({ text: cases, strategy: 'last', plugins: [last], markers: 'addressed' }).text).toMatch(/^… /);
});
