// The first step: solves the phases, judges safety, decides how the volume is cut, and lays out the result's files.
import { isBucket } from '../compute/bucket.ts';
import { kernelFor, orderOf } from '../compute/chunk.ts';
import { writeWhole } from '../compute/files.ts';
import { arrayOf, type StoredQuantity } from '../compute/quantities.ts';
import { FieldError } from '../errors.ts';
import { type Choice, chooseMethod } from '../interpolation/choose.ts';
import type { Lattice } from '../interpolation/design.ts';
import { memoryLimit, usableCores } from '../machine.ts';
import { type Drive, drivenSources, fullDrive, type Sources } from '../physics/sources.ts';
import { solve } from '../solver/solve.ts';
import { chunkCount, pointsOf, type Volume } from '../volume/layout.ts';
import { chunkBytes } from '../zarr/array.ts';
import { behindElements } from './behind.ts';
import { writeBoards } from './boards.ts';
import { check } from './check.ts';
import { describeSimulation } from './checktimedomain.ts';
import { codeDigest } from './code.ts';
import { layOutFiles } from './files.ts';
import { maximaOf } from './framemaxima.ts';
import { motionFile, motionPath, solveFrames } from './frames.ts';
import { estimateMemory, speakerBytes } from './memory.ts';
import { type PlanFile, type SolutionFile, toJson } from './output.ts';
import { digestOf, type Problem, problemDigestOf } from './problem.ts';
import { intensityOf, judge, type Maxima, type Verdict } from './safety.ts';
import { targetPressures, targetStiffness } from './sample.ts';
import { isTimed, simulationMemory, simulationOf } from './timedomain.ts';
import { atOnce, byTurns, type Turns } from './turns.ts';
import { figure, formatBytes, formatIntensity, formatPercent, formatPressure, formatStiffness } from './units.ts';

export interface PlanResult {
  step: 'plan';
  digest: string;
  method: PlanFile['method'];
  shards: number;
  points: number;
  bytes: number;
  memoryBytes: number;
  solution: SolutionSummary;
  safety: SafetySummary;
  warnings: string[];
  /** Of a job in time: its box, steps and about how long they take. */
  simulation?: string;
}

export interface SolutionSummary {
  residual: string;
  iterations: number;
  targets: { name: string; pressure: string; stiffness?: string }[];
}

export interface SafetySummary {
  verdict: Verdict['verdict'];
  maxPressure: string;
  maxIntensity: string;
  margin?: string;
  message?: string;
}

export interface Limits {
  readonly memory: number;
  readonly threads: number;
}

export const machineLimits = (): Limits => ({ memory: memoryLimit(), threads: usableCores() });

/**
 * Leaves on the output all that shards need; a result of the same digest is kept, one of another is cleared away.
 * @throws FieldError for everything that only a changed spec, more memory or more space would help.
 */
export function plan(problem: Problem, folder: string, limits: Limits = machineLimits()): PlanResult {
  return atOnce(planning(problem, folder, limits));
}

/** The same, and signals are heard meanwhile. @throws the reason of the signal too; nothing is on the output then. */
export function planByTurns(problem: Problem, folder: string, signal?: AbortSignal): Promise<PlanResult> {
  return byTurns(planning(problem, folder, machineLimits()), signal);
}

function* planning(problem: Problem, folder: string, limits: Limits): Turns<PlanResult> {
  const warnings = check(problem);
  const quantities = problem.quantities;
  const points = pointsOf(problem.volume);
  const bytes = resultBytes(problem.volume, quantities);
  const memoryWith = (lattice?: Lattice): number => {
    const computing = isTimed(problem)
      ? simulationMemory(problem)
      : estimateMemory(problem, quantities, limits.threads, lattice);
    return computing + (isBucket(folder) ? speakerBytes : 0);
  };
  refuseBeyond(limits, memoryWith(), problem);
  refuseKernel(problem);

  yield;
  const solution = solve(problem.emitters, problem.targets, problem.solver);
  const frames = problem.motion && (yield* solveFrames(problem, problem.motion, solution.drive));
  const drives = frames?.drives ?? [solution.drive];
  const { maxima, first, frame } = yield* maximaOf(problem, drives);
  const verdict = judge(problem.safety, maxima, problem.medium, problem.frequency);
  if (verdict.verdict === 'Refused') {
    throw new FieldError(
      'SafetyLimitExceeded',
      `${verdict.message}${frame > 0 ? `, the most in frame ${frame}` : ''}; lower a target's pressure, raise the limit, or set action: Clamp`,
      verdict.field ?? 'spec.safety',
    );
  }
  const drive = turnedDown(solution.drive, verdict.factor);
  const sources = drivenSources(problem.emitters, drive);
  const pressures = yield* targetPressures(problem, sources);
  const stiffness = targetStiffness(problem, sources);
  const clamped = scaleMaxima(maxima, verdict.factor);

  const choice = choose(problem, sources, turnedDownBy(verdict.factor) * first);
  const memoryBytes = memoryWith(choice.lattice);
  refuseBeyond(limits, memoryBytes, problem);
  const digest = digestOf(problem, drive, choice.lattice);
  const shards = isTimed(problem) ? 1 : Math.min(problem.shardsMax, chunkCount(problem.volume));
  const solutionFile: SolutionFile = {
    name: problem.name,
    frequency: problem.frequency,
    wavelength: problem.wavelength,
    algorithm: problem.solver.algorithm,
    iterations: solution.iterations,
    residual: solution.residual,
    amplitudes: Array.from(drive.amplitudes),
    phases: Array.from(drive.phases),
    targets: problem.targets.map(({ name, trap, position }, i) => ({
      name,
      trap,
      position,
      pressure: pressures[i]!,
      ...(stiffness[i] !== undefined && { stiffness: stiffness[i] }),
    })),
  };
  const solutionText = toJson(solutionFile);
  const planFile: PlanFile = {
    digest,
    problemDigest: problemDigestOf(problem),
    code: codeDigest(),
    shards,
    chunks: chunkCount(problem.volume),
    points,
    bytes,
    memoryBytes,
    quantities,
    backend: problem.backend,
    method: choice.method,
    ...(choice.method !== 'TimeDomain' && choice.reason !== undefined && { methodReason: choice.reason }),
    ...(choice.lattice && { lattice: choice.lattice, interpolationError: choice.error ?? 0 }),
    safety: {
      verdict: verdict.verdict,
      factor: verdict.factor,
      zones: clamped.zones,
      ...(clamped.thermalIndex !== undefined && { thermalIndex: clamped.thermalIndex }),
    },
    warnings,
  };
  layOutFiles(problem, folder, planFile, solutionText);
  if (problem.motion && frames) writeWhole(folder, motionPath, toJson(motionFile(problem, problem.motion, frames)));
  if (problem.boards) {
    const turned = drives.map((each) => turnedDown(each, verdict.factor));
    writeBoards(problem.boards, turned, folder);
  }
  return {
    step: 'plan',
    digest,
    method: choice.method,
    shards,
    points,
    bytes,
    memoryBytes,
    solution: summarizeSolution(solutionFile),
    safety: summarizeSafety(problem, clamped, verdict),
    warnings,
    ...(isTimed(problem) && { simulation: describeSimulation(problem) }),
  };
}

export function summarizeSolution({ residual, iterations, targets }: SolutionFile): SolutionSummary {
  return {
    residual: figure(residual),
    iterations,
    targets: targets.map(({ name, pressure, stiffness }) => ({
      name,
      pressure: formatPressure(pressure),
      ...(stiffness !== undefined && { stiffness: formatStiffness(stiffness) }),
    })),
  };
}

/** The verdict after any clamping, in words. */
export function summarizeSafety(problem: Problem, maxima: Maxima, verdict: Verdict): SafetySummary {
  const { medium, safety, frequency } = problem;
  const messages: string[] = [];
  if (verdict.message && verdict.verdict === 'Clamped') {
    messages.push(`${verdict.message}; the drive is turned down to ${formatPercent(verdict.factor)}`);
  }
  const [doubt] = behindElements(problem);
  if (doubt) messages.push(`judged where the model does not hold: ${doubt}`);
  const { margin } = verdict.verdict === 'Clamped' ? judge(safety, maxima, medium, frequency) : verdict;
  return {
    verdict: verdict.verdict,
    maxPressure: formatPressure(maxima.anywhere),
    maxIntensity: formatIntensity(intensityOf(maxima.anywhere, medium)),
    ...(margin !== undefined && { margin: formatPercent(margin) }),
    ...(messages.length > 0 && { message: messages.join('; ') }),
  };
}

/** Bytes of all chunk files. */
export function resultBytes(volume: Volume, quantities: readonly StoredQuantity[]): number {
  const chunks = chunkCount(volume);
  return quantities.reduce((sum, quantity) => sum + chunks * chunkBytes(arrayOf(quantity, volume)), 0);
}

function choose(
  problem: Problem,
  sources: Sources,
  largest: number,
): Choice | { method: 'TimeDomain'; lattice?: never } {
  const { method, volume, tolerance, backend, quantities } = problem;
  if (method === 'TimeDomain') return { method };
  if (method === 'Auto' && (backend === 'Reference' || problem.gpu === 'Required')) return { method: 'DirectSum' };
  return chooseMethod(method, volume, sources, tolerance, largest, orderOf({ quantities }));
}

function refuseBeyond({ memory }: Limits, needed: number, problem: Problem): void {
  if (needed <= memory) return;
  const points = isTimed(problem)
    ? `${simulationOf(problem).domain.shape.toReversed().join(' × ')} points around array and volume`
    : `${pointsOf(problem.volume)} points`;
  const numbers = `needs ${formatBytes(needed)} of memory for ${points}, the limit is ${formatBytes(memory)}`;
  const advice = `shrink the volume${isTimed(problem) ? ', coarsen its spacing' : ''} or raise spec.resources.limits.memory`;
  throw new FieldError('VolumeTooLarge', `${numbers}: ${advice}`, 'spec.volume');
}

/** What shards would refuse is refused before anything takes long. A simulation has no use for a kernel. */
function refuseKernel(problem: Problem): void {
  if (isTimed(problem)) return;
  const { emitters, volume, backend } = problem;
  const sources = drivenSources(emitters, fullDrive(emitters.elements.count));
  kernelFor({ volume, backend, sources, pattern: emitters.pattern });
}

function turnedDown({ amplitudes, phases }: Drive, factor: number): Drive {
  const by = turnedDownBy(factor);
  return { amplitudes: amplitudes.map((each) => each * by), phases };
}

/** A hair below the limit, so that rounding does not lift it over. */
const turnedDownBy = (factor: number): number => (factor < 1 ? factor * (1 - 1e-4) : 1);

function scaleMaxima({ anywhere, zones, thermalIndex }: Maxima, factor: number): Maxima {
  const by = turnedDownBy(factor);
  return {
    anywhere: anywhere * by,
    ...(thermalIndex !== undefined && { thermalIndex: thermalIndex * by ** 2 }),
    zones: Object.fromEntries(Object.entries(zones).map(([name, value]) => [name, value * by])),
  };
}
