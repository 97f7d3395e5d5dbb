import { describe, expect, it } from 'vitest';
import type { Truth } from '../metrics/metrics.ts';
import { type EnsembleOptions, greedyEnsemble } from './ensemble.ts';
import type { Individual } from './population.ts';

const y = Float64Array.from({ length: 60 }, (_, i) => i);
const truth: Truth = { task: 'Regression', y, weights: undefined, outputs: 1 };
const options: EnsembleOptions = { metric: 'RMSE', truths: [truth], maxMembers: 10, effort: 1e6, seed: 1 };

/** Wrong in one direction or the other, so that two are better than either. */
const pipeline = (index: number, bytes: number): Individual =>
  ({
    index,
    key: `${index}`,
    score: -index,
    scores: [-index],
    predictions: [Float32Array.from(y, (value, i) => value + (1 + index / 10) * Math.cos(i * (index + 1)))],
    models: [new Uint8Array(bytes)],
  }) as unknown as Individual;

describe('an ensemble', () => {
  const three = [pipeline(0, 40), pipeline(1, 70), pipeline(2, 50)];
  const indexes = (room?: number) => {
    const made = greedyEnsemble(three, room === undefined ? options : { ...options, room });
    return made && [made.members.map(({ individual }) => individual.index).toSorted((a, b) => a - b), made.roomless];
  };

  it('takes what makes it better', () => {
    expect(indexes()).toEqual([[0, 1, 2], 0]);
    expect(indexes(160)).toEqual([[0, 1, 2], 0]);
  });

  it('leaves out pipelines whose models have no room, and counts them', () => {
    expect(indexes(100)).toEqual([[0, 2], 1]);
    expect(indexes(60)).toEqual([[0], 2]);
    expect(indexes(45)).toEqual([[0], 2]);
  });

  it('is none where no pipeline has room', () => {
    expect(indexes(30)).toBeUndefined();
    expect(greedyEnsemble([], options)).toBeUndefined();
  });
});
