// What a spec asks for, in the units of the engine.
import { type EvolutionRunSpec, parseBytes, parseDecimal, parseDuration, parsePercentage } from '@quintet/crds';
import { memoryLimit } from '@quintet/runtime';
import type { Problem } from '../data/problem.ts';
import { outputsOf } from '../data/problem.ts';
import type { SplitOptions } from '../data/split.ts';
import type { TableOptions } from '../data/table.ts';
import type { Judging } from '../evaluate/task.ts';
import { defaultMetric } from '../metrics/metrics.ts';
import { spaceOf } from '../search/genome.ts';
import type { SearchOptions } from '../search/search.ts';

/** Teaching rows of a fold above which a first look at a sample pays. */
const sampleFrom = 6000;
const sampleRows = 2500;

export function tableOptionsOf({ dataset, validation }: EvolutionRunSpec): TableOptions {
  const types = Object.fromEntries((dataset.columns ?? []).map(({ name, type }) => [name, type]));
  const labels = dataset.task === 'Regression' ? [] : [dataset.target];
  const groups = validation.groupColumn === undefined ? [] : [validation.groupColumn];
  const exact = [dataset.target, dataset.weight, validation.timeColumn].filter((name) => name !== undefined);
  return {
    format: dataset.format,
    types,
    categorical: [...labels, ...groups],
    exact,
    maxSize: parseBytes(dataset.maxSize),
    memory: memoryLimit(),
  };
}

export function judgingOf(spec: EvolutionRunSpec, problem: Problem): Judging {
  const { validation, search } = spec;
  const split: SplitOptions = {
    folds: validation.folds,
    holdout: parsePercentage(validation.holdout),
    kind: validation.split ?? (problem.task === 'Regression' ? 'Random' : 'Stratified'),
    gap: validation.gap === undefined ? 0 : parseDuration(validation.gap),
    seed: search.seed,
  };
  return {
    data: problem.hash,
    task: problem.task,
    split,
    metric: spec.objective.metric ?? defaultMetric(problem.task),
    seed: search.seed,
  };
}

export function searchOptionsOf(spec: EvolutionRunSpec, problem: Problem): SearchOptions {
  const { search, validation, budget, earlyStopping } = spec;
  const taught = problem.rows * (1 - parsePercentage(validation.holdout)) * (1 - 1 / validation.folds);
  return {
    space: spaceOf(problem, search.learners, search.preprocessing, outputsOf(problem)),
    population: search.population,
    generations: search.generations,
    islands: search.islands,
    migration: search.migration,
    rates: { crossover: parsePercentage(search.crossover), mutation: parsePercentage(search.mutation) },
    folds: validation.folds,
    seed: search.seed,
    racing: spec.evaluation.racing === 'Enabled',
    cost: spec.objective.inferenceCost === 'Minimize',
    fraction: taught > sampleFrom ? Number((sampleRows / taught).toPrecision(3)) : 1,
    evaluations: budget.evaluations ?? Number.POSITIVE_INFINITY,
    earlyStopping: {
      generations: earlyStopping.generations,
      minImprovement: parseDecimal(earlyStopping.minImprovement),
    },
  };
}

/** Megabytes of heap of one evaluation; what lives in LightGBM's own memory is bounded by the pod alone. */
export function heapOf({ evaluation }: EvolutionRunSpec): { heap?: number } {
  return evaluation.memoryLimit === undefined
    ? {}
    : { heap: Math.max(64, Math.floor(parseBytes(evaluation.memoryLimit) / 2 ** 20)) };
}

/** Seconds. */
export function budgetOf({ budget: { time } }: EvolutionRunSpec): number {
  return parseDuration(time);
}
