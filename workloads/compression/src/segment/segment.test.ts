import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contentTypes } from '../detect.ts';
import { tokenizer } from '../tokens.ts';
import { segment } from './index.ts';
import { parseJson } from './json.ts';
import { eachSentence } from './sentences.ts';

function sentences(text: string): string[] {
  const found: string[] = [];
  eachSentence(text, 0, text.length, (start, end) => found.push(text.slice(start, end).trim()));
  return found;
}

function units(text: string, type: (typeof contentTypes)[number], grain = 96): string[] {
  return segment(text, type, tokenizer('o200k_base').map(text), grain).map((unit) => text.slice(unit.start, unit.end));
}

describe('sentences end', () => {
  test('at stops before a capital, not at abbreviations, initials or decimals', () => {
    expect(sentences('Dr. Ada J. Smith paid 3.50 euros, e.g. for tea. She left! Why? "No idea." Then rain.')).toEqual([
      'Dr. Ada J. Smith paid 3.50 euros, e.g. for tea.',
      'She left!',
      'Why?',
      '"No idea."',
      'Then rain.',
    ]);
  });

  test('at the stops of scripts without spaces or capitals', () => {
    expect(sentences('今天很好。我们去公园！你呢？')).toEqual(['今天很好。', '我们去公园！', '你呢？']);
    expect(sentences('هل تريد شيئاً؟ نعم.')).toEqual(['هل تريد شيئاً؟', 'نعم.']);
  });
});

describe('units', () => {
  test('tile any text as any type', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.json()),
        fc.constantFrom(...contentTypes),
        fc.constantFrom(1, 8, 96),
        (text, type, grain) => {
          expect(units(text, type, grain).join('')).toBe(text);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('of JSON are fields between brackets that are bound together', () => {
    const text = '{"a": [1, 2, {"b": "x, ] y"}], "c": {}}';
    expect(units(text, 'json', 1)).toEqual([
      '{',
      '"a": [',
      '1, ',
      '2, ',
      '{',
      '"b": "x, ] y"',
      '}',
      '], ',
      '"c": {}',
      '}',
    ]);
    expect(units(text, 'json', 96)).toEqual([text]);
  });

  test('of wrapped text run over its lines, and options keep their description', () => {
    const text = [
      'This paragraph is wrapped at a column as manuals are, so its sentences run',
      'over the line ends. The second one is short and ends here, after a few words',
      'of the third line.',
      '',
      '  -a, --all',
      '         do not ignore entries that begin with a full stop, whatever they are',
      '',
    ].join('\n');
    const found = units(text, 'prose').map((unit) => unit.trim().split(/\s+/).slice(0, 2).join(' '));
    expect(found).toEqual(['This paragraph', 'The second', '-a, --all']);
  });

  test('of code stand under the line that is less far in', () => {
    const text = 'class A {\n  run() {\n    go();\n  }\n}\n';
    const found = segment(text, 'code', tokenizer('o200k_base').map(text), 96);
    expect(found.map(({ parent }) => parent)).toEqual([-1, 0, 1, 0, -1]);
  });
});

describe('JSON', () => {
  test('is what JSON.parse accepts', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseJson(text)).toBeDefined();
      }),
    );
  });

  test('is refused when broken, however deep', () => {
    for (const broken of [
      '{"a":}',
      '[1,,2',
      '{"a" 1}',
      '[1 2]',
      '{1: 2}',
      '[}',
      '"open',
      '{"a":1,"b"}',
      '['.repeat(100_000),
    ]) {
      expect(parseJson(broken)).toBeUndefined();
    }
  });
});
