// One run from data to model, whoever evaluates: audit, search, ensemble, holdout, all within the budget.
import type { EvolutionRunSpec } from '@quintet/crds';
import { auditLeakage, type Suspect } from '../data/leakage.ts';
import type { Problem } from '../data/problem.ts';
import { type Split, splitRows } from '../data/split.ts';
import { EvolutionError } from '../errors.ts';
import { type EvaluationCache, withCache } from '../evaluate/cache.ts';
import type { Evaluator, Judging } from '../evaluate/task.ts';
import { truthOf } from '../evaluate/truth.ts';
import { isFrozen } from '../frozen/model.ts';
import { lightgbm } from '../learners/lightgbm/library.ts';
import { shown, type Truth } from '../metrics/metrics.ts';
import { type Ensemble, type EnsembleMember, greedyEnsemble } from '../search/ensemble.ts';
import { type Genome, keyOf } from '../search/genome.ts';
import type { Cut, SearchProgress, SearchResult } from '../search/search.ts';
import { after } from '../timer.ts';
import { type Before, BudgetClock } from './clock.ts';
import { type Found, find } from './find.ts';
import type { Importance } from './importance.ts';
import { effortOf, judgeModel, refuseUnjudgeable } from './judge.ts';
import { type Model, modelOf } from './model.ts';
import { roomForPipelines, sizeWarnings } from './modelSize.ts';
import { refuseRoomless } from './room.ts';
import { budgetOf, judgingOf, searchOptionsOf } from './settings.ts';
import { storedModel } from './stored.ts';
import { timeWarnings } from './times.ts';

export interface RunOptions {
  readonly spec: EvolutionRunSpec;
  readonly problem: Problem;
  /** `performance.now()` when the run began; reading the data counts. */
  readonly started: number;
  /** Starts whoever evaluates; `stop` ends everything under way at once. */
  readonly evaluators: (
    problem: Problem,
    judging: Judging,
  ) => Promise<Evaluator & { readonly waiting?: number; stop: () => void; close: () => Promise<void> }>;
  readonly cache?: EvaluationCache;
  readonly replay?: Cut;
  /** Pipelines of another run, tried first. */
  readonly first?: readonly Genome[];
  /** What earlier attempts at this run did: it is found again, beside the budget, before the rest of the budget runs. */
  readonly before?: Before;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: RunProgress) => void;
  /** Where the clock cut the search, before anything is made of it. */
  readonly onCut?: (cut: Cut) => Promise<void>;
}

export interface RunProgress extends SearchProgress {
  readonly phase: 'Search' | 'Ensemble' | 'Done';
  /** Of the budget, with what earlier attempts used. */
  readonly secondsUsed: number;
  readonly secondsLeft: number;
  /** Tasks that wait or are under way, as far as the evaluators tell. */
  readonly queued: number;
  /** 0..1 */
  readonly share: number;
  /** As people know the metric. */
  readonly score: number | undefined;
  /** Known before the first pipeline is bred. */
  readonly suspects: readonly Suspect[];
}

export interface RunResult {
  readonly model: Model;
  readonly search: SearchResult;
  readonly ensemble: Ensemble | undefined;
  readonly suspects: readonly Suspect[];
  readonly judging: Judging;
  readonly split: Split;
  readonly truths: readonly Truth[];
  /** As people know the metric. */
  readonly score: number | undefined;
  readonly holdout: number | undefined;
  /** Milliseconds of one row, measured. */
  readonly inferenceTime: number | undefined;
  /** Worth of the columns, most first; those that there was no time for are not among them. */
  readonly importance: readonly Importance[];
  /** What else should be known of the model. */
  readonly warnings: readonly string[];
  readonly cacheHits: { readonly asked: number; readonly hits: number };
  readonly seconds: number;
}

export async function runEvolution(options: RunOptions): Promise<RunResult> {
  const { spec, problem, started, before = { seconds: 0, placed: 0 } } = options;
  if (spec.search.learners.some((learner) => treeLearners.has(learner))) lightgbm();
  const judging = judgingOf(spec, problem);
  refuseRoomless(problem, searchOptionsOf(spec, problem));
  const split = splitRows(problem, judging.split);
  refuseUnjudgeable(problem, judging, split);
  const suspects = audited(spec, problem, split);
  const budget = budgetOf(spec);
  const stop = new AbortController();
  let inner = await options.evaluators(problem, judging);
  const evaluator = withCache(inner, judging, options.cache, stop.signal);
  const strike = (): void => {
    stop.abort();
    inner.stop();
  };
  const clock = new BudgetClock({ seconds: budget - reserveOf(budget, judging), started, before, strike });
  if (options.signal?.aborted) strike();
  options.signal?.addEventListener('abort', strike, { once: true });
  const report = (phase: RunProgress['phase'], progress: SearchProgress): void => {
    clock.pass(progress.placed);
    const { spent } = clock;
    options.onProgress?.({
      ...progress,
      phase,
      secondsUsed: spent,
      queued: inner.waiting ?? 0,
      secondsLeft: Math.max(0, budget - spent),
      share: phase === 'Done' ? 1 : shareOf(spec, spent / budget, progress.placed),
      score: progress.best ? shown(judging.metric, progress.best.score) : undefined,
      suspects,
    });
  };
  try {
    report('Search', nothingYet);
    const replay = options.replay ?? before.cut;
    const { first } = options;
    const searchOptions = {
      ...searchOptionsOf(spec, problem),
      ...(first ? { first } : {}),
      ...(replay ? { replay } : {}),
    };
    const found = await find({
      evaluator,
      problem,
      judging,
      options: searchOptions,
      stopped: stop.signal,
      strike,
      onProgress: (progress) => report('Search', progress),
    });
    options.signal?.throwIfAborted();
    if (clock.lost) throw lostResults(before, found);
    requireResults(found, spec);
    const origin = clock.end();
    if (found.isCut && !replay) await options.onCut?.(found.cut);
    report('Ensemble', found);
    const truths = split.folds.map((fold) => truthOf(problem, fold.test));
    const room = roomForPipelines(problem.features);
    const ensemble = ensembleOf(found, spec, judging, truths, budget, room);
    let refitted: Map<string, Uint8Array> | undefined;
    if (judging.split.kind === 'Time' && ensemble) {
      if (stop.signal.aborted) {
        // The clock ended the evaluators with the search.
        await inner.close();
        inner = await options.evaluators(problem, judging);
      }
      const again = withCache(inner, judging, options.cache, new AbortController().signal);
      refitted = await refit(again, ensemble.members, origin + 1000 * budget * 0.98);
    }
    inner.stop();
    const model = modelOf(storedModel(problem, judging, split, ensemble, refitted));
    const judged = await judgeModel(model, problem, judging, split, budget);
    const result: RunResult = {
      model,
      search: found,
      ensemble,
      suspects,
      judging,
      split,
      truths,
      warnings: [...sizeWarnings(ensemble, room, spec), ...timeWarnings(problem, spec)],
      score: ensemble ? shown(judging.metric, ensemble.score) : undefined,
      ...judged,
      cacheHits: { asked: evaluator.asked, hits: evaluator.hits },
      seconds: (performance.now() - started) / 1000,
    };
    report('Done', found);
    return result;
  } finally {
    clock.end();
    options.signal?.removeEventListener('abort', strike);
    await inner.close();
  }
}

/** @throws EvolutionError DataSuspect where the spec says Stop */
function audited({ validation }: EvolutionRunSpec, problem: Problem, split: Split): Suspect[] {
  const suspects = validation.leakage === 'None' ? [] : auditLeakage(problem, split);
  if (suspects.length === 0 || validation.leakage !== 'Stop') return suspects;
  throw new EvolutionError('DataSuspect', suspects.map((suspect) => suspect.text).join('; '), {
    field: 'spec.validation.leakage',
    ...(suspects[0]!.column === undefined ? {} : { column: suspects[0]!.column }),
    fix: 'declare the columns Ignore, or set leakage: Warn',
  });
}

/** Of time or of pipelines, whichever is nearer to its end. */
function shareOf(
  { budget, search: { population, generations } }: EvolutionRunSpec,
  time: number,
  placed: number,
): number {
  const most = Math.min(budget.evaluations ?? Number.POSITIVE_INFINITY, population * generations);
  return Math.min(1, Math.max(time, placed / most));
}

function ensembleOf(
  { complete }: SearchResult,
  { ensemble, search: { seed } }: EvolutionRunSpec,
  { metric }: Judging,
  truths: readonly Truth[],
  budget: number,
  room: number,
): Ensemble | undefined {
  const { maxMembers } = ensemble;
  return greedyEnsemble(complete, { metric, truths, maxMembers, room, effort: effortOf(budget), seed });
}

function lostResults(before: Before, { placed }: SearchResult): EvolutionError {
  return new EvolutionError(
    'QueueUnavailable',
    `of ${before.placed} pipelines that were evaluated before, only ${placed} could be found again in time`,
    { field: 'spec.workers', fix: 'see whether workers run' },
  );
}

const nothingYet: SearchProgress = {
  generation: 0,
  placed: 0,
  racedOut: 0,
  failed: 0,
  cached: 0,
  best: undefined,
};

const treeLearners: ReadonlySet<string> = new Set(['GradientBoosting', 'RandomForest', 'ExtraTrees']);

/**
 * A search in which everything failed has found out why, and no model; one that had no time for any pipeline not even that.
 * @throws EvolutionError TrainingFailed or BudgetTooShort
 */
function requireResults({ complete: all, bred }: Found, { budget }: EvolutionRunSpec): void {
  const { complete, failed, failures, reason, placed } = bred;
  if (complete.length > 0) return;
  // Frozen models are an answer too.
  if (reason === 'Clock' && all.length > 0) return;
  if (reason === 'Clock' && failed === 0) {
    throw new EvolutionError('BudgetTooShort', `no pipeline was finished in ${budget.time}`, {
      field: 'spec.budget.time',
      fix: 'give more, or use fewer rows',
    });
  }
  const why = [...new Set(failures)].slice(0, 3).join('; ');
  throw new EvolutionError(
    'TrainingFailed',
    `none of ${placed} pipelines could be evaluated: ${why || 'all lost early'}`,
    {
      field: reason === 'Clock' ? 'spec.budget.time' : 'spec.search.learners',
    },
  );
}

/** Seconds kept for what follows the search; forward-in-time splits also fit the winners once more on all rows. */
function reserveOf(budget: number, judging: Judging): number {
  return Math.min(30, 0.25 + 0.04 * budget) + (judging.split.kind === 'Time' ? 0.1 * budget : 0);
}

/** The latest rows matter most over time: the members are fitted again on all rows, as far as the clock allows. */
async function refit(
  evaluator: Evaluator,
  members: readonly EnsembleMember[],
  deadline: number,
): Promise<Map<string, Uint8Array>> {
  const models = new Map<string, Uint8Array>();
  let stop: (() => void) | undefined;
  const late = new Promise<void>((resolve) => (stop = after(Math.max(0, deadline - performance.now()), resolve)));
  const all = Promise.all(
    members.map(async ({ individual }) => {
      if (isFrozen(individual.genome)) return;
      const outcome = await evaluator.evaluate({
        genome: individual.genome,
        key: keyOf(individual.genome),
        fold: -1,
        fraction: 1,
        priority: -1,
      });
      if (outcome.ok && outcome.model) models.set(individual.key, outcome.model);
    }),
  );
  await Promise.race([all, late]);
  stop?.();
  return models;
}
