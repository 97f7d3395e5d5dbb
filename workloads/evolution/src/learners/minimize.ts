// Two minimisers: L-BFGS (Nocedal & Wright, algorithm 7.4) and FISTA with backtracking (Beck & Teboulle 2009).

/** Returns the value and fills the gradient. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

const memory = 8;

export function minimizeSmooth(objective: Objective, start: Float64Array, iterations: number): Float64Array {
  const n = start.length;
  let x = start.slice();
  let gradient = new Float64Array(n);
  let value = objective(x, gradient);
  const steps: Float64Array[] = [];
  const changes: Float64Array[] = [];
  for (let iteration = 0; iteration < iterations; iteration++) {
    const size = norm(gradient);
    if (size < 1e-6) break;
    let direction = twoLoop(gradient, steps, changes);
    let slope = dot(direction, gradient);
    if (slope >= 0) {
      direction = gradient.map((g) => -g);
      slope = -(size ** 2);
      steps.length = 0;
      changes.length = 0;
    }
    let rate = steps.length === 0 ? Math.min(1, 1 / size) : 1;
    const next = new Float64Array(n);
    const nextGradient = new Float64Array(n);
    let nextValue = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 20; attempt++, rate /= 2) {
      for (let i = 0; i < n; i++) next[i] = x[i]! + rate * direction[i]!;
      nextValue = objective(next, nextGradient);
      if (nextValue <= value + 1e-4 * rate * slope) break;
    }
    if (!(nextValue < value)) break;
    remember(
      steps,
      changes,
      next.map((v, i) => v - x[i]!),
      nextGradient.map((g, i) => g - gradient[i]!),
    );
    const gain = value - nextValue;
    x = next;
    gradient = nextGradient;
    value = nextValue;
    if (gain < 1e-9 * Math.max(1, Math.abs(value))) break;
  }
  return x;
}

/** Adds l1 × the absolute values of the first `penalized` parameters. */
export function minimizeWithL1(
  objective: Objective,
  start: Float64Array,
  l1: number,
  penalized: number,
  iterations: number,
): Float64Array {
  const n = start.length;
  let x = start.slice();
  let ahead = x.slice();
  let momentum = 1;
  let rate = 1;
  const gradient = new Float64Array(n);
  const scratch = new Float64Array(n);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const value = objective(ahead, gradient);
    let next = x;
    for (let attempt = 0; attempt < 40; attempt++, rate /= 2) {
      next = ahead.map((v, i) => shrunk(v - rate * gradient[i]!, i < penalized ? rate * l1 : 0));
      let bound = value;
      for (let i = 0; i < n; i++) {
        const move = next[i]! - ahead[i]!;
        bound += move * gradient[i]! + move ** 2 / (2 * rate);
      }
      if (objective(next, scratch) <= bound + 1e-12) break;
    }
    let moved = 0;
    for (let i = 0; i < n; i++) moved = Math.max(moved, Math.abs(next[i]! - x[i]!));
    const later = (1 + Math.sqrt(1 + 4 * momentum ** 2)) / 2;
    const before = x;
    ahead = next.map((v, i) => v + ((momentum - 1) / later) * (v - before[i]!));
    momentum = later;
    x = next;
    if (moved < 1e-6) break;
  }
  return x;
}

function twoLoop(gradient: Float64Array, steps: Float64Array[], changes: Float64Array[]): Float64Array {
  const q = gradient.slice();
  const alphas: number[] = [];
  for (let i = steps.length - 1; i >= 0; i--) {
    const alpha = dot(steps[i]!, q) / dot(changes[i]!, steps[i]!);
    alphas[i] = alpha;
    addTo(q, changes[i]!, -alpha);
  }
  const last = steps.length - 1;
  const scale = last < 0 ? 1 : dot(steps[last]!, changes[last]!) / dot(changes[last]!, changes[last]!);
  for (let i = 0; i < q.length; i++) q[i]! *= scale;
  for (let i = 0; i < steps.length; i++) {
    const beta = dot(changes[i]!, q) / dot(changes[i]!, steps[i]!);
    addTo(q, steps[i]!, alphas[i]! - beta);
  }
  return q.map((value) => -value);
}

function remember(steps: Float64Array[], changes: Float64Array[], step: Float64Array, change: Float64Array): void {
  if (dot(step, change) <= 1e-12) return;
  steps.push(step);
  changes.push(change);
  if (steps.length > memory) {
    steps.shift();
    changes.shift();
  }
}

function shrunk(value: number, by: number): number {
  return Math.sign(value) * Math.max(0, Math.abs(value) - by);
}

function addTo(a: Float64Array, b: Float64Array, factor: number): void {
  for (let i = 0; i < a.length; i++) a[i]! += factor * b[i]!;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function norm(a: Float64Array): number {
  return Math.sqrt(dot(a, a));
}
