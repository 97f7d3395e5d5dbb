// Random forests and extra trees that tell classes apart: a leaf holds the share of each class among its rows (Breiman 2001), so that their mean is a
// probability. LightGBM's own forests of classes take one Newton step from the prior instead, which is far from the share where classes are unequal.

import { meanOf } from '../preprocess/statistics.ts';
import { type Fit, type FitOptions, type LearnerState, type LoadedLearner } from './learner.ts';
import { lightgbm } from './lightgbm/library.ts';
import { boosterOn, datasetOf, fitTrees, grow, operationsOf, predicted } from './trees.ts';

/** No row is sure: what no tree has seen in a leaf may be there. */
export const leastShare = 1e-7;

/** The learner must be closed, as `fitTrees` says. */
export const fitForest: Fit = (matrix, targets, options) => {
  if (options.task === 'Regression') return fitTrees(matrix, targets, options);
  const library = lightgbm();
  const { handle, giveBack } = datasetOf(matrix, targets, options);
  const label = (values: Float64Array) => library.datasetSetField(handle, 'label', Float32Array.from(values));
  // The mean of 0 and 1 is a share: a forest for each class, on the same bins.
  const ofShares: FitOptions = { ...options, task: 'Regression', outputs: 1 };
  const models: string[] = [];
  const shares = new Float32Array(options.outputs);
  let trees = 0;
  try {
    for (let k = 0; k < options.outputs; k++) {
      const is = options.outputs === 1 ? targets.y : targets.y.map((value) => (value === k ? 1 : 0));
      shares[k] = meanOf(is, targets.weights);
      // Around 0, which is what LightGBM makes of a tree that finds no split.
      label(is.map((value) => value - shares[k]!));
      const booster = boosterOn(handle, ofShares);
      try {
        trees += grow(booster, ofShares);
        // What a booster needs to grow takes megabytes, so none outlasts its class.
        models.push(library.boosterToText(booster));
      } finally {
        library.boosterFree(booster);
      }
    }
  } finally {
    label(targets.y);
    giveBack();
  }
  const state = { kind: 'Forest', models, shares } as const;
  return { ...loadForest(state), state, operations: operationsOf(trees, options) };
};

export function loadForest(state: LearnerState & { kind: 'Forest' }): LoadedLearner {
  const library = lightgbm();
  const boosters = state.models.map((model) => library.boosterFromText(model));
  return {
    predict: (matrix) =>
      toShares(
        boosters.map((booster) => predicted(booster, matrix, 1)),
        state.shares,
      ),
    close: () => {
      for (const booster of boosters) library.boosterFree(booster);
    },
  };
}

/** @param means By class, around its share @returns rows × classes, each row with a sum of 1; of two classes the share of the second */
function toShares(means: readonly Float64Array[], around: Float32Array): Float64Array {
  const [first] = means;
  const outputs = means.length;
  if (outputs === 1) return first!.map((mean) => Math.min(1 - leastShare, Math.max(leastShare, mean + around[0]!)));
  const result = new Float64Array(first!.length * outputs);
  for (let row = 0; row < first!.length; row++) {
    let sum = 0;
    for (const [k, mean] of means.entries())
      sum += result[row * outputs + k] = Math.max(leastShare, mean[row]! + around[k]!);
    for (let k = 0; k < outputs; k++) result[row * outputs + k]! /= sum;
  }
  return result;
}
