import { expect, it } from 'vitest';
import { randomOf } from '../random.ts';
import { elasticNet } from './newton.ts';

const rows = 300;
const columns = 6;
const random = randomOf('newton');
const data = Float32Array.from({ length: rows * columns }, () => random.normal());
const weights = Float64Array.from({ length: rows }, () => random.next());
const scores = Array.from({ length: rows }, (_, i) => 2 * data[i * columns]! - data[i * columns + 1]! + 0.3);
const values = Float64Array.from(scores, (score) => score + 0.2 * random.normal());
const classes = Float64Array.from(scores, (score) => (1 / (1 + Math.exp(-score)) > random.next() ? 1 : 0));
const matrix = { rows, columns, data };

/** Slope of the mean loss along each weight and the bias, reckoned by itself. */
function slopes(w: Float64Array, y: Float64Array, regression: boolean, l2: number): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const found = new Array<number>(columns + 1).fill(0);
  for (let i = 0; i < rows; i++) {
    let score = w[columns]!;
    for (let j = 0; j < columns; j++) score += w[j]! * data[i * columns + j]!;
    const error = (weights[i]! / total) * ((regression ? score : 1 / (1 + Math.exp(-score))) - y[i]!);
    for (let j = 0; j < columns; j++) found[j]! += error * data[i * columns + j]!;
    found[columns]! += error;
  }
  return found.map((slope, j) => (j < columns ? slope + l2 * w[j]! : slope));
}

/** How far each weight is from where no small move lowers the loss. */
function misses(w: Float64Array, y: Float64Array, regression: boolean, l1: number, l2: number): number[] {
  return slopes(w, y, regression, l2).map((slope, j) => {
    if (j === columns) return Math.abs(slope);
    return w[j] === 0 ? Math.max(0, Math.abs(slope) - l1) : Math.abs(slope + Math.sign(w[j]!) * l1);
  });
}

it.each([
  { regression: true, l1: 0, l2: 0.01, gone: 0 },
  { regression: true, l1: 0.1, l2: 0, gone: 4 },
  { regression: false, l1: 0, l2: 0.001, gone: 0 },
  { regression: false, l1: 0.05, l2: 0.01, gone: 4 },
  { regression: false, l1: 0.001, l2: 1e-9, gone: 0 },
])('ends where no small move lowers the loss: %o', ({ regression, l1, l2, gone }) => {
  const y = regression ? values : classes;
  const w = elasticNet(matrix, { y, weights }, { regression, l1, l2 });
  expect(Math.max(...misses(w, y, regression, l1, l2))).toBeLessThan(1e-4);
  expect([...w].filter((weight) => weight === 0)).toHaveLength(gone);
});

it.each([true, false])('predicts the same wherever the columns lie (regression: %s)', (regression) => {
  const y = regression ? values : classes;
  const options = { regression, l1: 1e-4, l2: 1e-4 };
  const near = elasticNet(matrix, { y, weights }, options);
  for (const far of [5, 200]) {
    const away = { ...matrix, data: data.map((cell) => cell + far) };
    const w = elasticNet(away, { y, weights }, options);
    for (let i = 0; i < rows; i++) {
      const scoreOf = (of: Float64Array, cells: Float32Array) =>
        of[columns]! + cells.subarray(i * columns, (i + 1) * columns).reduce((sum, cell, j) => sum + of[j]! * cell, 0);
      expect(scoreOf(w, away.data)).toBeCloseTo(scoreOf(near, data), 2);
    }
  }
});

it('stays finite where one column parts the classes, and where a column is constant', () => {
  const parted = { rows: 40, columns: 2, data: Float32Array.from({ length: 80 }, (_, i) => (i % 2 ? 1 : i - 40)) };
  const y = Float64Array.from({ length: 40 }, (_, i) => (i >= 20 ? 1 : 0));
  const w = elasticNet(parted, { y, weights: undefined }, { regression: false, l1: 0, l2: 1e-6 });
  expect(w.every(Number.isFinite)).toBe(true);
  expect(w[0]).toBeGreaterThan(0);
});
