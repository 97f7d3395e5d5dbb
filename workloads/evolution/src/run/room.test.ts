import { expect, it } from 'vitest';
import type { Problem } from '../data/problem.ts';
import type { LearnerName } from '../learners/index.ts';
import type { SearchOptions } from '../search/search.ts';
import { refuseRoomless } from './room.ts';

const problem = (rows: number, classes: number, columns = 20) =>
  ({
    task: classes > 2 ? 'Multiclass' : 'Binary',
    rows,
    features: Array.from({ length: columns }, () => ({})),
    y: new Float64Array(0),
    classes: Array.from({ length: classes }, (_, i) => `${i}`),
  }) as unknown as Problem;
const searchOf = (population: number, ...learners: LearnerName[]) =>
  ({ folds: 5, population, space: { learners } }) as unknown as SearchOptions;
const optionsOf = (...learners: LearnerName[]) => searchOf(60, ...learners);
const options = optionsOf('Linear');

it('a short table of many classes is refused where the predictions of pipelines would not fit', () => {
  const refusal = () => refuseRoomless(problem(200_000, 100), options, 2 ** 30);
  expect(refusal).toThrow(
    '200000 rows take 3946 MiB, of which 3891 MiB for predictions and fitted models of pipelines; there are 1024 MiB',
  );
  expect(refusal).toThrow(expect.objectContaining({ reason: 'DataTooLarge' }) as Error);
  expect(() => refuseRoomless(problem(200_000, 2), options, 2 ** 30)).not.toThrow();
});

it('a search whose fitted models would not fit is refused, where a learner keeps what it has seen', () => {
  const wide = problem(30_000, 2, 300);
  const refusal = () => refuseRoomless(wide, optionsOf('Linear', 'NearestNeighbors'), 2 ** 31);
  // 20 000 of the rows × 300 × 4 bytes, of five folds, of six that are kept and 23 of the 45 that fly.
  expect(refusal).toThrow(/of which 33\d\d MiB for predictions and fitted models .* or no NearestNeighbors/);
  expect(() => refuseRoomless(wide, options, 2 ** 31)).not.toThrow();
  expect(() => refuseRoomless(problem(30_000, 2, 30), optionsOf('NearestNeighbors'), 2 ** 31)).not.toThrow();
});

it('an ordinary table of words has room with NearestNeighbors among the learners', () => {
  const words = [9, 16, 7, 15, 6, 5, 2, 42].map((levels) => ({ levels: new Array<string>(levels) }));
  const adult = { ...problem(32_561, 2, 6), features: [...problem(1, 2, 6).features, ...words] } as unknown as Problem;
  expect(() => refuseRoomless(adult, optionsOf('Linear', 'NearestNeighbors'), 2 ** 31)).not.toThrow();
  const usual = ['GradientBoosting', 'RandomForest', 'Linear', 'NearestNeighbors', 'NeuralNetwork'] as const;
  expect(() => refuseRoomless(adult, searchOf(60, ...usual), 2 ** 30)).not.toThrow();
  expect(() =>
    refuseRoomless(adult, searchOf(24, 'Linear', 'NearestNeighbors', 'NeuralNetwork'), 2 ** 30),
  ).not.toThrow();
  expect(() => refuseRoomless(adult, optionsOf('NearestNeighbors'), 2 ** 31)).toThrow('32561 rows take');
});
