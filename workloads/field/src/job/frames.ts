// Moving traps, frame by frame: each frame's drive from the one before, held to the steps that the hardware and a levitated
// bead can follow.
import { FieldError } from '../errors.ts';
import { derivativeCounts, derivativesAt, forceOf, stiffnessOf } from '../physics/derivatives.ts';
import { gorkov } from '../physics/particle.ts';
import { type Drive, drivenSources } from '../physics/sources.ts';
import { solveFrom } from '../solver/solve.ts';
import { checkScene } from './check.ts';
import { type Motion, targetsAt } from './motion.ts';
import type { Problem } from './problem.ts';
import type { Turns } from './turns.ts';
import { formatLength } from './units.ts';

export interface Frames {
  readonly drives: readonly Drive[];
  /** Radians of one element, and the frame that it leads to. */
  readonly largestPhaseStep: { readonly radians: number; readonly frame: number };
  /** How far a trap's balance of forces is from its path, by force over stiffness; none without twin or vortex traps. */
  readonly largestDisplacement?: { readonly metres: number; readonly frame: number; readonly target: string };
}

/** Share of the wavelength that a trap may be off its path. */
const offPath = 1 / 20;

/** `motion.json` */
export const motionPath = 'motion.json';

/** @throws FieldError `InvalidMotion` naming the first frame that cannot be. */
export function* solveFrames(problem: Problem, motion: Motion, first: Drive): Turns<Frames> {
  const drives = [first];
  const largestPhaseStep = { radians: 0, frame: 0 };
  let displaced: { metres: number; frame: number; target: string } | undefined;
  let continuous = first.phases;
  const held = holding(problem, motion);
  for (let frame = 0; frame < motion.frames; frame++) {
    yield;
    const targets = targetsAt(motion, problem.targets, frame);
    checkFrame(problem, targets, frame);
    if (frame > 0) {
      const solved = solveFrom(problem.emitters, targets, problem.solver, continuous);
      const radians = largestStep(drives[frame - 1]!.phases, solved.drive.phases);
      if (radians > largestPhaseStep.radians) Object.assign(largestPhaseStep, { radians, frame });
      if (radians > motion.maxPhaseStep * (1 + 1e-9)) {
        const step = `frame ${frame} turns an element by ${degrees(radians)}, over ${degrees(motion.maxPhaseStep)}`;
        throw new FieldError(
          'InvalidMotion',
          `${step}: move slower, raise frameRate, or allow more`,
          'spec.motion.maxPhaseStep',
        );
      }
      continuous = solved.continuous;
      drives.push(solved.drive);
    }
    const here = held(drives[frame]!, targets, frame);
    if (here && (!displaced || here.metres > displaced.metres)) displaced = { ...here, frame };
  }
  return { drives, largestPhaseStep, ...(displaced && { largestDisplacement: displaced }) };
}

/** What a person or a board's program needs beside the states. */
export function motionFile({ targets }: Problem, motion: Motion, frames: Frames): unknown {
  const { frameRate, largestAcceleration, paths } = motion;
  const { largestPhaseStep, largestDisplacement } = frames;
  return {
    frameRate,
    frames: motion.frames,
    largestPhaseStep,
    largestAcceleration,
    ...(largestDisplacement && { largestDisplacement }),
    paths: paths.map(({ target, positions }) => ({ target: targets[target]!.name, positions })),
  };
}

function checkFrame(problem: Problem, targets: Problem['targets'], frame: number): void {
  try {
    checkScene({ ...problem, targets });
  } catch (error) {
    if (!(error instanceof FieldError) || frame === 0) throw error;
    throw new FieldError('InvalidMotion', `frame ${frame}: ${error.message}`, 'spec.motion.paths', error);
  }
}

/** Judges traps by the axes along which they hold at the start: there they must hold on, near the path. */
function holding(problem: Problem, motion: Motion) {
  const { emitters, particle, medium, frequency, wavelength } = problem;
  const weights = gorkov(particle, medium, frequency);
  const values = new Float64Array(2 * derivativeCounts[3]);
  const here = { re: (m: number) => values[2 * m]!, im: (m: number) => values[2 * m + 1]! };
  const moving = motion.paths.filter(({ target }) => ['Twin', 'Vortex'].includes(problem.targets[target]!.trap));
  const axes = new Map<number, number[]>();
  return (drive: Drive, targets: Problem['targets'], frame: number): { metres: number; target: string } | undefined => {
    let furthest: { metres: number; target: string } | undefined;
    const sources = moving.length > 0 ? drivenSources(emitters, drive) : undefined;
    for (const { target: index } of moving) {
      const { name, position } = targets[index]!;
      derivativesAt(sources!, 3, ...position, values);
      const stiffness = [0, 1, 2].map((axis) => stiffnessOf(here, weights, axis));
      if (frame === 0)
        axes.set(
          index,
          [0, 1, 2].filter((axis) => stiffness[axis]! > 0),
        );
      const along = axes.get(index) ?? [];
      const lost = along.find((axis) => !(stiffness[axis]! > 0));
      if (lost !== undefined) {
        const message = `${name} does not hold along ${'xyz'[lost]} in frame ${frame}, as it does at the start`;
        throw new FieldError('InvalidMotion', message, 'spec.motion.paths');
      }
      const metres = Math.hypot(...along.map((axis) => forceOf(here, weights, axis) / stiffness[axis]!));
      if (metres > offPath * wavelength) {
        const off = `${formatLength(metres)} off its path in frame ${frame}`;
        throw new FieldError(
          'InvalidMotion',
          `${name} is ${off}, over a twentieth of the wavelength (${formatLength(offPath * wavelength)})`,
          'spec.motion.paths',
        );
      }
      if (!furthest || metres > furthest.metres) furthest = { metres, target: name };
    }
    return furthest;
  };
}

function largestStep(before: Float64Array, after: Float64Array): number {
  return after.reduce((most, phase, t) => {
    const turns = (phase - before[t]!) / (2 * Math.PI);
    return Math.max(most, Math.abs(turns - Math.round(turns)) * 2 * Math.PI);
  }, 0);
}

const degrees = (radians: number): string => `${Number(((radians * 180) / Math.PI).toPrecision(3))}°`;
