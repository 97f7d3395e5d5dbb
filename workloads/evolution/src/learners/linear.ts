// Logistic and least-squares regression with ridge, lasso or elastic net: L-BFGS where the objective is smooth, Newton's steps where it is quadratic or
// has an l1 part, FISTA for that with many outputs or columns.
import type { Matrix, Targets } from '../preprocess/matrix.ts';
import { type Fit, type FittedLearner, type LearnerState, toProbabilities } from './learner.ts';
import { minimizeSmooth, minimizeWithL1 } from './minimize.ts';
import { elasticNet } from './newton.ts';

/** genes: `penalty` (strength, per row), `l1Ratio` 0..1 */
export const fitLinear: Fit = (matrix, targets, { task, outputs, genes }) => {
  const regression = task === 'Regression';
  const penalty = Number(genes['penalty']);
  const l1 = penalty * Number(genes['l1Ratio']);
  const l2 = penalty - l1;
  // Where the objective is smooth and not quadratic, L-BFGS is as quick with less work a row.
  if (outputs === 1 && matrix.columns <= fewColumns && (l1 > 0 || regression)) {
    return fitted(elasticNet(matrix, targets, { regression, l1, l2 }), regression, 1);
  }
  const objective = objectiveOf(matrix, targets, regression, outputs, l2);
  const size = (matrix.columns + 1) * outputs;
  const start = new Float64Array(size);
  // The last `outputs` numbers are biases, which no penalty holds.
  const free = matrix.columns * outputs;
  const solution = l1 === 0 ? minimizeSmooth(objective, start, 150) : minimizeWithL1(objective, start, l1, free, 300);
  return fitted(solution, regression, outputs);
};

/** Columns whose products all fit into a small table. */
const fewColumns = 150;

function fitted(solution: Float64Array, regression: boolean, outputs: number) {
  const free = solution.length - outputs;
  const weights = Float32Array.from(solution.subarray(0, free));
  const bias = Float32Array.from(solution.subarray(free));
  return loadLinear({ kind: 'Linear', weights, bias }, regression);
}

export function loadLinear(state: LearnerState & { kind: 'Linear' }, regression: boolean): FittedLearner {
  const { weights, bias } = state;
  const outputs = bias.length;
  return {
    state,
    operations: weights.length,
    predict: ({ rows, columns, data }) => {
      const scores = new Float64Array(rows * outputs);
      for (let i = 0; i < rows; i++) {
        for (let k = 0; k < outputs; k++) {
          let sum = bias[k]!;
          for (let j = 0; j < columns; j++) sum += data[i * columns + j]! * weights[j * outputs + k]!;
          scores[i * outputs + k] = sum;
        }
      }
      return regression ? scores : toProbabilities(scores, outputs);
    },
  };
}

/** Mean loss plus half l2 × squared weights, and its gradient; parameters by column then output, biases last. */
function objectiveOf(
  { rows, columns, data }: Matrix,
  { y, weights }: Targets,
  regression: boolean,
  outputs: number,
  l2: number,
) {
  const scores = new Float64Array(outputs);
  const total = weights ? weights.reduce((sum, weight) => sum + weight, 0) : rows;
  const free = columns * outputs;
  return (w: Float64Array, gradient: Float64Array): number => {
    gradient.fill(0);
    let loss = 0;
    for (let i = 0; i < rows; i++) {
      const weight = (weights ? weights[i]! : 1) / total;
      const at = i * columns;
      for (let k = 0; k < outputs; k++) scores[k] = w[free + k]!;
      for (let j = 0; j < columns; j++) {
        const x = data[at + j]!;
        if (x !== 0) for (let k = 0; k < outputs; k++) scores[k]! += x * w[j * outputs + k]!;
      }
      loss +=
        weight *
        (regression ? squared(scores, y[i]!) : outputs === 1 ? logistic(scores, y[i]!) : softmax(scores, y[i]!));
      for (let j = 0; j < columns; j++) {
        const x = data[at + j]! * weight;
        if (x !== 0) for (let k = 0; k < outputs; k++) gradient[j * outputs + k]! += x * scores[k]!;
      }
      for (let k = 0; k < outputs; k++) gradient[free + k]! += weight * scores[k]!;
    }
    for (let j = 0; j < free; j++) {
      loss += (l2 / 2) * w[j]! ** 2;
      gradient[j]! += l2 * w[j]!;
    }
    return loss;
  };
}

/** Each returns the loss and leaves its derivative in place of the scores. */
function squared(scores: Float64Array, y: number): number {
  const error = scores[0]! - y;
  scores[0] = error;
  return error ** 2 / 2;
}

function logistic(scores: Float64Array, y: number): number {
  const s = scores[0]!;
  scores[0] = 1 / (1 + Math.exp(-s)) - y;
  // log(1 + e^s) − y s, without overflow.
  return Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s))) - y * s;
}

function softmax(scores: Float64Array, y: number): number {
  const own = scores[y]!;
  const top = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (let k = 0; k < scores.length; k++) sum += scores[k] = Math.exp(scores[k]! - top);
  for (let k = 0; k < scores.length; k++) scores[k]! /= sum;
  scores[y]! -= 1;
  return Math.log(sum) + top - own;
}
