// A small multilayer perceptron: ReLU, Adam, decaying rate, weight decay, on typed arrays.

import type { Matrix } from '../preprocess/matrix.ts';
import { type Random, randomOf } from '../random.ts';
import { type Fit, type FittedLearner, type LearnerState, toProbabilities } from './learner.ts';

/** Row visits of one training, so that large data takes fewer epochs. */
const mostVisits = 600_000;
const batch = 32;

interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  /** By input, then output; biases are the last row. */
  readonly w: Float32Array;
  readonly gradient: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  /** Values of the batch that came out, and their derivatives. */
  readonly values: Float32Array;
  readonly deltas: Float32Array;
}

/** genes: `width`, `depth` 1|2, `learningRate`, `epochs`, `decay` */
export const fitNetwork: Fit = (matrix, targets, { task, outputs, genes, seed }) => {
  const random = randomOf('network', seed);
  const { columns } = matrix;
  const widths = [...new Array<number>(Number(genes['depth'])).fill(Number(genes['width'])), outputs];
  const layers = widths.map((width, i) => newLayer(i === 0 ? columns : widths[i - 1]!, width, random));
  const epochs = Math.max(1, Math.min(Number(genes['epochs']), Math.floor(mostVisits / matrix.rows)));
  const order = Int32Array.from({ length: matrix.rows }, (_, i) => i);
  const steps = epochs * Math.ceil(matrix.rows / batch);
  const input = new Float32Array(batch * columns);
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    random.shuffle(order);
    for (let start = 0; start < order.length; start += batch) {
      const rows = order.subarray(start, Math.min(order.length, start + batch));
      for (let i = 0; i < rows.length; i++)
        input.set(matrix.data.subarray(rows[i]! * columns, (rows[i]! + 1) * columns), i * columns);
      forward(layers, input, rows.length);
      derive(layers.at(-1)!, rows, targets.y, targets.weights, task === 'Regression', rows.length);
      backward(layers, input, rows.length);
      step++;
      const rate = Number(genes['learningRate']) * 0.5 * (1 + Math.cos((Math.PI * step) / (steps + 1)));
      for (const layer of layers) adam(layer, rate, Number(genes['decay']), step);
    }
  }
  const stored = layers.map(({ inputs, outputs: width, w }) => ({
    inputs,
    weights: w.slice(0, inputs * width),
    bias: w.slice(inputs * width),
  }));
  return loadNetwork({ kind: 'Network', layers: stored }, task === 'Regression');
};

export function loadNetwork(state: LearnerState & { kind: 'Network' }, regression: boolean): FittedLearner {
  return {
    state,
    operations: state.layers.reduce((sum, layer) => sum + layer.weights.length, 0),
    predict: (matrix) => {
      let values = matrix.data;
      for (const [i, layer] of state.layers.entries())
        values = applied(layer, values, matrix.rows, i < state.layers.length - 1);
      const scores = Float64Array.from(values);
      return regression ? scores : toProbabilities(scores, state.layers.at(-1)!.bias.length);
    },
  };
}

function applied(
  layer: { weights: Float32Array; bias: Float32Array; inputs: number },
  values: Matrix['data'],
  rows: number,
  rectify: boolean,
): Float32Array {
  const width = layer.bias.length;
  const result = new Float32Array(rows * width);
  const sums = new Float64Array(width);
  for (let i = 0; i < rows; i++) {
    sums.set(layer.bias);
    for (let j = 0; j < layer.inputs; j++) {
      const x = values[i * layer.inputs + j]!;
      if (x !== 0) for (let k = 0, at = j * width; k < width; k++, at++) sums[k]! += x * layer.weights[at]!;
    }
    for (let k = 0; k < width; k++) result[i * width + k] = rectify ? Math.max(0, sums[k]!) : sums[k]!;
  }
  return result;
}

/** He et al. 2015: variance 2 / inputs. */
function newLayer(inputs: number, outputs: number, random: Random): Layer {
  const size = (inputs + 1) * outputs;
  const scale = Math.sqrt(2 / Math.max(1, inputs));
  const w = Float32Array.from({ length: size }, (_, i) => (i < inputs * outputs ? random.normal() * scale : 0));
  const zeros = (length: number) => new Float32Array(length);
  return {
    inputs,
    outputs,
    w,
    gradient: zeros(size),
    m: zeros(size),
    v: zeros(size),
    values: zeros(batch * outputs),
    deltas: zeros(batch * outputs),
  };
}

function forward(layers: readonly Layer[], input: Float32Array, rows: number): void {
  let from = input;
  for (const [index, { inputs, outputs, w, values }] of layers.entries()) {
    const rectify = index < layers.length - 1;
    for (let i = 0; i < rows; i++) {
      const out = i * outputs;
      for (let k = 0; k < outputs; k++) values[out + k] = w[inputs * outputs + k]!;
      for (let j = 0; j < inputs; j++) {
        const x = from[i * inputs + j]!;
        if (x !== 0) for (let k = 0, at = j * outputs; k < outputs; k++, at++) values[out + k]! += x * w[at]!;
      }
      if (rectify) for (let k = 0; k < outputs; k++) if (values[out + k]! < 0) values[out + k] = 0;
    }
    from = values;
  }
}

/** Derivative of the mean loss by the last layer's values. */
function derive(
  last: Layer,
  rows: Int32Array,
  y: Float64Array,
  weights: Float64Array | undefined,
  regression: boolean,
  count: number,
): void {
  const { outputs, values, deltas } = last;
  const probabilities = regression
    ? Float64Array.from(values.subarray(0, count * outputs))
    : toProbabilities(Float64Array.from(values.subarray(0, count * outputs)), outputs);
  for (let i = 0; i < count; i++) {
    const row = rows[i]!;
    const weight = (weights ? weights[row]! : 1) / count;
    for (let k = 0; k < outputs; k++) {
      const wanted = outputs === 1 ? y[row]! : y[row] === k ? 1 : 0;
      deltas[i * outputs + k] = weight * (probabilities[i * outputs + k]! - wanted);
    }
  }
}

function backward(layers: readonly Layer[], input: Float32Array, rows: number): void {
  for (let index = layers.length - 1; index >= 0; index--) {
    const { inputs, outputs, w, gradient, deltas } = layers[index]!;
    const below = layers[index - 1];
    const from = below ? below.values : input;
    gradient.fill(0);
    for (let i = 0; i < rows; i++) {
      const out = i * outputs;
      for (let k = 0; k < outputs; k++) gradient[inputs * outputs + k]! += deltas[out + k]!;
      for (let j = 0; j < inputs; j++) {
        const x = from[i * inputs + j]!;
        // Nothing passes a unit that was silent, and nothing is asked of the inputs themselves.
        if (x === 0) {
          if (below) below.deltas[i * inputs + j] = 0;
        } else if (below) {
          let back = 0;
          for (let k = 0, at = j * outputs; k < outputs; k++, at++) {
            gradient[at]! += x * deltas[out + k]!;
            back += w[at]! * deltas[out + k]!;
          }
          below.deltas[i * inputs + j] = back;
        } else for (let k = 0, at = j * outputs; k < outputs; k++, at++) gradient[at]! += x * deltas[out + k]!;
      }
    }
  }
}

/** Kingma & Ba 2015 with decoupled decay (Loshchilov & Hutter 2019). */
function adam({ w, gradient, m, v }: Layer, rate: number, decay: number, step: number): void {
  const first = 1 - 0.9 ** step;
  const second = 1 - 0.999 ** step;
  for (let i = 0; i < w.length; i++) {
    const g = gradient[i]!;
    m[i] = 0.9 * m[i]! + 0.1 * g;
    v[i] = 0.999 * v[i]! + 0.001 * g * g;
    w[i]! -= rate * (m[i]! / first / (Math.sqrt(v[i]! / second) + 1e-8) + decay * w[i]!);
  }
}
