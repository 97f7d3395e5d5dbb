import { describe, expect, it } from 'vitest';
import { problemOf } from '../data/problem.ts';
import { readTableText } from '../data/table.ts';
import { EvaluationContext } from '../evaluate/context.ts';
import { randomOf } from '../random.ts';
import { keyOf } from '../search/genome.ts';
import { groupingsOf, targetColumns } from './targets.ts';

describe('groupings of classes', () => {
  it.each([
    [2, 10],
    [10, 10],
    [11, 10],
    [33, 32],
    [100, 32],
    [1000, 10],
    [1000, 32],
  ])('tell every two of %i apart, %i at most', (classes, most) => {
    const groupings = groupingsOf(classes, most);
    expect(groupings).toHaveLength(Math.min(classes, most));
    const marks = Array.from({ length: classes }, (_, k) => groupings.map((members) => members[k]).join(''));
    expect(new Set(marks).size).toBe(classes);
    for (const members of groupings) expect(members).toContain(1);
  });
});

async function shops(classes: number, rows: number) {
  const random = randomOf('shops', classes);
  const lines = Array.from({ length: rows }, () => {
    const shop = random.int(4 * classes);
    return `${random.normal()},S${shop},class${random.next() < 0.1 ? random.int(classes) : shop % classes}`;
  });
  const table = await readTableText(`a,shop,y\n${lines.join('\n')}\n`, { categorical: ['y'] });
  return problemOf(table, { target: 'y', task: 'Multiclass' }).problem;
}

it.each([20, 100])('a column of many levels tells all of %i classes', async (classes) => {
  const problem = await shops(classes, 3000);
  const split = { folds: 3, holdout: 0, kind: 'Stratified', gap: 0, seed: 1 } as const;
  const judging = { data: problem.hash, task: problem.task, metric: 'Accuracy', seed: 1, split } as const;
  const genes = { k: 15, byDistance: 'No', power: 2, impute: 'Mean', encode: 'Target', select: 1, scale: 'Standard' };
  const genome = { learner: 'NearestNeighbors', genes } as const;
  const task = { genome, key: keyOf(genome), fold: 0, fraction: 1, priority: 0 };
  expect(new EvaluationContext(problem, judging).evaluate(task).score).toBeGreaterThan(0.7);
});

it('of many columns that are encoded, or many rows, there are fewer, so that they have room', async () => {
  const problem = await shops(100, 2000);
  const rows = Int32Array.from({ length: problem.rows }, (_, i) => i);
  const counts = [0, 1, 500, 5000].map((encoded) => targetColumns(problem, rows, encoded).length);
  expect(counts).toEqual([32, 32, 16, 10]);
});
