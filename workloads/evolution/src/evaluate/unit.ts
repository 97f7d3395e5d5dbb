// The unit that a regression's target is learnt in: mean 0 and deviation 1 over the teaching rows. Encodings by the target are then on the scale of all
// other columns, no learner depends on the target's own unit, and labels far from 0 keep their digits in single precision.
import type { Problem } from '../data/problem.ts';
import { standardOf } from '../preprocess/statistics.ts';

export interface Unit {
  readonly mean: number;
  readonly deviation: number;
}

/** @returns the problem as learners see it; classes are theirs already */
export function standardized(problem: Problem, rows: Int32Array): { problem: Problem; unit?: Unit } {
  if (problem.task !== 'Regression') return { problem };
  const of = (values: Float64Array) => Float64Array.from(rows, (row) => values[row]!);
  const unit = standardOf(of(problem.y), problem.weights && of(problem.weights));
  return { problem: { ...problem, y: problem.y.map((value) => (value - unit.mean) / unit.deviation) }, unit };
}

/** Predictions in the target's own unit again, in place. */
export function restored(predictions: Float64Array, unit: Unit | undefined): Float64Array {
  if (!unit) return predictions;
  for (let i = 0; i < predictions.length; i++) predictions[i] = predictions[i]! * unit.deviation + unit.mean;
  return predictions;
}
