// Frozen models among the pipelines of a run: judged fold by fold like them, and beside them on the front and in the ensemble.
import { outputsOf, type Problem } from '../data/problem.ts';
import type { SplitOptions } from '../data/split.ts';
import { EvolutionError } from '../errors.ts';
import type { EvaluationContext } from '../evaluate/context.ts';
import { packPipeline } from '../evaluate/model.ts';
import type { Evaluation, EvaluationTask, Evaluator, Judging } from '../evaluate/task.ts';
import { truthOf } from '../evaluate/truth.ts';
import { scoreOf } from '../metrics/metrics.ts';
import { keyOf } from '../search/genome.ts';
import type { Individual } from '../search/population.ts';
import type { Cut } from '../search/search.ts';
import { type FrozenModel, genomeOf, isFrozen, operationsOf } from './model.ts';
import { openFrozen } from './session.ts';

const honesty =
  'judged as it came, on every fold: its scores are out of fold only if it has learned from none of these rows';

export interface FrozenNote {
  readonly name: string;
  readonly sha256: string;
  readonly note: string;
}

/** Said wherever scores of frozen models are. */
export function frozenNotes({ frozen = [] }: Problem, cut: Cut): FrozenNote[] {
  return frozen.map(({ name, sha256 }, i) => ({
    name,
    sha256,
    note: cut.frozen?.includes(i) ? honesty : 'not judged: the clock came before',
  }));
}

/** A bred pipeline is fitted and judged; a frozen model is only asked about the judged rows, or by fold -1 about those of the holdout. */
export async function evaluated(context: EvaluationContext, task: EvaluationTask): Promise<Evaluation> {
  return isFrozen(task.genome) ? judged(context, task) : context.evaluate(task);
}

async function judged({ problem, judging, split }: EvaluationContext, task: EvaluationTask): Promise<Evaluation> {
  const started = performance.now();
  const model = problem.frozen?.find(({ sha256 }) => sha256 === task.genome.genes['sha256']);
  if (!model)
    throw new EvolutionError('DataDamaged', `the data came without the frozen model ${task.genome.genes['name']}`);
  const isJudged = task.fold >= 0;
  const rows = isJudged ? split.folds[task.fold]!.test : split.holdout;
  const session = await openFrozen(model, problem.features, { ...problem, outputs: outputsOf(problem) });
  try {
    const predictions = Float32Array.from(await session.predict(problem.features, rows));
    return {
      score: isJudged ? scoreOf(judging.metric, truthOf(problem, rows), predictions) : Number.NaN,
      predictions: isJudged ? predictions : new Float32Array(0),
      operations: operationsOf(model),
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await session.close();
  }
}

/** @throws EvolutionError naming the model that does not fit the table */
export async function refuseUnfit(problem: Problem): Promise<void> {
  for (const model of problem.frozen ?? []) {
    const fitting = await openFrozen(model, problem.features, { ...problem, outputs: outputsOf(problem) });
    await fitting.close();
  }
}

/**
 * Those that the clock lets be judged, numbered downwards from -1: no generation has bred them. Their tasks wait for no pipeline's.
 * @param replay Where the clock of an earlier attempt left some out, these are left out again
 * @throws EvolutionError naming the model that fails on the table
 */
export async function frozenMembers(
  evaluator: Evaluator,
  { frozen = [] }: Problem,
  { split }: Judging,
  countsCost: boolean,
  replay: Cut | undefined,
): Promise<Individual[]> {
  const members = frozen.map(async (model, i) => {
    if (replay?.frozen && !replay.frozen.includes(i)) return undefined;
    return memberOf(evaluator, model, indexOf(i), split, countsCost);
  });
  return (await Promise.all(members)).filter((member) => member !== undefined);
}

/** The cut, with the frozen models that were judged before it: they too are part of what is found. */
export function withMembers(cut: Cut, { frozen }: Problem, members: readonly Individual[]): Cut {
  return frozen ? { ...cut, frozen: members.map(({ index }) => indexOf(index)) } : cut;
}

/** Of the model in the problem from its number among pipelines, and back. */
function indexOf(index: number): number {
  return -1 - index;
}

async function memberOf(
  evaluator: Evaluator,
  model: FrozenModel,
  index: number,
  { folds, holdout }: SplitOptions,
  countsCost: boolean,
): Promise<Individual | undefined> {
  const genome = genomeOf(model);
  const key = keyOf(genome);
  // One that fails on rows of the holdout would end the run when all is done.
  const parts = [...Array.from({ length: folds }, (_, fold) => fold), ...(holdout > 0 ? [-1] : [])];
  const outcomes = parts.map((fold) => evaluator.evaluate({ genome, key, fold, fraction: 1, priority: -1 }));
  const scores: number[] = [];
  const predictions: Float32Array[] = [];
  let seconds = 0;
  for (const [i, outcome] of (await Promise.all(outcomes)).entries()) {
    if (!outcome.ok && outcome.kind === 'Stopped') return undefined;
    if (!outcome.ok)
      throw new EvolutionError('TrainingFailed', `the frozen model ${model.name}: ${outcome.reason}`, {
        field: 'spec.search.frozen',
      });
    seconds += outcome.seconds;
    if (parts[i] === -1) continue;
    scores.push(outcome.score);
    predictions.push(outcome.predictions);
  }
  return {
    index,
    island: 0,
    generation: -1,
    key,
    genome,
    parents: [],
    low: undefined,
    scores,
    predictions,
    models: [packPipeline({ frozen: model })],
    score: scores.reduce((sum, score) => sum + score, 0) / folds,
    cost: countsCost ? Math.log(operationsOf(model)) : 0,
    seconds,
  };
}
