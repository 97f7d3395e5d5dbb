import { expect, it } from 'vitest';
import type { Problem } from '../data/problem.ts';
import { refuseRoomless } from './room.ts';

const problem = (rows: number, classes: number) =>
  ({
    task: classes > 2 ? 'Multiclass' : 'Binary',
    rows,
    features: Array.from({ length: 20 }),
    y: new Float64Array(0),
    classes: Array.from({ length: classes }, (_, i) => `${i}`),
  }) as unknown as Problem;
const options = { folds: 5, population: 60 };

it('a short table of many classes is refused where the predictions of pipelines would not fit', () => {
  const refusal = () => refuseRoomless(problem(200_000, 100), options, 2 ** 30);
  expect(refusal).toThrow(
    '200000 rows take 3946 MiB, of which 3891 MiB for predictions of pipelines; there are 1024 MiB',
  );
  expect(refusal).toThrow(expect.objectContaining({ reason: 'DataTooLarge' }) as Error);
  expect(() => refuseRoomless(problem(200_000, 2), options, 2 ** 30)).not.toThrow();
});
