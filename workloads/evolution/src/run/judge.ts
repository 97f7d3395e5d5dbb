// How the finished model is judged: on rows that no search has seen, by what a row costs, and by what each column is worth.
import type { Problem } from '../data/problem.ts';
import type { Split } from '../data/split.ts';
import { EvolutionError } from '../errors.ts';
import type { Judging } from '../evaluate/task.ts';
import { truthOf } from '../evaluate/truth.ts';
import { scoreOf, shown } from '../metrics/metrics.ts';
import { type Importance, importances } from './importance.ts';
import type { Model } from './model.ts';
import { fairSample } from './sample.ts';

export interface Judged {
  /** As people know the metric. */
  readonly holdout: number | undefined;
  /** Milliseconds of one row, measured. */
  readonly inferenceTime: number | undefined;
  readonly importance: readonly Importance[];
}

/** Rows that importance is measured on. */
const importanceRows = { fewest: 50, most: 1000 };
/** Of the budget; and milliseconds, for a search that ended early should not wait for this. */
const importanceShare = 0.01;
const importanceTime = 2000;

/** Numbers that the ensemble, and the judging of the holdout, may look at: about one percent of the budget each. */
export function effortOf(budget: number): number {
  return Math.max(1e6, 1e5 * budget);
}

/** R2 compares with the spread of what is judged. */
export function refuseUnjudgeable({ y }: Problem, { metric }: Judging, { folds, holdout }: Split): void {
  if (metric !== 'R2') return;
  const isVaried = (rows: Int32Array) => rows.some((row) => y[row] !== y[rows[0]!]);
  if (holdout.length > 0 && !isVaried(holdout))
    throw new EvolutionError('SplitInvalid', 'the holdout has one target value: it has no R2', {
      field: 'spec.validation.holdout',
      fix: 'hold out a larger share, or use the metric RMSE',
    });
  for (const [i, { test }] of folds.entries()) {
    if (isVaried(test)) continue;
    throw new EvolutionError('SplitInvalid', `fold ${i + 1} of ${folds.length} judges one target value: it has no R2`, {
      field: 'spec.validation.folds',
      fix: 'use fewer folds, more rows, or the metric RMSE',
    });
  }
}

/** As far as the time goes that each part has: about a percent of the budget. @param budget Seconds */
export async function judgeModel(
  model: Model,
  problem: Problem,
  judging: Judging,
  split: Split,
  budget: number,
): Promise<Judged> {
  // Without a holdout the rows that the last fold judged come nearest.
  const pool = split.holdout.length > 0 ? split.holdout : split.folds.at(-1)!.test;
  const sampled = (most: number) => fairSample(problem, pool, most, judging.seed);
  const inferenceTime = await timeOfRow(model, problem, pool);
  const scored = async (rows: Int32Array, features = problem.features, places = rows) =>
    scoreOf(judging.metric, truthOf(problem, rows), await model.predictFeatures(features, places));
  const affordable = Math.max(64, Math.floor((effortOf(budget) * 2e-4) / Math.max(inferenceTime, 1e-6)));
  const score = split.holdout.length > 0 ? await scored(sampled(affordable)) : Number.NaN;
  const columns = new Set(problem.features.map((feature) => feature.column)).size;
  const milliseconds = Math.min(importanceTime, 1000 * budget * importanceShare);
  const some = sampled(Math.min(importanceRows.most, Math.floor(milliseconds / ((columns + 1) * inferenceTime))));
  const places = Int32Array.from(some.keys());
  return {
    holdout: Number.isNaN(score) ? undefined : shown(judging.metric, score),
    inferenceTime,
    importance:
      some.length < Math.min(importanceRows.fewest, pool.length)
        ? []
        : await importances({
            features: problem.features,
            rows: some,
            score: (features) => scored(some, features, places),
            seed: judging.seed,
            deadline: performance.now() + milliseconds,
          }).catch(unlessRefused),
  };
}

/** A frozen model may fail on cells that never stood together: the run does not. */
function unlessRefused(error: unknown): Importance[] {
  if (error instanceof EvolutionError) return [];
  throw error;
}

async function timeOfRow(model: Model, { features }: Problem, pool: Int32Array): Promise<number> {
  const tried = pool.slice(0, 64);
  await model.predictFeatures(features, tried.slice(0, 1));
  const before = performance.now();
  await model.predictFeatures(features, tried);
  return (performance.now() - before) / tried.length;
}
