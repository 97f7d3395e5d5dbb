// From targets to the drive of each element: the algorithm asked for, then what the hardware can do of it.
import { FieldError } from '../errors.ts';
import type { Drive, Emitters } from '../physics/sources.ts';
import { iterativeBackpropagation, weightedGerchbergSaxton } from './backpropagation.ts';
import { adam, lbfgs } from './descent.ts';
import { eigensolver, gsPat, naive, type Outcome } from './iterations.ts';
import { type ComplexVector, complexVector, multiply } from './matrix.ts';
import { driveOf, targetObjective } from './objective.ts';
import { type Goals, goalsOf, type Target } from './targets.ts';

export interface SolverSettings {
  readonly algorithm: 'Naive' | 'IBP' | 'WeightedGS' | 'GSPAT' | 'Eigen' | 'Adam' | 'LBFGS';
  readonly iterations: number;
  /** Phase steps of the hardware; 0 is continuous. */
  readonly phaseLevels: number;
  /** Free lets elements be driven by less than all they have. */
  readonly amplitude: 'Fixed' | 'Free';
  /** Amplitude steps with Free; 0 is continuous. */
  readonly amplitudeLevels: number;
  readonly regularization: number;
  /** Step of Adam, radians. */
  readonly learningRate: number;
  /** Of the foci's first phases; all alike with 0. */
  readonly seed: number;
}

export interface Solution {
  readonly drive: Drive;
  readonly iterations: number;
  /** Root mean square of how far the focal amplitudes are from what was asked, over what was asked. */
  readonly residual: number;
  /** Focal amplitude of each target that is no silence, Pa: with traps, that of the focus they are made from. */
  readonly focal: Float64Array;
}

/** @throws FieldError `InvalidTarget` */
export function solve(emitters: Emitters, targets: readonly Target[], settings: SolverSettings): Solution {
  return solveGoals(goalsOf(emitters, targets), targets, settings);
}

/** @param goals Of the targets. @throws FieldError `InvalidTarget` */
export function solveGoals(goals: Goals, targets: readonly Target[], settings: SolverSettings): Solution {
  if (goals.loud.rows === 0) {
    throw new FieldError('InvalidTarget', 'at least one target must not be a silence', 'spec.targets');
  }
  const { x, iterations } = iterate(goals, settings);
  const drive = constrain(x, settings);
  level(drive, goals, targets);
  const focal = focalAmplitudes(goals, drive);
  const residual = residualOf(goals, focal);
  refuseUnlessFinite(drive, residual);
  return { drive, iterations, focal, residual };
}

/** A target that no sound reaches leaves nothing to solve for. */
function refuseUnlessFinite({ amplitudes, phases }: Drive, residual: number): void {
  const wrong = [...amplitudes, ...phases, residual].find((each) => !Number.isFinite(each));
  if (wrong === undefined) return;
  throw new FieldError(
    'InvalidTarget',
    `no drive is found for these targets (${wrong}): they are out of all elements' reach, or too far apart in pressure`,
    'spec.targets',
  );
}

const frameIterations = 20;

/**
 * The next frame of a motion, by weighted Gerchberg–Saxton from the phases of the one before. A turn of all elements alike
 * changes nothing that is heard, so they are turned to change least.
 * @returns with `continuous` the phases before they are rounded to those that the hardware has. @throws FieldError `InvalidTarget`
 */
export function solveFrom(
  emitters: Emitters,
  targets: readonly Target[],
  settings: SolverSettings,
  phases: Float64Array,
): { drive: Drive; continuous: Float64Array } {
  const goals = goalsOf(emitters, targets);
  const start = { re: phases.map((phase) => Math.cos(phase)), im: phases.map((phase) => Math.sin(phase)) };
  const { x } = weightedGerchbergSaxton(goals, Math.min(settings.iterations, frameIterations), settings.seed, start);
  let re = 0;
  let im = 0;
  for (let t = 0; t < phases.length; t++) {
    const size = Math.hypot(x.re[t]!, x.im[t]!) || 1;
    const [cos, sin] = [Math.cos(phases[t]!), Math.sin(phases[t]!)];
    re += (x.re[t]! * cos + x.im[t]! * sin) / size;
    im += (x.im[t]! * cos - x.re[t]! * sin) / size;
  }
  const turn = Math.atan2(im, re);
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  const turned = {
    re: x.re.map((value, t) => value * cos + x.im[t]! * sin),
    im: x.im.map((value, t) => value * cos - x.re[t]! * sin),
  };
  const drive = constrain(turned, settings);
  level(drive, goals, targets);
  refuseUnlessFinite(drive, 0);
  return { drive, continuous: turned.re.map((value, t) => Math.atan2(turned.im[t]!, value)) };
}

function iterate(goals: Goals, settings: SolverSettings): Outcome {
  const { algorithm, iterations, regularization, seed } = settings;
  switch (algorithm) {
    case 'Naive':
      return naive(goals, seed);
    case 'IBP':
      return iterativeBackpropagation(goals, iterations, seed);
    case 'WeightedGS':
      return weightedGerchbergSaxton(goals, iterations, seed);
    case 'GSPAT':
      return gsPat(goals, iterations);
    case 'Eigen':
      return eigensolver(goals, iterations, regularization);
    case 'Adam':
    case 'LBFGS':
      return descend(goals, settings);
  }
}

const warmIterations = 50;

/** Share of the mean amplitude of the warm start that is aimed at where no pressures are given: more than there is. */
const stretch = 1.15;

/** Gradient descent from what weighted Gerchberg–Saxton finds. */
function descend(goals: Goals, { algorithm, iterations, amplitude, learningRate, seed }: SolverSettings): Outcome {
  const warm = weightedGerchbergSaxton(goals, Math.min(iterations, warmIterations), seed);
  const free = amplitude === 'Free';
  const count = goals.loud.columns;
  const start = new Float64Array(free ? 2 * count : count);
  for (let t = 0; t < count; t++) start[t] = Math.atan2(warm.x.im[t]!, warm.x.re[t]!);
  // Amplitudes start a little below full, where their parameter has a slope.
  if (free) start.fill(1.2, count);
  const focal = focalAmplitudes(goals, {
    amplitudes: new Float64Array(count).fill(1),
    phases: start.subarray(0, count),
  });
  const mean = meanOf(ratiosOf(goals, focal));
  const scale = goals.absolute ? Math.min(1, mean) : stretch * mean;
  const objective = targetObjective(goals, scale, free);
  const found =
    algorithm === 'Adam' ? adam(objective, start, iterations, learningRate) : lbfgs(objective, start, iterations);
  return { x: driveOf(found.parameters, count, free), iterations: found.iterations };
}

/** Amplitudes and phases that the hardware has. */
export function constrain(x: ComplexVector, { amplitude, amplitudeLevels, phaseLevels }: SolverSettings): Drive {
  const count = x.re.length;
  const amplitudes = new Float64Array(count).fill(1);
  const phases = new Float64Array(count);
  let most = 0;
  for (let t = 0; t < count; t++) most = Math.max(most, Math.hypot(x.re[t]!, x.im[t]!));
  for (let t = 0; t < count; t++) {
    phases[t] = quantised(Math.atan2(x.im[t]!, x.re[t]!), phaseLevels);
    if (amplitude === 'Free' && most > 0) {
      const size = Math.hypot(x.re[t]!, x.im[t]!) / most;
      amplitudes[t] = amplitudeLevels > 0 ? Math.round(size * amplitudeLevels) / amplitudeLevels : size;
    }
  }
  return { amplitudes, phases };
}

/** The nearest of `levels` phases from 0 up to 2π. */
function quantised(phase: number, levels: number): number {
  const turns = phase / (2 * Math.PI);
  if (levels === 0) return (turns - Math.floor(turns)) * 2 * Math.PI;
  const step = Math.round(turns * levels) % levels;
  return ((step < 0 ? step + levels : step) / levels) * 2 * Math.PI;
}

/** Turns all elements down alike where pressures were asked for that they exceed. */
function level(drive: Drive, goals: Goals, targets: readonly Target[]): void {
  const loud = targets.filter(({ trap }) => trap !== 'Silence');
  if (!goals.absolute) return;
  const focal = focalAmplitudes(goals, drive);
  let asked = 0;
  let reached = 0;
  loud.forEach(({ pressure }, j) => {
    if (pressure === undefined) return;
    asked += pressure * focal[j]!;
    reached += focal[j]! ** 2;
  });
  // Least squares over the targets with a pressure.
  const factor = Math.min(1, asked / reached);
  for (let t = 0; t < drive.amplitudes.length; t++) drive.amplitudes[t]! *= factor;
}

function focalAmplitudes({ loud }: Goals, { amplitudes, phases }: Drive): Float64Array {
  const x = complexVector(loud.columns);
  for (let t = 0; t < loud.columns; t++) {
    x.re[t] = amplitudes[t]! * Math.cos(phases[t]!);
    x.im[t] = amplitudes[t]! * Math.sin(phases[t]!);
  }
  const b = complexVector(loud.rows);
  multiply(loud, x, b);
  return Float64Array.from(b.re, (re, j) => Math.hypot(re, b.im[j]!));
}

/** Against the pressures asked for, or where there are none against the weights, scaled to the mean reached. */
function residualOf(goals: Goals, focal: Float64Array): number {
  const ratios = ratiosOf(goals, focal);
  const mean = goals.absolute ? 1 : meanOf(ratios);
  return Math.sqrt(meanOf(ratios.map((each) => (each / mean - 1) ** 2)));
}

/** Amplitude over the wanted one, where it is asked for. */
function ratiosOf({ wanted, held }: Goals, focal: Float64Array): number[] {
  return Array.from(focal, (each, j) => each / wanted[j]!).filter((_, j) => !held[j]);
}

const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, each) => sum + each, 0) / values.length;
