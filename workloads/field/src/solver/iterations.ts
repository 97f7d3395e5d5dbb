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

/** The elements' waves in phase at each focus by itself, added up. @param seed of the foci's phases; all zero with 0. */
export function naive(goals: Goals, seed: number): Outcome {
  const x = complexVector(goals.loud.columns);
  multiplyAdjoint(goals.loud, fociToBegin(goals, rowNorms(goals.loud), seed), x);
  return { x, iterations: 1 };
}

/** What the foci send back to begin with: as much of each as is wanted, by its row's norm. */
export function fociToBegin({ loud, wanted }: Goals, norms: Float64Array, seed: number): ComplexVector {
  const y = complexVector(loud.rows);
  const turn = seed === 0 ? () => 0 : turns(seed);
  for (let j = 0; j < loud.rows; j++) {
    const phase = turn();
    y.re[j] = (wanted[j]! / norms[j]!) * Math.cos(phase);
    y.im[j] = (wanted[j]! / norms[j]!) * Math.sin(phase);
  }
  return y;
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

/** The eigenvalue is found when it moves by no more than this part in an iteration. */
const settled = 1e-6;

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

/** Math.hypot guards against overflow that does not occur here, and takes ten times as long. */
export function magnitude(re: number, im: number): number {
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
