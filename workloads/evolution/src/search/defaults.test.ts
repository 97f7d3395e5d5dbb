import { describe, expect, it } from 'vitest';
import { trainingTime } from './cost.ts';
import { defaultGenomes } from './defaults.ts';
import type { Space } from './genome.ts';

const space = (rows: number): Space => ({
  task: 'Binary',
  learners: ['GradientBoosting', 'Linear', 'NaiveBayes', 'NearestNeighbors'],
  steps: [],
  rows,
  numbers: 24,
  categories: 0,
  gaps: false,
  outputs: 1,
});

describe('the first pipelines', () => {
  it('begin with one that is good on most tables, for which the others wait', () => {
    for (const rows of [200, 20_000, 100_000]) expect(defaultGenomes(space(rows))[0]?.learner).toBe('GradientBoosting');
  });

  it('begin with the cheapest where that one takes long, so that a short budget has an answer at all', () => {
    const times = defaultGenomes(space(2_000_000)).map((genome) => trainingTime(genome, space(2_000_000)));
    expect(times[0]).toBe(Math.min(...times));
    expect(defaultGenomes(space(2_000_000))[0]?.learner).toBe('NaiveBayes');
  });
});
