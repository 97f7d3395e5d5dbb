import { expect, it } from 'vitest';
import type { Feature } from '../data/features.ts';
import { importances } from './importance.ts';

const rows = Int32Array.from({ length: 200 }, (_, i) => i);
const column = (name: string, from: string, of: (i: number) => number): Feature => ({
  name,
  column: from,
  type: 'Numeric',
  kind: 'Value',
  values: Float32Array.from(rows, of),
});
const features = [
  column('useless', 'useless', (i) => i % 7),
  column('strong', 'strong', (i) => (i * 37) % 200),
  column('day Days', 'day', (i) => (i * 53) % 20),
  column('day HourOfDay', 'day', (i) => ((i * 53) % 20) / 2),
];
/** Minus the squared error of a model that knows how the target is made. */
const score = ([, strong, days, hours]: readonly Feature[]): number => {
  let sum = 0;
  for (const i of rows) {
    const y = 3 * ((i * 37) % 200) + 2 * ((i * 53) % 20);
    sum += (y - 3 * strong!.values![i]! - days!.values![i]! - 2 * hours!.values![i]!) ** 2;
  }
  return -sum / rows.length;
};
const options = { features, rows, score, seed: 1, deadline: Number.POSITIVE_INFINITY };

it('ranks columns by what the score loses without them; features of one column count together', async () => {
  const found = await importances(options);
  expect(found.map((each) => each.column)).toEqual(['strong', 'day', 'useless']);
  expect(found[2]!.loss).toBe(0);
  // Shuffled, a column's squared differences are twice its variance.
  expect(found[1]!.loss).toBeCloseTo(2 * 4 * 33.25, -2);
  expect(await importances(options)).toEqual(found);
});

it('leaves out what there is no time for', async () => {
  expect(await importances({ ...options, deadline: performance.now() - 1 })).toEqual([]);
});
