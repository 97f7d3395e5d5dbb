// Scores of predictions, all weighted; inside the search every score is "greater is better".
import type { Task } from '../data/problem.ts';
import { binaryAuc } from './ranking.ts';

export type Metric = 'RocAUC' | 'F1' | 'LogLoss' | 'Accuracy' | 'BalancedAccuracy' | 'RMSE' | 'MAE' | 'R2';

/** True labels of the judged rows. */
export interface Truth {
  readonly task: Task;
  readonly y: Float64Array;
  readonly weights: Float64Array | undefined;
  /** 1, or the number of classes of a Multiclass task. */
  readonly outputs: number;
}

export function defaultMetric(task: Task): Metric {
  return task === 'Binary' ? 'RocAUC' : task === 'Multiclass' ? 'LogLoss' : 'RMSE';
}

/** Errors are smaller when better. */
export function isError(metric: Metric): boolean {
  return metric === 'LogLoss' || metric === 'RMSE' || metric === 'MAE';
}

/** The score as people know it: an error stays positive. */
export function shown(metric: Metric, score: number): number {
  return isError(metric) ? -score : score;
}

/**
 * The score, greater being better: errors are negated.
 * @param predictions rows × outputs: probabilities (Binary: of the positive class), or values
 */
export function scoreOf(metric: Metric, truth: Truth, predictions: ArrayLike<number>): number {
  const n = truth.y.length;
  const weight = (i: number) => (truth.weights ? truth.weights[i]! : 1);
  let total = 0;
  for (let i = 0; i < n; i++) total += weight(i);
  if (total === 0) return Number.NaN;
  const mean = (of: (i: number) => number) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += weight(i) * of(i);
    return sum / total;
  };
  switch (metric) {
    case 'RocAUC':
      return rocAuc(truth, predictions);
    case 'LogLoss':
      return -mean((i) => -Math.log(Math.max(1e-7, probabilityOf(truth, predictions, i))));
    case 'Accuracy':
      return mean((i) => (classOf(truth, predictions, i) === truth.y[i] ? 1 : 0));
    case 'BalancedAccuracy':
      return balancedAccuracy(confusionOf(truth, predictions));
    case 'F1':
      return f1(truth, confusionOf(truth, predictions));
    case 'RMSE':
      return -Math.sqrt(mean((i) => (predictions[i]! - truth.y[i]!) ** 2));
    case 'MAE':
      return -mean((i) => Math.abs(predictions[i]! - truth.y[i]!));
    case 'R2': {
      const centre = mean((i) => truth.y[i]!);
      const spread = mean((i) => (truth.y[i]! - centre) ** 2);
      return spread === 0 ? Number.NaN : 1 - mean((i) => (predictions[i]! - truth.y[i]!) ** 2) / spread;
    }
  }
}

/** The likeliest class; Binary: positive at one half. */
export function classOf(truth: Pick<Truth, 'outputs'>, predictions: ArrayLike<number>, row: number): number {
  if (truth.outputs === 1) return predictions[row]! > 0.5 ? 1 : 0;
  let best = 0;
  for (let k = 1; k < truth.outputs; k++) {
    if (predictions[row * truth.outputs + k]! > predictions[row * truth.outputs + best]!) best = k;
  }
  return best;
}

/** Weights of rows by [true class, predicted class]. */
export function confusionOf(truth: Truth, predictions: ArrayLike<number>): number[][] {
  const classes = truth.outputs === 1 ? 2 : truth.outputs;
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < truth.y.length; i++) {
    counts[truth.y[i]!]![classOf(truth, predictions, i)]! += truth.weights ? truth.weights[i]! : 1;
  }
  return counts;
}

function probabilityOf({ outputs, y }: Truth, predictions: ArrayLike<number>, row: number): number {
  if (outputs > 1) return predictions[row * outputs + y[row]!]!;
  return y[row] === 1 ? predictions[row]! : 1 - predictions[row]!;
}

/** Multiclass: the mean over classes of one against the rest; classes that are not there do not count. */
function rocAuc({ y, weights, outputs }: Truth, predictions: ArrayLike<number>): number {
  if (outputs === 1) return binaryAuc(y, predictions, weights);
  let sum = 0;
  let seen = 0;
  for (let k = 0; k < outputs; k++) {
    const is = y.map((value) => (value === k ? 1 : 0));
    const positives = is.reduce((count, value) => count + value, 0);
    if (positives === 0 || positives === is.length) continue;
    sum += binaryAuc(
      is,
      Float32Array.from(y, (_, i) => predictions[i * outputs + k]!),
      weights,
    );
    seen++;
  }
  return seen === 0 ? 0.5 : sum / seen;
}

function balancedAccuracy(counts: number[][]): number {
  const recalls = counts.flatMap((row, k) => {
    const all = row.reduce((sum, value) => sum + value, 0);
    return all === 0 ? [] : [row[k]! / all];
  });
  return recalls.reduce((sum, value) => sum + value, 0) / recalls.length;
}

/** Binary: of the positive class. Multiclass: the mean over classes that are there. */
function f1({ outputs }: Truth, counts: number[][]): number {
  const of = (k: number): number | undefined => {
    const right = counts[k]![k]!;
    const actual = counts[k]!.reduce((sum, value) => sum + value, 0);
    const predicted = counts.reduce((sum, row) => sum + row[k]!, 0);
    return actual + predicted === 0 ? undefined : (2 * right) / (actual + predicted);
  };
  if (outputs === 1) return of(1) ?? 0;
  const each = counts.map((_, k) => of(k)).filter((value) => value !== undefined);
  return each.reduce((sum, value) => sum + value, 0) / each.length;
}
