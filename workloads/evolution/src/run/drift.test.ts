import { expect, it } from 'vitest';
import { statisticsOf } from './drift.ts';

it('of very many rows a part says what a feature looks like, the same each time', () => {
  const n = 1_000_000;
  const values = Float32Array.from({ length: n }, (_, i) => (i % 10 === 0 ? Number.NaN : i / n));
  const codes = Int32Array.from({ length: n }, (_, i) => (i % 4 === 0 ? 1 : 0));
  const features = [
    { name: 'a', column: 'a', type: 'Numeric', kind: 'Value', values },
    { name: 'b', column: 'b', type: 'Categorical', kind: 'Category', codes, levels: ['x', 'y'] },
  ] as const;
  const rows = Int32Array.from({ length: n }, (_, i) => i);
  const [a, b] = statisticsOf(features, rows);
  expect(a!.missing).toBeCloseTo(0.1, 2);
  expect(a!.cuts!.map((cut) => Number(cut.toFixed(2)))).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
  expect(b!.shares[0]).toBeCloseTo(0.75, 2);
  expect(statisticsOf(features, rows)).toEqual([a, b]);
  const [whole] = statisticsOf(features, rows.subarray(0, 1000));
  expect(whole!.missing).toBeCloseTo(0.1, 12);
});
