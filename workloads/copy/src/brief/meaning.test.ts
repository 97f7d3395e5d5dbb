import { expect, test } from 'vitest';
import { brief } from './brief.ts';
import { meaningOf } from './meaning.ts';

const meaning = (more: object = {}) =>
  meaningOf(brief.parse({ product: 'Lumen lamp', facts: ['it runs 40 hours on one charge', 'it is light'], ...more }));

test('words may differ where briefs are to mean the same', () => {
  const other = meaning({ facts: ['one charge lasts for 40 hours', 'it weighs little'] });
  expect(other.same).toEqual(meaning().same);
  expect(other.texts).not.toEqual(meaning().texts);
});

test.each([
  ['the product', { product: 'Lumen lamps' }],
  ['a number', { facts: ['it runs 45 hours on one charge', 'it is light'] }],
  ['what is not so', { facts: ['it runs 40 hours on one charge', "it isn't light"] }],
  ['a name', { facts: ['it runs 40 hours on one Duracell charge', 'it is light'] }],
  ['how many facts', { facts: ['it runs 40 hours on one charge'] }],
  ['a banned term', { banned: ['cheap'] }],
  ['a required term', { required: ['Lumen'] }],
  ['the language', { language: 'de' }],
  ['the channel', { channel: 'sms' }],
])('they never share copy where %s differs', (_, more) => {
  const [one, other] = [meaning(), meaning(more)];
  expect({ same: other.same, texts: other.texts.length }).not.toEqual({ same: one.same, texts: one.texts.length });
});
