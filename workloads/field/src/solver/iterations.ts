// Ways to find a drive that makes the goals, each on plain matrices. All leave the elements' amplitudes free; the caller
// constrains the result.
import {
  type ComplexMatrix,
  type ComplexVector,
  complexVector,
  gram,
  multiply,
  multiplyAdjoint,
  shiftedSolver,
} from './matrix.ts';
import type { Goals } from './targets.ts';

export interface Outcome {
  /** Drive of each element; only its phase matters unless amplitudes are free. */
  readonly x: ComplexVector;
  readonly iterations: number;
}

/** Stops when no focal amplitude moves by more than this part of the mean in an iteration. */
const settled = 1e-6;

/**
 * The elements' waves in phase at each focus by itself, added up.
 * @param seed of the foci's phases; all zero with 0.
 */
export function naive({ loud, wanted }: Goals, seed: number): Outcome {
  const y = complexVector(loud.rows);
  const norms = rowNorms(loud);
  const turn = seed === 0 ? () => 0 : turns(seed);
  for (let j = 0; j < loud.rows; j++) {
    const phase = turn();
    y.re[j] = (wanted[j]! / norms[j]!) * Math.cos(phase);
    y.im[j] = (wanted[j]! / norms[j]!) * Math.sin(phase);
  }
  const x = complexVector(loud.columns);
  multiplyAdjoint(loud, y, x);
  return { x, iterations: 1 };
}

/** Phases from a seed. (Mulberry32, by T. Ettinger.) */
function turns(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * 2 * Math.PI;
  };
}

/**
 * Iterative backpropagation: amplitudes at the foci set to what is wanted and phases kept, back and forth.
 * (Marzo and Drinkwater, "Holographic acoustic tweezers", PNAS 116 (2019) 84, methods.)
 */
export function iterativeBackpropagation(goals: Goals, iterations: number, seed: number): Outcome {
  return gerchbergSaxton(goals, iterations, seed, 0);
}

/**
 * Weighted Gerchberg–Saxton. (Di Leonardo, Ianni and Ruocco, "Computer generation of optimal holograms for optical trap
 * arrays", Optics Express 15 (2007) 1913, the algorithm named GSW.) Each weight is corrected by the mean amplitude over
 * its focus's own, here to the power 1/2: undamped, weights of close foci swing for ever.
 */
export function weightedGerchbergSaxton(
  goals: Goals,
  iterations: number,
  seed: number,
  start?: ComplexVector,
): Outcome {
  return gerchbergSaxton(goals, iterations, seed, 0.5, start);
}

/** @param start Drive to begin with, which is changed; left out, the foci's own waves added up. */
function gerchbergSaxton(
  goals: Goals,
  iterations: number,
  seed: number,
  power: number,
  start?: ComplexVector,
): Outcome {
  const { loud, wanted } = goals;
  const hush = silencer(goals.quiet);
  const x = start ?? naive(goals, seed).x;
  const b = complexVector(loud.rows);
  const y = complexVector(loud.rows);
  const norms = rowNorms(loud);
  const weights = new Float64Array(loud.rows).fill(1);
  const before = new Float64Array(loud.rows);
  for (let n = 1; n <= iterations; n++) {
    hush(x);
    toPhaseOnly(x);
    multiply(loud, x, b);
    const reached = Float64Array.from(b.re, (re, j) => magnitude(re, b.im[j]!) / wanted[j]!);
    const mean = reached.reduce((sum, each) => sum + each, 0) / reached.length;
    const moved = reached.reduce((most, each, j) => Math.max(most, Math.abs(each - before[j]!)), 0);
    if (moved <= settled * mean) return { x, iterations: n };
    before.set(reached);
    for (let j = 0; j < loud.rows; j++) {
      if (power > 0) weights[j]! *= Math.min(10, Math.max(0.1, (mean / Math.max(reached[j]!, 1e-12 * mean)) ** power));
      const size = magnitude(b.re[j]!, b.im[j]!) || 1;
      // By row norm, so that a far focus is not the quieter for being far.
      const gain = (weights[j]! * wanted[j]!) / norms[j]! / size;
      y.re[j] = b.re[j]! * gain;
      y.im[j] = b.im[j]! * gain;
    }
    multiplyAdjoint(loud, y, x);
  }
  hush(x);
  return { x, iterations };
}

/**
 * GS-PAT: the iteration in the space of the foci alone, on R = A·Aᴴ. (Plasencia, Hirayama, Montano-Murillo and
 * Subramanian, "GS-PAT: high-speed multi-point sound-fields for phased arrays of transducers", ACM Transactions on
 * Graphics 39 (2020) 138.)
 */
export function gsPat({ loud, wanted, quiet }: Goals, iterations: number): Outcome {
  const norms = rowNorms(loud);
  const a: ComplexMatrix = { ...loud, re: Float64Array.from(loud.re), im: Float64Array.from(loud.im) };
  for (let j = 0; j < a.rows; j++) {
    for (let t = 0; t < a.columns; t++) {
      a.re[j * a.columns + t]! /= norms[j]!;
      a.im[j * a.columns + t]! /= norms[j]!;
    }
  }
  const r = gram(a);
  const y = complexVector(a.rows);
  y.re.set(wanted);
  const b = complexVector(a.rows);
  for (let n = 0; n < iterations; n++) {
    multiply(r, y, b);
    for (let j = 0; j < a.rows; j++) {
      const size = magnitude(b.re[j]!, b.im[j]!) || 1;
      // The last step asks for more where less arrived, as the paper's does.
      const last = n === iterations - 1 ? wanted[j]! / size : 1;
      y.re[j] = (wanted[j]! * last * b.re[j]!) / size;
      y.im[j] = (wanted[j]! * last * b.im[j]!) / size;
    }
  }
  const x = complexVector(a.columns);
  multiplyAdjoint(a, y, x);
  silencer(quiet)(x);
  return { x, iterations };
}

/**
 * Phases of the foci from the dominant eigenvector of A·Aᴴ, then the drive by Tikhonov-regularised least norm.
 * (Long, Seah, Carter and Subramanian, "Rendering volumetric haptic shapes in mid-air using ultrasound", ACM
 * Transactions on Graphics 33 (2014) 181.)
 * @param regularization weight over the largest eigenvalue.
 */
export function eigensolver({ loud, wanted, quiet }: Goals, iterations: number, regularization: number): Outcome {
  const r = gram(loud);
  const n = loud.rows;
  let vector = complexVector(n);
  vector.re.set(wanted);
  let eigenvalue = 0;
  let taken = 0;
  for (; taken < iterations; taken++) {
    const next = complexVector(n);
    multiply(r, vector, next);
    const size = Math.sqrt(next.re.reduce((sum, re, j) => sum + re * re + next.im[j]! ** 2, 0)) || 1;
    for (let j = 0; j < n; j++) {
      next.re[j]! /= size;
      next.im[j]! /= size;
    }
    const moved = Math.abs(size - eigenvalue);
    eigenvalue = size;
    vector = next;
    if (moved <= settled * size) break;
  }
  for (let j = 0; j < n; j++) {
    const size = magnitude(vector.re[j]!, vector.im[j]!) || 1;
    vector.re[j]! *= wanted[j]! / size;
    vector.im[j]! *= wanted[j]! / size;
  }
  const y = shiftedSolver(r, regularization * eigenvalue)(vector);
  const x = complexVector(loud.columns);
  multiplyAdjoint(loud, y, x);
  silencer(quiet)(x);
  return { x, iterations: taken + 1 };
}

/** Takes out of a drive what is heard at the quiet points: x - Qᴴ(QQᴴ)⁻¹Qx. */
export function silencer(quiet: ComplexMatrix): (x: ComplexVector) => void {
  if (quiet.rows === 0) return () => {};
  const r = gram(quiet);
  let trace = 0;
  for (let j = 0; j < quiet.rows; j++) trace += r.re[j * quiet.rows + j]!;
  const solve = shiftedSolver(r, (1e-6 * trace) / quiet.rows);
  const heard = complexVector(quiet.rows);
  const part = complexVector(quiet.columns);
  return (x) => {
    multiply(quiet, x, heard);
    multiplyAdjoint(quiet, solve(heard), part);
    for (let t = 0; t < quiet.columns; t++) {
      x.re[t]! -= part.re[t]!;
      x.im[t]! -= part.im[t]!;
    }
  };
}

export function toPhaseOnly(x: ComplexVector): void {
  for (let t = 0; t < x.re.length; t++) {
    const size = magnitude(x.re[t]!, x.im[t]!);
    x.re[t] = size > 0 ? x.re[t]! / size : 1;
    x.im[t] = size > 0 ? x.im[t]! / size : 0;
  }
}

/** Math.hypot guards against overflow that does not occur here, and takes ten times as long. */
function magnitude(re: number, im: number): number {
  return Math.sqrt(re * re + im * im);
}

/** Sum of magnitudes of each row: the pressure of all elements in phase there. */
export function rowNorms({ rows, columns, re, im }: ComplexMatrix): Float64Array {
  return Float64Array.from({ length: rows }, (_, j) => {
    let sum = 0;
    for (let t = 0; t < columns; t++) sum += magnitude(re[j * columns + t]!, im[j * columns + t]!);
    return sum || 1;
  });
}
