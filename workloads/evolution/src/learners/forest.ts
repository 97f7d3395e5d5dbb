// Random forests and extra trees that tell classes apart: a leaf holds the share of each class among its rows (Breiman 2001), so that their mean is a
// probability. LightGBM's own forests of classes take one Newton step from the prior instead, which is far from the share where classes are unequal.
import { type Fit, type FitOptions, type FittedLearner, type LearnerState, type LoadedLearner } from './learner.ts';
import { lightgbm } from './lightgbm/library.ts';
import { boosterOn, datasetOf, fitTrees, grow, operationsOf, predicted } from './trees.ts';

/** No row is sure: what no tree has seen in a leaf may be there. */
export const leastShare = 1e-7;

/** The learner must be closed, as `fitTrees` says. */
export const fitForest: Fit = (matrix, targets, options) => {
  if (options.task === 'Regression') return fitTrees(matrix, targets, options);
  const library = lightgbm();
  const { handle, giveBack } = datasetOf(matrix, targets, options);
  const boosters: bigint[] = [];
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    for (const booster of boosters) library.boosterFree(booster);
    giveBack();
  };
  // The mean of 0 and 1 is a share: a forest for each class, on the same bins.
  const ofShares: FitOptions = { ...options, task: 'Regression', outputs: 1 };
  const label = (values: Float64Array) => library.datasetSetField(handle, 'label', Float32Array.from(values));
  let trees = 0;
  try {
    for (let k = 0; k < options.outputs; k++) {
      if (options.outputs > 1) label(targets.y.map((value) => (value === k ? 1 : 0)));
      boosters.push(boosterOn(handle, ofShares));
      trees += grow(boosters[k]!, ofShares);
    }
    return fitted(boosters, close, operationsOf(trees, options));
  } catch (error) {
    close();
    throw error;
  } finally {
    if (!closed && options.outputs > 1) label(targets.y);
  }
};

function fitted(boosters: readonly bigint[], close: () => void, operations: number): FittedLearner {
  let state: LearnerState | undefined;
  return {
    get state() {
      state ??= { kind: 'Forest', models: boosters.map((booster) => lightgbm().boosterToText(booster)) };
      return state;
    },
    operations,
    predict: (matrix) => shares(boosters.map((booster) => predicted(booster, matrix, 1))),
    close,
  };
}

/** Keeps no text of the trees. */
export function loadForest(state: LearnerState & { kind: 'Forest' }): LoadedLearner {
  const library = lightgbm();
  const boosters = state.models.map((model) => library.boosterFromText(model));
  return {
    predict: (matrix) => shares(boosters.map((booster) => predicted(booster, matrix, 1))),
    close: () => {
      for (const booster of boosters) library.boosterFree(booster);
    },
  };
}

/** Rows × classes, each row with a sum of 1; of two classes the share of the second. */
function shares(means: readonly Float64Array[]): Float64Array {
  const [first] = means;
  if (means.length === 1) return first!.map((mean) => Math.min(1 - leastShare, Math.max(leastShare, mean)));
  const outputs = means.length;
  const result = new Float64Array(first!.length * outputs);
  for (let row = 0; row < first!.length; row++) {
    let sum = 0;
    for (const [k, mean] of means.entries()) sum += result[row * outputs + k] = Math.max(leastShare, mean[row]!);
    for (let k = 0; k < outputs; k++) result[row * outputs + k]! /= sum;
  }
  return result;
}
