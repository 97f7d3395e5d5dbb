// Gaussian naive Bayes; gaps say nothing.
import { type Fit, type FittedLearner, type LearnerState, toProbabilities } from './learner.ts';

/** Logarithm of the prior of a class that the teaching rows lack: no row is so far from all others that it is of it. */
const never = -1e30;

/** genes: `smoothing`, share of the largest variance that is added to all */
export const fitBayes: Fit = ({ rows, columns, data }, { y, weights }, { outputs, genes }) => {
  const classes = outputs === 1 ? 2 : outputs;
  const counts = new Float64Array(classes * columns);
  const sums = new Float64Array(classes * columns);
  const squares = new Float64Array(classes * columns);
  const priors = new Float64Array(classes);
  for (let i = 0; i < rows; i++) {
    const weight = weights ? weights[i]! : 1;
    priors[y[i]!]! += weight;
    for (let j = 0, at = y[i]! * columns; j < columns; j++, at++) {
      const x = data[i * columns + j]!;
      if (Number.isNaN(x)) continue;
      counts[at]! += weight;
      sums[at]! += weight * x;
      squares[at]! += weight * x * x;
    }
  }
  const means = sums.map((sum, at) => (counts[at]! > 0 ? sum / counts[at]! : 0));
  const variances = squares.map((square, at) =>
    counts[at]! > 0 ? Math.max(0, square / counts[at]! - means[at]! ** 2) : 1,
  );
  const floor =
    Number(genes['smoothing']) *
    Math.max(
      1e-9,
      variances.reduce((most, variance) => Math.max(most, variance), 0),
    );
  const total = priors.reduce((sum, prior) => sum + prior, 0);
  return loadBayes(
    {
      kind: 'Bayes',
      priors: Float32Array.from(priors, (prior) => (prior > 0 ? Math.log(prior / total) : never)),
      means: Float32Array.from(means),
      variances: Float32Array.from(variances, (variance) => variance + floor),
    },
    outputs,
  );
};

export function loadBayes(state: LearnerState & { kind: 'Bayes' }, outputs: number): FittedLearner {
  const { priors, means, variances } = state;
  const classes = priors.length;
  const logs = Float64Array.from(variances, (variance) => Math.log(variance) / 2);
  return {
    state,
    operations: 4 * means.length,
    predict: ({ rows, columns, data }) => {
      const scores = new Float64Array(rows * classes);
      for (let i = 0; i < rows; i++) {
        for (let k = 0; k < classes; k++) {
          let sum = priors[k]!;
          for (let j = 0, at = k * columns; j < columns; j++, at++) {
            const x = data[i * columns + j]!;
            if (!Number.isNaN(x)) sum -= logs[at]! + (x - means[at]!) ** 2 / (2 * variances[at]!);
          }
          scores[i * classes + k] = sum;
        }
      }
      if (outputs > 1) return toProbabilities(scores, outputs);
      return toProbabilities(
        Float64Array.from({ length: rows }, (_, i) => scores[2 * i + 1]! - scores[2 * i]!),
        1,
      );
    },
  };
}
