// Whether a run has room for what it will hold beside its table: folds, and until the ensemble is chosen predictions and fitted models.
import { memoryLimit } from '@quintet/runtime';
import { outputsOf, type Problem } from '../data/problem.ts';
import { mebibytes } from '../data/size.ts';
import { copies } from '../data/table.ts';
import { EvolutionError } from '../errors.ts';
import { mostTaught } from '../learners/neighbors.ts';
import { mostLevels } from '../preprocess/encode.ts';
import { mostHeld } from '../search/kept.ts';
import { lagOf, type SearchOptions } from '../search/search.ts';

/** @throws EvolutionError DataTooLarge before anything is split or bred */
export function refuseRoomless(
  problem: Problem,
  { folds, population, space }: Pick<SearchOptions, 'folds' | 'population' | 'space'>,
  memory = memoryLimit(),
): void {
  const { rows, features, weights, groups, times, frozen = [] } = problem;
  const exact = [problem.y, weights, groups, times].filter((each) => each !== undefined).length;
  const table = rows * (4 * features.length + 8 * exact);
  // Each fold parts all rows into two sides; the holdout and its other side once more.
  const split = 4 * rows * (folds + 1);
  const predictions = 4 * rows * outputsOf(problem);
  const models = space.learners.includes('NearestNeighbors') ? folds * neighborsOf(problem) : 0;
  const flying = lagOf(population);
  // Of what is under way a learner has its share. Where a search leans to one, most of the others of it are raced out, and hold nothing.
  const ofLearner = Math.ceil(flying / space.learners.length);
  const pipelines = mostHeld(predictions + models, ofLearner) + predictions * (flying - ofLearner + frozen.length);
  const all = copies * table + split + pipelines;
  if (all <= memory) return;
  throw new EvolutionError(
    'DataTooLarge',
    `${rows} rows take ${mebibytes(all)}, of which ${mebibytes(pipelines)} for predictions and fitted models of pipelines; there are ${mebibytes(memory)}`,
    {
      field: 'spec.resources.limits.memory',
      fix: `raise it, or use fewer rows${models > predictions ? ', a smaller population or no NearestNeighbors' : ' or a smaller population'}`,
    },
  );
}

/** Bytes of the fitted model of one fold, in the one learner that keeps what it has seen; others' hardly grow with the table. */
function neighborsOf({ rows, features }: Problem): number {
  const columns = features.reduce((sum, { levels }) => sum + (levels ? Math.min(mostLevels, levels.length) : 1), 0);
  return 4 * Math.min(mostTaught, rows) * columns;
}
