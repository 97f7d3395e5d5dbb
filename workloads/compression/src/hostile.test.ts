// Texts that are meant to hang, crash or confuse. Each is large enough that a quadratic step would outlast the test's limit.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compress } from './compress.ts';
import { textOfSpans } from './render.ts';
import { expand } from './strategies/frequency.ts';
import { strategies } from './strategies/index.ts';

const texts: Record<string, string> = {
  'nothing at all': '',
  'one endless sentence': 'word '.repeat(20_000),
  'one endless word': 'q'.repeat(100_000),
  'an endless run of one script without spaces': '今天天气很好'.repeat(10_000),
  'white space alone': ' '.repeat(200_000),
  'empty lines alone': '\n'.repeat(100_000),
  'one line over and over': 'The same line again.\n'.repeat(10_000),
  'halves of characters': `${'\ud800'.repeat(2000)}. ${'\udc00 a. '.repeat(1000)}`,
  'text from right to left': 'ذهبت إلى السوق أمس. هل تريد شيئاً؟ '.repeat(2000),
  'all byte values': Array.from({ length: 50_000 }, (_, i) => String.fromCharCode((i * 7919) % 256)).join(''),
  'deep brackets': '['.repeat(50_000) + ']'.repeat(50_000),
  'deep objects': `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
  'deep objects left open': '{"a":'.repeat(20_000),
  'headings and rules': `${'#'.repeat(50_000)} ${'-'.repeat(50_000)}\n${'a\n===\n'.repeat(10_000)}`,
  'stops and closers': `${'.'.repeat(50_000)}${'.)'.repeat(20_000)}${' .'.repeat(20_000)}`,
  'quotes and backslashes': `["${'\\"'.repeat(50_000)}`,
  'rows of a wide table': `${'a\t'.repeat(5000)}\n`.repeat(10),
  'lines ever further in': Array.from({ length: 600 }, (_, i) => `${' '.repeat(i)}if (x) {\n`).join(''),
  'numbers of absurd length': `${'9'.repeat(50_000)} ${'1e'.repeat(20_000)}`,
  emoji: '😀'.repeat(20_000),
};

describe('every strategy survives', () => {
  for (const [name, text] of Object.entries(texts)) {
    test(name, { timeout: 60_000 }, () => {
      for (const strategy of strategies.keys()) {
        if (strategy === 'model') continue;
        const result = compress({ text, ratio: 8, strategy, query: 'word a 天 same 1' });
        expect(expand(result.text, result.legend)).toBe(textOfSpans(text, result.spans));
        expect(result.compressedTokens).toBeLessThanOrEqual(result.originalTokens);
        expect(result.rate.met || result.rate.reason !== undefined).toBe(true);
      }
    });
  }
});

test('queries that are meant to confuse change nothing but the choice', () => {
  const text = Array.from({ length: 60 }, (_, i) => `Line ${i} is about __proto__ and constructor ${i * 7}. `).join('');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 300 }),
        fc.constantFrom('__proto__ constructor', '(a+)+$', '\0', '\ud800'),
      ),
      (query) => {
        const { spans, text: out } = compress({ text, ratio: 8, query });
        expect(textOfSpans(text, spans)).toBe(out);
      },
    ),
    { numRuns: 60 },
  );
});

test('queries as large as allowed cost no more than the text', { timeout: 60_000 }, () => {
  const many = Array.from({ length: 8192 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join('');
  const hostile = {
    'a record of them and many fields': JSON.stringify([many, ...Array.from({ length: 20_000 }, () => 1)]),
    'a heading of them and many lines': `# ${many}\n\n${'A line of the text.\n'.repeat(8000)}`,
    'every line full of them': `${many}\n`.repeat(6),
  };
  for (const text of Object.values(hostile)) {
    for (const strategy of ['extractive', 'ensemble', 'pruning']) {
      const { spans, text: out } = compress({ text, ratio: 8, strategy, query: many });
      expect(textOfSpans(text, spans)).toBe(out);
    }
  }
});

test('impossible ratios are refused by name, impossible targets say what was reachable', () => {
  const text = 'A sentence of some length that cannot be cut anywhere. Another of the same kind follows here.';
  for (const ratio of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => compress({ text, ratio })).toThrow(/ratio/);
  for (const targetTokens of [0, 1.5, -3]) expect(() => compress({ text, targetTokens })).toThrow(/targetTokens/);
  expect(compress({ text, ratio: 1000 }).rate).toMatchObject({
    met: false,
    reason: expect.stringContaining('was reachable') as string,
  });
});
