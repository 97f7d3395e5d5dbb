import { describe, expect, it } from 'vitest';
import { problemOf } from '../data/problem.ts';
import { splitRows } from '../data/split.ts';
import { readTableText } from '../data/table.ts';
import { EvolutionError } from '../errors.ts';
import type { Judging } from '../evaluate/task.ts';
import { judgeModel } from './judge.ts';
import type { Model } from './model.ts';
import { fairSample } from './sample.ts';

const rows = 6000;
const budget = 1;

/** As databases often export: sorted by the target, which one column tells. */
async function sortedByTarget() {
  const lines = Array.from(
    { length: rows },
    (_, i) => `${(i * 37) % 101},${i < rows / 2 ? 0.2 : 0.8},${i < rows / 2 ? 0 : 1}`,
  );
  const table = await readTableText(`noise,tells,y\n${lines.join('\n')}\n`, { categorical: ['y'] });
  const { problem } = problemOf(table, { target: 'y', task: 'Binary' });
  const options = { folds: 2, holdout: 0.5, kind: 'Stratified', gap: 0, seed: 1 } as const;
  const judging: Judging = { data: problem.hash, task: 'Binary', split: options, metric: 'RocAUC', seed: 1 };
  return { problem, judging, split: splitRows(problem, options) };
}

/** Says what the column `tells` holds. */
const telling = (millisecondsOfRow: number, asked: number[] = []) =>
  ({
    predictFeatures: async (features, places) => {
      asked.push(places.length);
      const until = performance.now() + places.length * millisecondsOfRow;
      while (performance.now() < until);
      const { values } = features.find(({ name }) => name === 'tells')!;
      return Float64Array.from(places, (place) => values![place]!);
    },
  }) as Model;

describe('a model on a table that is sorted by its target', () => {
  it('is judged on rows of both classes, however few there is time for', async () => {
    const { problem, judging, split } = await sortedByTarget();
    const asked: number[] = [];
    const { holdout } = await judgeModel(telling(0.3, asked), problem, judging, split, budget);
    expect(Math.max(...asked)).toBeLessThan(split.holdout.length);
    expect(holdout).toBe(1);
  });

  it('is found to need the column that tells', async () => {
    const { problem, judging, split } = await sortedByTarget();
    const { importance } = await judgeModel(telling(0), problem, judging, split, 1000 * budget);
    expect(importance.map(({ column }) => column)).toEqual(['tells', 'noise']);
    expect(importance[0]!.loss).toBeGreaterThan(0.4);
  });
});

it('a model that fails on cells dealt anew, as frozen ones may, has no importance of columns, and a holdout', async () => {
  const { problem, judging, split } = await sortedByTarget();
  let asked = 0;
  const honest = telling(0);
  const fussy = {
    predictFeatures: async (features, places) => {
      // The time of a row, the holdout, the whole sample.
      if (++asked > 4) throw new EvolutionError('InputInvalid', 'never seen together');
      return honest.predictFeatures(features, places);
    },
  } as Model;
  expect(await judgeModel(fussy, problem, judging, split, 1000 * budget)).toMatchObject({ holdout: 1, importance: [] });
});

describe('a fair sample', () => {
  it('keeps the shares of classes, has each of them, and rows in their order; the same seed gives the same', async () => {
    const { problem } = await sortedByTarget();
    const y = Float64Array.from({ length: rows }, (_, i) => (i < 5990 ? 0 : 1));
    const all = Int32Array.from({ length: rows }, (_, i) => i);
    const sample = fairSample({ ...problem, y }, all, 60, 3);
    expect(sample.filter((row) => y[row] === 1)).toHaveLength(1);
    expect(sample.length).toBe(60);
    expect(sample).toEqual(sample.toSorted());
    expect(fairSample({ ...problem, y }, all, 60, 3)).toEqual(sample);
    expect(fairSample({ ...problem, y }, all, 60, 4)).not.toEqual(sample);
    expect(fairSample({ ...problem, y }, all, rows, 3)).toBe(all);
  });

  it('passes over rows of weight 0', async () => {
    const { problem } = await sortedByTarget();
    const weights = Float64Array.from({ length: rows }, (_, i) => i % 2);
    const all = Int32Array.from({ length: rows }, (_, i) => i);
    expect(fairSample({ ...problem, weights }, all, 100, 3).every((row) => row % 2 === 1)).toBe(true);
  });
});
