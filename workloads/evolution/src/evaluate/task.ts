// One unit of work: a genome on one fold at one fidelity. Everything about its outcome follows from these fields.
import type { Task as ProblemTask } from '../data/problem.ts';
import type { SplitOptions } from '../data/split.ts';
import type { Metric } from '../metrics/metrics.ts';
import type { Genome } from '../search/genome.ts';

export interface Judging {
  /** Hash of the problem. */
  readonly data: string;
  readonly task: ProblemTask;
  readonly split: SplitOptions;
  readonly metric: Metric;
  readonly seed: number;
}

export interface EvaluationTask {
  readonly genome: Genome;
  /** Key of the genome. */
  readonly key: string;
  /** Fold, or -1 to learn from all rows outside the holdout and judge nothing; of a frozen model, to be asked about the holdout. */
  readonly fold: number;
  /** Share of the teaching rows. */
  readonly fraction: number;
  /** Lower goes first. */
  readonly priority: number;
}

export interface Evaluation {
  /** Greater is better; NaN for fold -1. */
  readonly score: number;
  /** Predictions of the judged rows × outputs; empty below full fidelity. */
  readonly predictions: Float32Array;
  /** Operations of one prediction. */
  readonly operations: number;
  readonly seconds: number;
  /** The fitted pipeline, packed; absent below full fidelity. */
  readonly model?: Uint8Array;
}

export type Outcome =
  | ({ readonly ok: true; readonly cached: boolean } & Evaluation)
  | { readonly ok: false; readonly kind: 'Failed' | 'TimeLimit' | 'Stopped'; readonly reason: string };

/** Runs tasks wherever: in processes of this machine, or in workers of a queue. */
export interface Evaluator {
  evaluate: (task: EvaluationTask) => Promise<Outcome>;
}
