// The true labels of rows, as metrics compare predictions with them.
import { outputsOf, type Problem } from '../data/problem.ts';
import type { Truth } from '../metrics/metrics.ts';

export function truthOf(problem: Problem, rows: Int32Array): Truth {
  const { y, weights } = problem;
  return {
    task: problem.task,
    y: Float64Array.from(rows, (row) => y[row]!),
    weights: weights && Float64Array.from(rows, (row) => weights[row]!),
    outputs: outputsOf(problem),
  };
}
