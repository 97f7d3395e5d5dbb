// What every learner offers: fitted from plain data, predicting rows × outputs, storable as plain data.
import type { Task } from '../data/problem.ts';
import type { Matrix, Targets } from '../preprocess/matrix.ts';

export interface FitOptions {
  readonly task: Task;
  /** 1, or the number of classes of a Multiclass task. */
  readonly outputs: number;
  readonly genes: Readonly<Record<string, number | string>>;
  readonly seed: number;
  /** Names what was fitted on, where a learner can keep what it prepares of the same matrix. */
  readonly dataKey?: string;
}

export interface FittedLearner {
  /** Rows × outputs: probabilities, for Binary of the positive class, or values. */
  predict: (matrix: Matrix) => Float64Array;
  /** Everything `load` needs; numbers and texts only. */
  readonly state: LearnerState;
  /** Multiply-adds, comparisons and the like for one row: the cost that the search minimises, the same on every machine. */
  readonly operations: number;
  /** Frees what lives outside the heap; nothing is asked of the learner after it. */
  close?: () => void;
}

export type LearnerState =
  | { readonly kind: 'Trees'; readonly model: string }
  /** Of two classes one model, of the second, else one for each: how far its share is from that of all rows. */
  | { readonly kind: 'Forest'; readonly models: readonly string[]; readonly shares: Float32Array }
  | { readonly kind: 'Linear'; readonly weights: Float32Array; readonly bias: Float32Array }
  | {
      readonly kind: 'Neighbors';
      readonly data: Float32Array;
      readonly y: Float32Array;
      readonly weights: Float32Array | undefined;
      readonly columns: number;
      readonly k: number;
      readonly byDistance: boolean;
      readonly power: number;
    }
  | {
      readonly kind: 'Bayes';
      readonly priors: Float32Array;
      readonly means: Float32Array;
      readonly variances: Float32Array;
    }
  | {
      readonly kind: 'Network';
      readonly layers: readonly {
        readonly weights: Float32Array;
        readonly bias: Float32Array;
        readonly inputs: number;
      }[];
    }
  | { readonly kind: 'Constant'; readonly values: Float32Array };

/** One that came back from storage, which has its state. */
export type LoadedLearner = Pick<FittedLearner, 'predict' | 'close'>;

/** The target of a regression comes with mean 0 and deviation 1. */
export type Fit = (matrix: Matrix, targets: Targets, options: FitOptions) => FittedLearner;

/** Scores to probabilities in place: logistic for one output, softmax for more. */
export function toProbabilities(scores: Float64Array, outputs: number): Float64Array {
  if (outputs === 1) {
    for (let i = 0; i < scores.length; i++) scores[i] = 1 / (1 + Math.exp(-scores[i]!));
    return scores;
  }
  for (let start = 0; start < scores.length; start += outputs) {
    let top = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < outputs; k++) top = Math.max(top, scores[start + k]!);
    let sum = 0;
    for (let k = 0; k < outputs; k++) sum += scores[start + k] = Math.exp(scores[start + k]! - top);
    for (let k = 0; k < outputs; k++) scores[start + k]! /= sum;
  }
  return scores;
}
