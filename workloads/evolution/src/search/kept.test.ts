import { expect, it } from 'vitest';
import { Kept, mostHeld } from './kept.ts';
import type { Individual } from './population.ts';

/** All look at the same memory: nothing is spent by the test. */
const shared = new Float32Array(2 ** 20);

function offered(count: number, folds: number): Individual[] {
  const all = Array.from({ length: count }, (_, index) => ({
    index,
    score: (index * 7) % count,
    predictions: Array.from({ length: folds }, () => shared),
    models: [],
  })) as unknown as Individual[];
  const kept = new Kept();
  for (const each of all) kept.add(each);
  return all.filter(({ predictions }) => predictions.length > 0).sort((a, b) => b.score - a.score);
}

it('the best are kept whole, as many as their bytes have room for', () => {
  expect(offered(100, 1).map(({ score }) => score)).toEqual(Array.from({ length: 60 }, (_, i) => 99 - i));
  expect(offered(100, 8).map(({ score }) => score)).toEqual(Array.from({ length: 16 }, (_, i) => 99 - i));
  expect(offered(100, 64).map(({ score }) => score)).toEqual([99, 98, 97, 96, 95, 94]);
});

it('what may be held is told before anything is', () => {
  expect(mostHeld(2 ** 25, 3)).toBe(2 ** 25 * (16 + 3));
  expect(mostHeld(4000, 10)).toBe(4000 * 70);
});
