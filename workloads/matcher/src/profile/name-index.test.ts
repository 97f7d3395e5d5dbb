import { expect, test } from 'vitest';
import { NameIndex } from './name-index.ts';

const numbersOf = (matches: readonly { number: number }[]) => matches.map(({ number }) => number);

test('an item is found by its own name among any number of namesakes, and near ones beside it', () => {
  const index = new NameIndex();
  for (let number = 1; number <= 20_500; number++) index.set(number, { name: 'Anna' });
  for (let number = 30_001; number <= 30_450; number++) {
    index.set(number, { name: 'John Smith', attributes: { born: String(number) } });
  }
  expect(index.search({ name: 'Anna' }, { minSimilarity: 0.85 }).length).toBeGreaterThan(100);
  const [best] = index.search({ name: 'Smith, John', attributes: { born: '30449' } }, { minSimilarity: 0.85 });
  expect(best).toMatchObject({ number: 30_449, similarity: 1 });
  expect(index.search({ name: 'Jon Smyth' }, { minSimilarity: 0.8 }).length).toBeGreaterThan(100);
});

test('what other banks hold, and items that are not asked for, hide nothing', () => {
  const index = new NameIndex();
  for (let number = 1; number <= 3000; number++) index.set(number, { name: 'Konstantina Papadopoulou' }, 1);
  index.set(5000, { name: 'Konstantina Papadopulu' }, 2);
  const query = { name: 'Konstantina Papadopoulou' };
  expect(numbersOf(index.search(query, { minSimilarity: 0.85, banks: new Set([2]) }))).toEqual([5000]);
  expect(numbersOf(index.search(query, { minSimilarity: 0.85, admits: (number) => number > 2999 }))).toEqual([
    3000, 5000,
  ]);
});

test('attributes alone lead to items without a name, and a name without letters leads nowhere', () => {
  const index = new NameIndex();
  index.set(1, { attributes: { passport: 'AB-123' } });
  index.set(2, { name: '—' });
  index.set(3, { name: 'Maria Papadaki', attributes: { passport: 'AB-123' } });
  expect(numbersOf(index.search({ attributes: { passport: 'ab 123' } }, { minSimilarity: 0.85 }))).toEqual([1]);
  expect(index.size).toBe(2);
});

test('the longest names there can be are compared only in part', () => {
  const names = (seed: number) =>
    Array.from({ length: 30 }, (_, i) =>
      Array.from({ length: 16 }, (__, j) => `${'abcdefghijklmnopqrstuvwxyz'.slice((seed + i + j) % 20)}${i}x${j}`).join(
        ' ',
      ),
    );
  const index = new NameIndex();
  for (let number = 1; number <= 300; number++) index.set(number, { aliases: names(number) });
  // Compared in full, these are a quarter of a million pairs of names.
  expect(index.search({ aliases: names(0) }, { minSimilarity: 0.99 })).toEqual([]);
});
