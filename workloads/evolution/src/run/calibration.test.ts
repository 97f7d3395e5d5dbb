import { expect, it } from 'vitest';
import type { Truth } from '../metrics/metrics.ts';
import type { EnsembleMember } from '../search/ensemble.ts';
import { calibrationOf } from './calibration.ts';

const members = [
  { individual: { predictions: [Float32Array.of(0.125, 0.125, 0.75, 0.75, 1)] }, weight: 1 },
] as unknown as EnsembleMember[];
const truth: Truth = { task: 'Binary', y: Float64Array.of(0, 1, 1, 0, 1), weights: undefined, outputs: 1 };

it('sets the share of positives beside the mean prediction of each tenth', () => {
  expect(calibrationOf(members, [truth])).toEqual([
    [0.125, 0.5],
    [0.75, 0.5],
    [1, 1],
  ]);
});

it('counts rows by their weights, and none of weight 0', () => {
  expect(calibrationOf(members, [{ ...truth, weights: Float64Array.of(3, 1, 0, 2, 0) }])).toEqual([
    [0.125, 0.25],
    [0.75, 0],
  ]);
});

it('is for two classes', () => {
  expect(calibrationOf(members, [{ ...truth, task: 'Regression' }])).toEqual([]);
});
