// What holds for every strategy, text and ratio.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CompressOptions, compress } from './compress.ts';
import { contentTypes } from './detect.ts';
import { Feedback, preferring } from './feedback.ts';
import { type Span, textOfSpans } from './render.ts';
import { expand } from './strategies/frequency.ts';
import { strategies } from './strategies/index.ts';
import { tokenizer } from './tokens.ts';

const names = [...strategies.keys(), 'auto'].filter((name) => name !== 'model');

const word = fc.constantFrom(
  ...'the a of report server delta Lisbon not 42 17.5 never INV-2231 getUser request failed Müller café 漢字 مرحبا 😀 shall et al. e.g. v1.2.3 "quoted" (aside)'.split(
    ' ',
  ),
);
const sentence = fc
  .tuple(
    fc.array(word, { minLength: 1, maxLength: 14 }),
    fc.constantFrom('. ', '! ', '? ', '.\n', '\n', '。', ' ', '.\n\n'),
  )
  .map(([words, end]) => words.join(' ') + end);
const prose = fc.array(sentence, { maxLength: 40 }).map((parts) => parts.join(''));
const markdown = fc
  .array(
    fc.oneof(
      sentence,
      fc.constantFrom('# Title\n', '## Part two\n', '```js\n', '```\n', '- item one\n', '| a | b |\n', '\n'),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));
const json = fc
  .json({ maxDepth: 5 })
  .chain((value) => fc.constantFrom(value, JSON.stringify(JSON.parse(value), null, 2)));
const records = fc
  .array(fc.record({ id: fc.nat(), name: word, ok: fc.boolean() }), { minLength: 1, maxLength: 40 })
  .map((rows) => JSON.stringify(rows));
const logs = fc
  .array(fc.tuple(fc.nat(59), word, word), { maxLength: 60 })
  .map((rows) =>
    rows.map(([s, a, b]) => `2026-11-20T08:00:${String(s).padStart(2, '0')}Z INFO ${a} did ${b}\n`).join(''),
  );
const code = fc
  .array(
    fc.constantFrom('function f() {\n', '  return 1;\n', '}\n', '\n', 'const a = 2;\n', '    if (a) {\n', '\tx();\n'),
    { maxLength: 60 },
  )
  .map((lines) => lines.join(''));
const table = fc
  .array(fc.tuple(fc.nat(), word, fc.nat()), { maxLength: 40 })
  .map((rows) => `id,name,size\n${rows.map((row) => row.join(',')).join('\n')}`);
const anything = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 400 }),
  fc.string({ maxLength: 400 }),
  fc.array(fc.nat(65_535), { maxLength: 200 }).map((codes) => String.fromCharCode(...codes)),
);
const text = fc.oneof(prose, markdown, json, records, logs, code, table, anything);
const request = fc.record({
  text,
  ratio: fc.constantFrom(1, 1.5, 2, 4, 8, 16, 32),
  query: fc.option(word, { nil: '' }),
  strategy: fc.constantFrom(...names),
  markers: fc.constantFrom('plain' as const, 'addressed' as const),
});

/** What stands, symbols expanded, before each place where `part` stands in the output as it is. */
function placesOf(output: string, part: string, legend: Parameters<typeof expand>[1]): string[] {
  const head = (legend ?? []).map(({ symbol, phrase }) => `${symbol} = ${phrase}\n`).join('');
  const places: string[] = [];
  for (let at = output.indexOf(part); at >= 0 && at <= output.length; at = output.indexOf(part, at + 1)) {
    places.push(expand(head + output.slice(0, at), legend));
    if (part === '') break;
  }
  return places;
}

function until(spans: readonly Span[], at: number): Span[] {
  return spans.filter(({ start }) => start < at).map((span) => (span.end > at ? { ...span, end: at } : span));
}

/** A place where a line, a sentence or a field may begin or end. */
function isBoundary(source: string, at: number): boolean {
  if (at === 0 || at === source.length || source[at - 1] === '\n') return true;
  const before = source.slice(0, at).trimEnd();
  const after = source.slice(at);
  if (/["'”’»」)\]]*$/.exec(before) && /[.!?‽。！？｡؟۔।॥]["'”’»」)\]]*$/.test(before)) return true;
  return /[,[{]$/.test(before) || /^[\]}]/.test(after) || /[\]}"\w]$/.test(before);
}

describe('every strategy', () => {
  test('gives parts of the source and markers that tile it, and no other text', () => {
    fc.assert(
      fc.property(request, (options) => {
        const result = compress(options);
        expect(expand(result.text, result.legend)).toBe(textOfSpans(options.text, result.spans));
        let at = 0;
        for (const span of result.spans) {
          expect(span.start).toBe(at);
          expect(span.end).toBeGreaterThan(span.start);
          at = span.end;
        }
        expect(at).toBe(options.text.length);
      }),
      { numRuns: 600 },
    );
  });

  test('keeps whole lines, sentences or fields unless pruning was asked for', () => {
    const whole = request.filter(({ strategy }) => strategy !== 'pruning');
    fc.assert(
      fc.property(whole, (options) => {
        expect(compress(options).spans.filter((span) => !isBoundary(options.text, span.start))).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  test('writes markers that say what they stand for where that is asked for, and nothing else', () => {
    fc.assert(
      fc.property(request, (options) => {
        const marked = compress(options).spans.filter(({ kept, marker }) => !kept && marker !== '');
        for (const { start, end, marker } of marked)
          expect(marker?.trimEnd()).toBe(options.markers === 'addressed' ? `…[${start}-${end}]` : '…');
      }),
      { numRuns: 200 },
    );
  });

  test('is never longer than the source, in tokens or characters, and counts exactly', () => {
    fc.assert(
      fc.property(request, (options) => {
        const result = compress(options);
        expect(result.text.length).toBeLessThanOrEqual(options.text.length);
        expect(result.compressedTokens).toBeLessThanOrEqual(result.originalTokens);
        expect(result.compressedTokens).toBe(tokenizer('o200k_base').count(result.text));
        expect(result.originalTokens).toBe(tokenizer('o200k_base').count(options.text));
      }),
      { numRuns: 400 },
    );
  });

  test('gives the same output for the same input', () => {
    fc.assert(
      fc.property(request, (options) => {
        expect(compress(options).text).toBe(compress({ ...options }).text);
      }),
      { numRuns: 150 },
    );
  });

  test('meets the rate or says what was reachable', () => {
    fc.assert(
      fc.property(request, (options) => {
        const { rate, originalTokens, compressedTokens } = compress(options);
        // One token is more than 5 % of a short output: what is allowed beyond is the rounding.
        const error = Math.abs(originalTokens / Math.max(compressedTokens, 1) / options.ratio - 1);
        const near = originalTokens <= 1 || error < 0.0527 + 1.05 / compressedTokens;
        expect({ met: near || !rate.met, said: rate.met || /was reachable/.test(rate.reason ?? '') }).toEqual({
          met: true,
          said: true,
        });
      }),
      { numRuns: 400 },
    );
  });

  test('never exceeds a token target when something fits it', () => {
    const lines = Array.from(
      { length: 200 },
      (_, i) => `Line ${i} says that item ${i * 7} is in box ${i * 13}.\n`,
    ).join('');
    for (const strategy of names) {
      for (const targetTokens of [60, 200, 700]) {
        const { compressedTokens } = compress({ text: lines, targetTokens, strategy });
        expect(compressedTokens).toBeLessThanOrEqual(targetTokens);
        expect(compressedTokens).toBeGreaterThan(targetTokens * 0.94);
      }
    }
  });

  test.each(['plain', 'addressed'] as const)(
    'never exceeds a token target that has no room for %s markers',
    (markers) => {
      const lines = Array.from({ length: 40 }, (_, i) => `Line ${i} says that item ${i * 7} is in box ${i * 13}.\n`);
      for (const strategy of names)
        for (const targetTokens of [1, 4, 6, 7, 8, 13, 20]) {
          const { compressedTokens } = compress({ text: lines.join(''), targetTokens, strategy, markers });
          expect({ strategy, targetTokens, over: compressedTokens > targetTokens }).toMatchObject({ over: false });
        }
    },
  );

  test('says by addressed markers all that is needed to have the text back', () => {
    fc.assert(
      fc.property(text, fc.constantFrom(2, 8, 32), (source, ratio) => {
        const { text: output } = compress({ text: source, ratio, markers: 'addressed' });
        // Of the white space after a marker one is the marker's own.
        expect(output.replace(/…\[(\d+)-(\d+)\][ \n]?/g, (_, start, end) => source.slice(start, end))).toBe(source);
      }),
      { numRuns: 200 },
    );
  });

  test('takes no text whose own words could be mistaken for addressed markers', () => {
    const source = `An earlier answer. …[120-480] ${'And what was asked then. '.repeat(20)}`;
    const refused = expect.objectContaining({ code: 'InvalidField', field: 'markers' });
    expect(() => compress({ text: source, ratio: 8, markers: 'addressed' })).toThrow(refused);
    expect(() => compress({ text: source, ratio: 8 })).not.toThrow();
  });

  test('keeps protected parts exactly, at every ratio', () => {
    fc.assert(
      fc.property(
        request,
        fc.nat(),
        fc.integer({ min: 1, max: 40 }),
        (options: CompressOptions & { text: string }, from, length) => {
          const start = options.text.length === 0 ? 0 : from % options.text.length;
          const end = Math.min(options.text.length, start + length);
          const {
            spans,
            text: output,
            legend = [],
          } = compress({ ...options, protect: [{ start, end }], legend: true });
          expect(spans.filter((span) => !span.kept && span.end > start && span.start < end)).toEqual([]);
          const head = legend.map(({ symbol, phrase }) => `${symbol} = ${phrase}\n`).join('');
          expect(placesOf(output.slice(head.length), options.text.slice(start, end), legend)).toContain(
            textOfSpans(options.text, until(spans, start)),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test('keeps a protected repetition as it stands where others are named by symbols', () => {
    const lines = Array.from(
      { length: 30 },
      (_, i) => `Item ${i}: The quarterly supply agreement number 17 must never be renewed before the audit.\n`,
    );
    const source = lines.join('');
    const protect = [{ start: 0, end: (lines[0] as string).length }];
    const { text: output, legend = [], strategy } = compress({ text: source, ratio: 2, protect, legend: true });
    expect(strategy).toBe('frequency');
    expect(legend.length).toBeGreaterThan(0);
    expect(output).toContain(lines[0]);
  });

  test('sentences are cut, and legends written, only where that was asked for, whatever was learned', () => {
    const learned = fc.constantFrom('pruning', 'frequency', 'a-plugin-that-is-gone');
    fc.assert(
      fc.property(text, learned, fc.constantFrom(2, 4, 8), (source, name, ratio) => {
        const feedback = new Feedback();
        for (let i = 0; i < 20; i++)
          for (const type of contentTypes)
            for (const usual of strategies.keys()) feedback.observe(type, ratio, usual, usual === name ? 1 : 0.5);
        for (let i = 0; i < 20; i++) for (const type of contentTypes) feedback.observe(type, ratio, name, 1);
        const result = compress({ text: source, ratio, prefer: preferring(feedback, {}, []) });
        expect(result.legend).toBeUndefined();
        expect(result.spans.filter((span) => !isBoundary(source, span.start))).toEqual([]);
      }),
      { numRuns: 200 },
    );
    expect(() => compress({ text: 'a. '.repeat(50), prefer: () => 'a-plugin-that-is-gone' })).not.toThrow();
  });
});

test('a strategy nobody knows is refused by name', () => {
  expect(() => compress({ text: 'a. '.repeat(50), strategy: 'magic' })).toThrow(/"magic"/);
});

test('the model strategy refuses when no model is mounted', () => {
  expect(() => compress({ text: 'One. Two. '.repeat(50), strategy: 'model' })).toThrow(/no model is mounted/);
});

test('types are the ones the documentation names', () => {
  expect(contentTypes).toEqual([
    'prose',
    'code',
    'json',
    'logs',
    'markdown',
    'scientific',
    'legal',
    'tabular',
    'dialogue',
  ]);
});
