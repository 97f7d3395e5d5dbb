// k nearest neighbours by exhaustive search over at most 20 000 teaching rows (a seeded sample of more).
import { randomOf } from '../random.ts';
import { type Fit, type FittedLearner, type LearnerState } from './learner.ts';

export const mostTaught = 20_000;

/** genes: `k`, `byDistance` Yes|No, `power` 1|2 (Minkowski) */
export const fitNeighbors: Fit = (matrix, targets, { outputs, genes, seed }) => {
  const all = Int32Array.from({ length: matrix.rows }, (_, i) => i);
  const rows = matrix.rows > mostTaught ? randomOf('neighbors', seed).shuffle(all).slice(0, mostTaught).sort() : all;
  const data = new Float32Array(rows.length * matrix.columns);
  for (const [i, row] of rows.entries())
    data.set(matrix.data.subarray(row * matrix.columns, (row + 1) * matrix.columns), i * matrix.columns);
  const { y, weights } = targets;
  return loadNeighbors(
    {
      kind: 'Neighbors',
      data,
      y: Float32Array.from(rows, (row) => y[row]!),
      weights: weights ? Float32Array.from(rows, (row) => weights[row]!) : undefined,
      columns: matrix.columns,
      k: Math.min(Number(genes['k']), rows.length),
      byDistance: genes['byDistance'] === 'Yes',
      power: Number(genes['power']),
    },
    outputs,
  );
};

export function loadNeighbors(state: LearnerState & { kind: 'Neighbors' }, outputs: number): FittedLearner {
  const { data, y, weights, columns, k, byDistance, power } = state;
  const taught = y.length;
  return {
    state,
    operations: data.length,
    predict: (matrix) => {
      const result = new Float64Array(matrix.rows * outputs);
      const distances = new Float64Array(k);
      const places = new Int32Array(k);
      for (let i = 0; i < matrix.rows; i++) {
        nearest(matrix.data.subarray(i * columns, (i + 1) * columns));
        let total = 0;
        for (let n = 0; n < k; n++) {
          const place = places[n]!;
          const nearness = byDistance ? 1 / (1e-6 + (power === 2 ? Math.sqrt(distances[n]!) : distances[n]!)) : 1;
          const weight = nearness * (weights ? weights[place]! : 1);
          total += weight;
          if (outputs > 1) result[i * outputs + y[place]!]! += weight;
          else result[i]! += weight * y[place]!;
        }
        for (let o = 0; o < outputs; o++) result[i * outputs + o]! /= total || 1;
      }
      return result;

      function nearest(row: Float32Array): void {
        let held = 0;
        for (let place = 0, at = 0; place < taught; place++, at += columns) {
          const limit = held < k ? Number.POSITIVE_INFINITY : distances[k - 1]!;
          const distance = power === 2 ? squaredDistance(row, at, limit) : absoluteDistance(row, at, limit);
          if (distance >= limit) continue;
          let slot = held < k ? held++ : k - 1;
          for (; slot > 0 && distances[slot - 1]! > distance; slot--) {
            distances[slot] = distances[slot - 1]!;
            places[slot] = places[slot - 1]!;
          }
          distances[slot] = distance;
          places[slot] = place;
        }
      }
    },
  };

  function squaredDistance(row: Float32Array, at: number, limit: number): number {
    let sum = 0;
    for (let j = 0; j < columns && sum < limit; j++) {
      const d = row[j]! - data[at + j]!;
      sum += d * d;
    }
    return sum;
  }

  function absoluteDistance(row: Float32Array, at: number, limit: number): number {
    let sum = 0;
    for (let j = 0; j < columns && sum < limit; j++) sum += Math.abs(row[j]! - data[at + j]!);
    return sum;
  }
}
