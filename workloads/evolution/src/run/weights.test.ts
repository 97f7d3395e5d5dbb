// Sample weights through the whole of a run: what has weight 0 might as well not be there.
import { describe, expect, it } from 'vitest';
import { type Problem, problemOf } from '../data/problem.ts';
import { splitRows } from '../data/split.ts';
import { readTableText } from '../data/table.ts';
import { EvaluationContext } from '../evaluate/context.ts';
import { unpackPipeline } from '../evaluate/model.ts';
import type { Judging } from '../evaluate/task.ts';
import { keyOf } from '../search/genome.ts';
import { storedModel } from './stored.ts';

const rows = 90;
const split = { folds: 2, holdout: 0, kind: 'Random', gap: 0, seed: 1 } as const;

/** Every third row has weight 0, and there cells far from all others. */
async function weighed(far: number, level: string): Promise<Problem> {
  const line = (i: number) =>
    i % 3 === 2
      ? `${far},${level},${far},0`
      : `${i % 3 === 1 && i % 4 === 0 ? '' : i % 10},${i % 2 ? 'a' : 'b'},${i % 7},${1 + (i % 2)}`;
  const text = `x,site,y,w\n${Array.from({ length: rows }, (_, i) => line(i)).join('\n')}\n`;
  return problemOf(await readTableText(text, { exact: ['y', 'w'] }), { target: 'y', task: 'Regression', weight: 'w' })
    .problem;
}
const judgingOf = (problem: Problem): Judging => ({
  data: problem.hash,
  task: 'Regression',
  split,
  metric: 'RMSE',
  seed: 1,
});

describe('rows of weight 0', () => {
  it.each(['Linear', 'NearestNeighbors'] as const)('teach no pipeline anything (%s)', async (learner) => {
    const genes = { penalty: 0.1, l1Ratio: 0, k: 3, byDistance: 'No', power: 2, impute: 'Mean', encode: 'Target' };
    const genome = { learner, genes };
    const taught = async (far: number, level: string) => {
      const problem = await weighed(far, level);
      const context = new EvaluationContext(problem, judgingOf(problem));
      return context.evaluate({ genome, key: keyOf(genome), fold: 0, fraction: 1, priority: 0 });
    };
    const [some, other] = [await taught(5000, 'a'), await taught(-70, 'b')];
    expect(other.model).toEqual(some.model);
    expect(other.score).toBe(some.score);
  });

  it('do not move the model that always says the same', async () => {
    const problem = await weighed(5000, 'a');
    const { members } = storedModel(problem, judgingOf(problem), splitRows(problem, split), undefined, undefined);
    const { learner } = unpackPipeline(Buffer.from(members[0]!.pipelines[0]!, 'base64')) as {
      learner: { values: Float32Array };
    };
    const counted = Array.from({ length: rows }, (_, i) => i).filter((i) => i % 3 !== 2);
    const sum = counted.reduce((all, i) => all + (1 + (i % 2)) * (i % 7), 0);
    expect(learner.values[0]).toBeCloseTo(sum / counted.reduce((all, i) => all + 1 + (i % 2), 0), 5);
  });
});
