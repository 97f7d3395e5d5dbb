// One pipeline from its first look to its place: the teaching sample, then fold by fold, until it has run all of them or cannot catch up.
import type { EvaluationTask, Evaluator, Outcome } from '../evaluate/task.ts';
import { trainingTime } from './cost.ts';
import type { Space } from './genome.ts';
import type { Candidate, Individual } from './population.ts';
import type { Race } from './racing.ts';
import type { Wave } from './wave.ts';

export interface Completed {
  readonly candidate: Candidate;
  readonly kind: 'Complete';
  readonly individual: Individual;
  /** Everything that was asked was known before. */
  readonly cached: boolean;
}

export type Finish =
  | Completed
  /** `promise`: the score that it would have had, by what was seen of it. */
  | { readonly candidate: Candidate; readonly kind: 'RacedOut'; readonly promise: number }
  | { readonly candidate: Candidate; readonly kind: 'Failed' | 'Stopped'; readonly reason: string };

export interface Known {
  readonly judge: Race;
  /** Who it must keep up with; undefined when all have failed. */
  readonly reference: Individual | undefined;
}

export interface Trial {
  readonly evaluator: Evaluator;
  readonly options: {
    readonly space: Space;
    readonly folds: number;
    readonly racing: boolean;
    /** Share of teaching rows in the first look; 1 where data is too small for it. */
    readonly fraction: number;
    /** Whether the cost of a prediction is the second objective. */
    readonly cost: boolean;
  };
  /** Nobody is there to compare it with: all folds run at once. */
  readonly alone: boolean;
  /** Known by the time that its first look is judged; undefined when the search has been stopped. */
  readonly known: Promise<Known | undefined>;
  /** The first of its learner, which is stopped only where it is hopeless, and dearer than the one it is compared with. */
  readonly pioneer: boolean;
  /** Others that it is compared with before it goes on. */
  readonly wave: Wave | undefined;
}

/** Folds between two looks, after the first. */
const atOnce = 4;

type Done = Outcome & { readonly ok: true };

export async function tried(candidate: Candidate, trial: Trial): Promise<Finish> {
  const finish = await looked(candidate, trial);
  if (finish.kind === 'Stopped') trial.wave?.stop();
  else trial.wave?.leave();
  return finish;
}

async function looked(candidate: Candidate, trial: Trial): Promise<Finish> {
  const { evaluator, options, alone, pioneer, wave } = trial;
  const { folds, fraction, racing } = options;
  const run = (fold: number, share: number): Promise<Outcome> => evaluator.evaluate(taskOf(candidate, fold, share));
  let low: number | undefined;
  if (racing && fraction < 1) {
    const outcome = await run(0, fraction);
    if (!outcome.ok) return ended(candidate, outcome);
    low = outcome.score;
    const rival = wave ? await wave.tell([low]) : [];
    const known = await trial.known;
    if (!rival || !known) return stopped(candidate);
    const { judge, reference } = known;
    if (!spared(candidate, trial, known) && judge.losesSample(low, reference, pioneer, rival[0]))
      return { candidate, kind: 'RacedOut', promise: reference!.score - (reference!.low! - low) };
  }
  const outcomes: Done[] = [];
  for (const part of alone ? [Array.from({ length: folds }, (_, fold) => fold)] : looksOf(folds)) {
    for (const outcome of await Promise.all(part.map((fold) => run(fold, 1)))) {
      if (!outcome.ok) return ended(candidate, outcome);
      outcomes.push(outcome);
    }
    if (outcomes.length === folds) break;
    const scores = outcomes.map((each) => each.score);
    const rival = wave ? await wave.tell(scores) : scores;
    const known = await trial.known;
    if (!rival || !known) return stopped(candidate);
    const { judge, reference } = known;
    if (reference && !spared(candidate, trial, known) && judge.losesFolds(scores, reference, pioneer, rival)) {
      const behind = meanOf(scores.map((score, i) => reference.scores[i]! - score));
      return { candidate, kind: 'RacedOut', promise: reference.score - behind };
    }
  }
  const cached = outcomes.every((outcome) => outcome.cached);
  return { candidate, kind: 'Complete', individual: individualOf(candidate, low, outcomes, options.cost), cached };
}

/** Whatever it is worth to an ensemble, it costs less than to know. */
function spared({ genome }: Candidate, { pioneer, options: { space } }: Trial, { reference }: Known): boolean {
  return pioneer && reference !== undefined && trainingTime(genome, space) <= trainingTime(reference.genome, space);
}

/** The first fold alone, for most are lost there; then several at a time: whoever comes later waits for the place of one that takes long. */
export function looksOf(folds: number): number[][] {
  const looks = [[0]];
  for (let fold = 1; fold < folds; fold += atOnce)
    looks.push(Array.from({ length: Math.min(atOnce, folds - fold) }, (_, i) => fold + i));
  return looks;
}

function taskOf({ genome, key, index }: Candidate, fold: number, fraction: number): EvaluationTask {
  return { genome, key, fold, fraction, priority: index };
}

function individualOf(
  candidate: Candidate,
  low: number | undefined,
  outcomes: readonly Done[],
  countsCost: boolean,
): Individual {
  return {
    ...candidate,
    low,
    scores: outcomes.map((outcome) => outcome.score),
    predictions: outcomes.map((outcome) => outcome.predictions),
    models: outcomes.map((outcome) => outcome.model),
    score: meanOf(outcomes.map((outcome) => outcome.score)),
    cost: countsCost ? Math.log(meanOf(outcomes.map((outcome) => outcome.operations))) : 0,
    seconds: outcomes.reduce((sum, outcome) => sum + outcome.seconds, 0),
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function stopped(candidate: Candidate): Finish {
  return { candidate, kind: 'Stopped', reason: 'the search has ended' };
}

function ended(candidate: Candidate, outcome: Outcome & { ok: false }): Finish {
  return { candidate, kind: outcome.kind === 'Stopped' ? 'Stopped' : 'Failed', reason: outcome.reason };
}
