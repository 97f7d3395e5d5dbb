// Ways down an objective with a gradient.
import type { Objective } from './objective.ts';

export interface Descent {
  readonly parameters: Float64Array;
  readonly value: number;
  readonly iterations: number;
}

/** A step that lowers the value by less than this part ends the descent. */
const settled = 1e-9;

/** (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.) Keeps the best it has seen. */
export function adam(objective: Objective, start: Float64Array, iterations: number, rate: number): Descent {
  const parameters = Float64Array.from(start);
  const gradient = new Float64Array(start.length);
  const mean = new Float64Array(start.length);
  const square = new Float64Array(start.length);
  let best: Descent = { parameters: Float64Array.from(start), value: Number.POSITIVE_INFINITY, iterations: 0 };
  for (let n = 1; n <= iterations; n++) {
    const value = objective(parameters, gradient);
    if (value < best.value) best = { parameters: Float64Array.from(parameters), value, iterations: n };
    // The rate falls to nothing, so that the end settles.
    const step = (rate * (1 + Math.cos((Math.PI * (n - 1)) / iterations))) / 2;
    const meanScale = 1 / (1 - 0.9 ** n);
    const squareScale = 1 / (1 - 0.999 ** n);
    for (let i = 0; i < start.length; i++) {
      mean[i] = 0.9 * mean[i]! + 0.1 * gradient[i]!;
      square[i] = 0.999 * square[i]! + 0.001 * gradient[i]! ** 2;
      parameters[i]! -= (step * mean[i]! * meanScale) / (Math.sqrt(square[i]! * squareScale) + 1e-12);
    }
  }
  const value = objective(parameters, gradient);
  return value < best.value ? { parameters, value, iterations } : best;
}

/** Pairs of steps and gradient changes that are remembered. */
const memory = 10;

/**
 * Limited-memory BFGS with a backtracking line search. (Nocedal and Wright, Numerical Optimization, 2nd ed., algorithms
 * 7.4 and 3.1.)
 */
export function lbfgs(objective: Objective, start: Float64Array, iterations: number): Descent {
  const size = start.length;
  let parameters = Float64Array.from(start);
  let gradient = new Float64Array(size);
  let value = objective(parameters, gradient);
  const pairs: { step: Float64Array; change: Float64Array; curvature: number }[] = [];
  let n = 0;
  while (n < iterations) {
    n++;
    const direction = downhill(gradient, pairs);
    const slope = dot(direction, gradient);
    if (!(slope < 0)) break;
    const longest = direction.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    // Phases: no first step beyond about a radian.
    let length = pairs.length === 0 ? 1 / longest : Math.min(1, Math.PI / longest);
    const next = new Float64Array(size);
    const nextGradient = new Float64Array(size);
    let nextValue = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 25; tries++) {
      for (let i = 0; i < size; i++) next[i] = parameters[i]! + length * direction[i]!;
      nextValue = objective(next, nextGradient);
      if (nextValue <= value + 1e-4 * length * slope) break;
      length /= 2;
    }
    if (!(nextValue < value)) break;
    const step = next.map((each, i) => each - parameters[i]!);
    const change = nextGradient.map((each, i) => each - gradient[i]!);
    const curvature = dot(step, change);
    if (curvature > 1e-12 * dot(change, change)) {
      pairs.push({ step, change, curvature });
      if (pairs.length > memory) pairs.shift();
    }
    const gained = value - nextValue;
    parameters = next;
    gradient = nextGradient;
    value = nextValue;
    if (gained <= settled * Math.max(value, 1e-12)) break;
  }
  return { parameters, value, iterations: n };
}

/** The two-loop recursion: minus the inverse Hessian, as remembered, times the gradient. */
function downhill(
  gradient: Float64Array,
  pairs: readonly { step: Float64Array; change: Float64Array; curvature: number }[],
): Float64Array<ArrayBuffer> {
  const direction = Float64Array.from(gradient);
  const factors: number[] = [];
  for (const { step, change, curvature } of pairs.toReversed()) {
    const factor = dot(step, direction) / curvature;
    factors.unshift(factor);
    for (let i = 0; i < direction.length; i++) direction[i]! -= factor * change[i]!;
  }
  const last = pairs.at(-1);
  if (last) {
    const scale = last.curvature / dot(last.change, last.change);
    for (let i = 0; i < direction.length; i++) direction[i]! *= scale;
  }
  pairs.forEach(({ step, change, curvature }, n) => {
    const factor = factors[n]! - dot(change, direction) / curvature;
    for (let i = 0; i < direction.length; i++) direction[i]! += factor * step[i]!;
  });
  return direction.map((each) => -each);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
