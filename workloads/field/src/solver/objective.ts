// What gradient descent minimises: how far the focal amplitudes are from what is wanted, what is heard in silences, and how little
// traps hold that shall hold firmly.

import { holdObjective } from './hold.ts';
import { type ComplexVector, complexVector, gram, multiply, multiplyAdjoint } from './matrix.ts';
import type { Goals } from './targets.ts';

/** The value at `parameters`; its gradient is written to `gradient`. */
export type Objective = (parameters: Float64Array, gradient: Float64Array) => number;

/**
 * Σ (1 - |b_j|/(scale·wanted_j))² / loud rows + Σ |q_i|² / mean square of what an undirected drive gives there, over
 * phases alone or, with `free`, phases followed by one parameter a of each amplitude (1 + sin a)/2. (The loss of Fushimi,
 * Yamamoto and Ochiai, "Acoustic hologram optimisation using automatic differentiation", Scientific Reports 11 (2021)
 * 12678, here with its analytic gradient.)
 */
export function targetObjective({ loud, wanted, quiet, held }: Goals, scale: number, free: boolean): Objective {
  const count = loud.columns;
  const x = complexVector(count);
  const b = complexVector(loud.rows);
  const q = complexVector(quiet.rows);
  const back = complexVector(count);
  const quietBack = complexVector(count);
  const holds = held.filter((each) => each !== undefined);
  const hold = holds.length > 0 ? holdObjective(holds, count) : undefined;
  const quietGain = quiet.rows === 0 ? 0 : 4 / traceOf(quiet);
  return (parameters, gradient) => {
    for (let t = 0; t < count; t++) {
      const size = free ? (1 + Math.sin(parameters[count + t]!)) / 2 : 1;
      x.re[t] = size * Math.cos(parameters[t]!);
      x.im[t] = size * Math.sin(parameters[t]!);
    }
    multiply(loud, x, b);
    let value = 0;
    for (let j = 0; j < loud.rows; j++) {
      if (held[j]) {
        b.re[j] = 0;
        b.im[j] = 0;
        continue;
      }
      const size = Math.hypot(b.re[j]!, b.im[j]!);
      const aim = scale * wanted[j]!;
      const miss = 1 - size / aim;
      value += miss ** 2 / loud.rows;
      // ∂value/∂|b_j| along the direction of b_j
      const pull = size > 0 ? (-2 * miss) / (loud.rows * aim * size) : 0;
      b.re[j]! *= pull;
      b.im[j]! *= pull;
    }
    multiplyAdjoint(loud, b, back);
    if (hold) value += hold(x, back);
    if (quiet.rows > 0) {
      multiply(quiet, x, q);
      for (let i = 0; i < quiet.rows; i++) {
        value += quietGain * (q.re[i]! ** 2 + q.im[i]! ** 2);
        q.re[i]! *= 2 * quietGain;
        q.im[i]! *= 2 * quietGain;
      }
      multiplyAdjoint(quiet, q, quietBack);
      for (let t = 0; t < count; t++) {
        back.re[t]! += quietBack.re[t]!;
        back.im[t]! += quietBack.im[t]!;
      }
    }
    for (let t = 0; t < count; t++) {
      // ∂x/∂phase = i·x, and ∂x/∂amplitude = x/|x|
      gradient[t] = back.im[t]! * x.re[t]! - back.re[t]! * x.im[t]!;
      if (free) {
        const along = back.re[t]! * Math.cos(parameters[t]!) + back.im[t]! * Math.sin(parameters[t]!);
        gradient[count + t] = (along * Math.cos(parameters[count + t]!)) / 2;
      }
    }
    return value;
  };
}

/** The drive that the parameters stand for. */
export function driveOf(parameters: Float64Array, count: number, free: boolean): ComplexVector {
  const x = complexVector(count);
  for (let t = 0; t < count; t++) {
    const size = free ? (1 + Math.sin(parameters[count + t]!)) / 2 : 1;
    x.re[t] = size * Math.cos(parameters[t]!);
    x.im[t] = size * Math.sin(parameters[t]!);
  }
  return x;
}

function traceOf(matrix: Goals['quiet']): number {
  const { re } = gram(matrix);
  let sum = 0;
  for (let j = 0; j < matrix.rows; j++) sum += re[j * matrix.rows + j]!;
  return sum || 1;
}
