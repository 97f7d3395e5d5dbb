// Whether a run has room for what it will hold beside its table: folds, and predictions until the ensemble is chosen.
import { memoryLimit } from '@quintet/runtime';
import { outputsOf, type Problem } from '../data/problem.ts';
import { copies } from '../data/table.ts';
import { EvolutionError } from '../errors.ts';
import { mostPredictions } from '../search/kept.ts';
import { lagOf, type SearchOptions } from '../search/search.ts';

/** @throws EvolutionError DataTooLarge before anything is split or bred */
export function refuseRoomless(
  problem: Problem,
  { folds, population }: Pick<SearchOptions, 'folds' | 'population'>,
  memory = memoryLimit(),
): void {
  const { rows, features, weights, groups, times, frozen = [] } = problem;
  const exact = [problem.y, weights, groups, times].filter((each) => each !== undefined).length;
  const table = rows * (4 * features.length + 8 * exact);
  // Each fold parts all rows into two sides; the holdout and its other side once more.
  const split = 4 * rows * (folds + 1);
  const predictions = mostPredictions(rows, outputsOf(problem), lagOf(population) + frozen.length);
  const all = copies * table + split + predictions;
  if (all <= memory) return;
  const mebibytes = (each: number) => `${Math.ceil(each / 2 ** 20)} MiB`;
  throw new EvolutionError(
    'DataTooLarge',
    `${rows} rows take ${mebibytes(all)}, of which ${mebibytes(predictions)} for predictions of pipelines; there are ${mebibytes(memory)}`,
    { field: 'spec.resources.limits.memory', fix: 'raise it, or use fewer rows or a smaller population' },
  );
}
