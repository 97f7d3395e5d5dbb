// Learners by name, and their return from storage.
import type { Task } from '../data/problem.ts';
import { fitBayes, loadBayes } from './bayes.ts';
import { fitForest, loadForest } from './forest.ts';
import type { Fit, LearnerState, LoadedLearner } from './learner.ts';
import { fitLinear, loadLinear } from './linear.ts';
import { fitNeighbors, loadNeighbors } from './neighbors.ts';
import { fitNetwork, loadNetwork } from './network.ts';
import { fitTrees, loadTrees } from './trees.ts';

export const learnerNames = [
  'GradientBoosting',
  'RandomForest',
  'ExtraTrees',
  'Linear',
  'NearestNeighbors',
  'NaiveBayes',
  'NeuralNetwork',
] as const;
export type LearnerName = (typeof learnerNames)[number];

export const fits: Readonly<Record<LearnerName, Fit>> = {
  GradientBoosting: fitTrees,
  RandomForest: (matrix, targets, options) =>
    fitForest(matrix, targets, { ...options, genes: { ...options.genes, boosting: 'Forest' } }),
  ExtraTrees: (matrix, targets, options) =>
    fitForest(matrix, targets, { ...options, genes: { ...options.genes, boosting: 'ExtraTrees' } }),
  Linear: fitLinear,
  NearestNeighbors: fitNeighbors,
  NaiveBayes: fitBayes,
  NeuralNetwork: fitNetwork,
};

export function loadLearner(state: LearnerState, task: Task, outputs: number): LoadedLearner {
  const regression = task === 'Regression';
  switch (state.kind) {
    case 'Trees':
      return loadTrees(state, outputs);
    case 'Forest':
      return loadForest(state);
    case 'Linear':
      return loadLinear(state, regression);
    case 'Neighbors':
      return loadNeighbors(state, outputs);
    case 'Bayes':
      return loadBayes(state, outputs);
    case 'Network':
      return loadNetwork(state, regression);
    case 'Constant':
      return {
        predict: ({ rows }) => Float64Array.from({ length: rows * outputs }, (_, i) => state.values[i % outputs]!),
      };
  }
}
