// Regression with elastic net by Newton's steps, each found coordinate by coordinate (Friedman, Hastie & Tibshirani 2010): a few looks at the rows where
// a method of gradients takes hundreds. For one output and columns few enough that their products are cheap.
import type { Matrix, Targets } from '../preprocess/matrix.ts';

export interface ElasticNet {
  readonly regression: boolean;
  readonly l1: number;
  readonly l2: number;
}

const mostSteps = 30;
const mostSweeps = 300;

/** Minimises mean loss + l2/2 × squares + l1 × absolute values of the weights; the last number is the bias, which no penalty holds. */
export function elasticNet(matrix: Matrix, targets: Targets, { regression, l1, l2 }: ElasticNet): Float64Array {
  const size = matrix.columns + 1;
  const free = matrix.columns;
  let w: Float64Array = new Float64Array(size);
  const model = quadraticOf(matrix, targets, regression);
  let value = penalized(model.look(w));
  for (let step = 0; step < mostSteps; step++) {
    const target = descended(model, w, l1, l2);
    const before = value;
    // A whole step may overshoot where the loss is not quadratic.
    let next = target;
    for (let rate = 1; rate > 1e-3; rate /= 2) {
      next = w.map((from, i) => from + rate * (target[i]! - from));
      value = penalized(model.lossOf(next), next);
      if (value <= before) break;
    }
    if (!(value < before)) break;
    w = next;
    if (regression || before - value < 1e-9 * Math.max(1, Math.abs(value))) break;
    model.look(w);
  }
  return w;

  function penalized(loss: number, at = w): number {
    for (let j = 0; j < free; j++) loss += (l2 / 2) * at[j]! ** 2 + l1 * Math.abs(at[j]!);
    return loss;
  }
}

interface Quadratic {
  /** Symmetric, row after row. */
  readonly hessian: Float64Array;
  readonly gradient: Float64Array;
  /** Fills both at these weights. @returns the mean loss */
  look: (w: Float64Array) => number;
  lossOf: (w: Float64Array) => number;
}

function quadraticOf({ rows, columns, data }: Matrix, { y, weights }: Targets, regression: boolean): Quadratic {
  const size = columns + 1;
  const total = weights ? weights.reduce((sum, weight) => sum + weight, 0) : rows;
  const hessian = new Float64Array(size * size);
  const gradient = new Float64Array(size);
  const row = new Float64Array(size).fill(1);
  const scoreOf = (w: Float64Array, i: number): number => {
    let score = w[columns]!;
    for (let j = 0, at = i * columns; j < columns; j++) score += w[j]! * data[at + j]!;
    return score;
  };
  const lossOf = (score: number, truth: number): number =>
    regression ? (score - truth) ** 2 / 2 : Math.max(score, 0) + Math.log1p(Math.exp(-Math.abs(score))) - truth * score;
  return {
    hessian,
    gradient,
    lossOf: (w) => {
      let loss = 0;
      for (let i = 0; i < rows; i++) loss += ((weights ? weights[i]! : 1) / total) * lossOf(scoreOf(w, i), y[i]!);
      return loss;
    },
    look: (w) => {
      hessian.fill(0);
      gradient.fill(0);
      let loss = 0;
      for (let i = 0; i < rows; i++) {
        const weight = (weights ? weights[i]! : 1) / total;
        const score = scoreOf(w, i);
        loss += weight * lossOf(score, y[i]!);
        const mean = regression ? score : 1 / (1 + Math.exp(-score));
        const slope = weight * (mean - y[i]!);
        // Never quite flat, or a row that is certain would let its weights run away.
        const bend = weight * (regression ? 1 : Math.max(1e-5, mean * (1 - mean)));
        for (let j = 0, at = i * columns; j < columns; j++) row[j] = data[at + j]!;
        for (let j = 0; j < size; j++) {
          gradient[j]! += slope * row[j]!;
          const bent = bend * row[j]!;
          if (bent !== 0) for (let k = 0, at = j * size; k <= j; k++) hessian[at + k]! += bent * row[k]!;
        }
      }
      for (let j = 0; j < size; j++) for (let k = 0; k < j; k++) hessian[k * size + j] = hessian[j * size + k]!;
      return loss;
    },
  };
}

/**
 * The weights at which the quadratic and the penalties are least. The bias, which follows from the weights, is left out until the end: beside it a column
 * that is far from 0 would take very many sweeps.
 */
function descended({ hessian, gradient }: Quadratic, from: Float64Array, l1: number, l2: number): Float64Array {
  const size = from.length;
  const free = size - 1;
  const w = from.slice();
  const ofBias = hessian.subarray(free * size);
  const bend = ofBias[free]!;
  const curve = new Float64Array(free * free);
  for (let j = 0, at = 0; j < free; j++)
    for (let k = 0; k < free; k++, at++) curve[at] = hessian[j * size + k]! - (ofBias[j]! * ofBias[k]!) / bend;
  /** Slope of the quadratic at `w`, the bias being the best for it. */
  const slope = Float64Array.from({ length: free }, (_, j) => gradient[j]! - (ofBias[j]! * gradient[free]!) / bend);
  for (let sweep = 0; sweep < mostSweeps; sweep++) {
    let largest = 0;
    for (let j = 0; j < free; j++) {
      const steep = curve[j * free + j]! + l2;
      // Constant, but for rounding.
      if (steep < 1e-12 * (1 + hessian[j * size + j]!)) continue;
      const old = w[j]!;
      const pull = (steep - l2) * old - slope[j]!;
      const next = (Math.sign(pull) * Math.max(0, Math.abs(pull) - l1)) / steep;
      const move = next - old;
      if (move === 0) continue;
      w[j] = next;
      for (let k = 0, at = j * free; k < free; k++) slope[k]! += move * curve[at + k]!;
      largest = Math.max(largest, move * move * steep);
    }
    if (largest < 1e-12) break;
  }
  let tilt = gradient[free]!;
  for (let j = 0; j < free; j++) tilt += ofBias[j]! * (w[j]! - from[j]!);
  w[free]! -= tilt / bend;
  return w;
}
