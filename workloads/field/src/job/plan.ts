// The first step: solves the phases, judges safety, decides how the volume is cut, and lays out the result's files.
import { isBucket } from '../compute/bucket.ts';
import { orderOf } from '../compute/chunk.ts';
import { writeWhole } from '../compute/files.ts';
import { arrayOf, type StoredQuantity } from '../compute/quantities.ts';
import { FieldError } from '../errors.ts';
import { type Choice, chooseMethod } from '../interpolation/choose.ts';
import { memoryLimit, usableCores } from '../machine.ts';
import { type Drive, drivenSources } from '../physics/sources.ts';
import { solve } from '../solver/solve.ts';
import { chunkCount, pointsOf, type Volume } from '../volume/layout.ts';
import { chunkBytes } from '../zarr/array.ts';
import { writeBoards } from './boards.ts';
import { check } from './check.ts';
import { layOutFiles } from './files.ts';
import { motionFile, motionPath, solveFrames } from './frames.ts';
import { estimateMemory, speakerBytes } from './memory.ts';
import { type PlanFile, type SolutionFile, toJson } from './output.ts';
import { digestOf, type Problem, problemDigestOf } from './problem.ts';
import { intensityOf, judge, type Maxima, thermalIndexIn, type Verdict } from './safety.ts';
import { sampleMaxima, targetPressures, targetStiffness } from './sample.ts';
import type { Scene } from './scene.ts';
import { figure, formatBytes, formatIntensity, formatPercent, formatPressure, formatStiffness } from './units.ts';

export interface PlanResult {
  step: 'plan';
  digest: string;
  shards: number;
  points: number;
  bytes: number;
  memoryBytes: number;
  solution: SolutionSummary;
  safety: SafetySummary;
  warnings: string[];
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
  const warnings = check(problem);
  const quantities = problem.quantities;
  const points = pointsOf(problem.volume);
  const bytes = resultBytes(problem.volume, quantities);
  const besides = isBucket(folder) ? speakerBytes : 0;
  refuseBeyond(limits, besides + estimateMemory(problem, quantities, limits.threads), points);

  const solution = solve(problem.emitters, problem.targets, problem.solver);
  const frames = problem.motion && solveFrames(problem, problem.motion, solution.drive);
  const drives = frames?.drives ?? [solution.drive];
  const maxima = largestOf(problem, drives);
  const verdict = judge(problem.safety, maxima, problem.medium, problem.frequency);
  if (verdict.verdict === 'Refused') {
    throw new FieldError(
      'SafetyLimitExceeded',
      `${verdict.message}; lower a target's pressure, raise the limit, or set action: Clamp`,
      verdict.field ?? verdict.field ?? 'spec.safety',
    );
  }
  const drive = turnedDown(solution.drive, verdict.factor);
  const sources = drivenSources(problem.emitters, drive);
  const pressures = targetPressures(problem, sources);
  const stiffness = targetStiffness(problem, sources);
  const clamped = scaleMaxima(maxima, verdict.factor);

  const choice: Choice =
    problem.backend === 'Reference' && problem.method === 'Auto'
      ? { method: 'DirectSum' }
      : chooseMethod(
          problem.method,
          problem.volume,
          sources,
          problem.tolerance,
          clamped.anywhere,
          orderOf({ quantities }),
        );
  const memoryBytes = besides + estimateMemory(problem, quantities, limits.threads, choice.lattice);
  refuseBeyond(limits, memoryBytes, points);
  const digest = digestOf(problem, drive, choice.lattice);
  const shards = Math.min(problem.shardsMax, chunkCount(problem.volume));
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
    shards,
    chunks: chunkCount(problem.volume),
    points,
    bytes,
    memoryBytes,
    quantities,
    backend: problem.backend,
    method: choice.method,
    ...(choice.reason !== undefined && { methodReason: choice.reason }),
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
    shards,
    points,
    bytes,
    memoryBytes,
    solution: summarizeSolution(solutionFile),
    safety: summarizeSafety(problem, clamped, verdict),
    warnings,
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
export function summarizeSafety({ medium, safety, frequency }: Scene, maxima: Maxima, verdict: Verdict): SafetySummary {
  const { margin } = verdict.verdict === 'Clamped' ? judge(safety, maxima, medium, frequency) : verdict;
  return {
    verdict: verdict.verdict,
    maxPressure: formatPressure(maxima.anywhere),
    maxIntensity: formatIntensity(intensityOf(maxima.anywhere, medium)),
    ...(margin !== undefined && { margin: formatPercent(margin) }),
    ...(verdict.message &&
      verdict.verdict === 'Clamped' && {
        message: `${verdict.message}; the drive is turned down to ${formatPercent(verdict.factor)}`,
      }),
  };
}

/** Bytes of all chunk files. */
export function resultBytes(volume: Volume, quantities: readonly StoredQuantity[]): number {
  const chunks = chunkCount(volume);
  return quantities.reduce((sum, quantity) => sum + chunks * chunkBytes(arrayOf(quantity, volume)), 0);
}

/** Frames of a motion in which limits are judged, evenly spread from the first to the last. */
const judgedFrames = 16;

function largestOf(problem: Problem, drives: readonly Drive[]): Maxima {
  const judged = Math.min(drives.length, judgedFrames);
  const sampled = Array.from({ length: judged }, (_, i) => {
    const drive = drives[judged === 1 ? 0 : Math.round((i * (drives.length - 1)) / (judged - 1))]!;
    return { ...sampleMaxima(problem, drivenSources(problem.emitters, drive)), ...thermalIndexIn(problem, drive) };
  });
  return sampled.reduce((most: Maxima, each: Maxima) => ({
    ...hotter(most, each),
    anywhere: Math.max(most.anywhere, each.anywhere),
    zones: Object.fromEntries(
      Object.entries(each.zones).map(([name, value]) => [name, Math.max(value, most.zones[name] ?? 0)]),
    ),
  }));
}

const hotter = (a: Maxima, b: Maxima): { thermalIndex?: number } =>
  a.thermalIndex === undefined ? {} : { thermalIndex: Math.max(a.thermalIndex, b.thermalIndex ?? 0) };

function refuseBeyond({ memory }: Limits, needed: number, points: number): void {
  if (needed <= memory) return;
  const numbers = `needs ${formatBytes(needed)} of memory for ${points} points, the limit is ${formatBytes(memory)}`;
  const advice = 'shrink the volume or raise spec.resources.limits.memory';
  throw new FieldError('VolumeTooLarge', `${numbers}: ${advice}`, 'spec.volume');
}

function turnedDown({ amplitudes, phases }: Drive, factor: number): Drive {
  // A hair below the limit, so that rounding does not lift it over.
  const by = factor < 1 ? factor * (1 - 1e-4) : 1;
  return { amplitudes: amplitudes.map((each) => each * by), phases };
}

function scaleMaxima({ anywhere, zones, thermalIndex }: Maxima, factor: number): Maxima {
  const by = factor < 1 ? factor * (1 - 1e-4) : 1;
  return {
    anywhere: anywhere * by,
    ...(thermalIndex !== undefined && { thermalIndex: thermalIndex * by ** 2 }),
    zones: Object.fromEntries(Object.entries(zones).map(([name, value]) => [name, value * by])),
  };
}
