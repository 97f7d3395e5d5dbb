// The first step: solves the phases, judges safety, decides how the volume is cut, and lays out the result's files.
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { isBucket } from '../compute/bucket.ts';
import { orderOf } from '../compute/chunk.ts';
import { writeWhole } from '../compute/files.ts';
import { arrayOf, formats, type StoredQuantity } from '../compute/quantities.ts';
import { FieldError, outputError } from '../errors.ts';
import { type Choice, chooseMethod } from '../interpolation/choose.ts';
import { memoryLimit, usableCores } from '../machine.ts';
import { type Drive, drivenSources } from '../physics/sources.ts';
import { solve } from '../solver/solve.ts';
import { chunkCount, pointsOf, type Volume } from '../volume/layout.ts';
import {
  type ArrayDescription,
  arrayMetadata,
  chunkBytes,
  chunkPath,
  dataTypes,
  groupMetadata,
  seal,
} from '../zarr/array.ts';
import { boardFiles, writeBoards } from './boards.ts';
import { check } from './check.ts';
import { estimateMemory, speakerBytes } from './memory.ts';
import {
  entries,
  type PlanFile,
  planPath,
  readJson,
  remove,
  type SolutionFile,
  solutionPath,
  summaryPath,
  toJson,
} from './output.ts';
import { digestOf, type Problem, problemDigestOf } from './problem.ts';
import { intensityOf, judge, type Maxima, type Verdict } from './safety.ts';
import { sampleMaxima, targetPressures, targetStiffness } from './sample.ts';
import type { Scene } from './scene.ts';
import { sweepStaging } from './shard.ts';
import { figure, formatBytes, formatIntensity, formatPercent, formatPressure, formatStiffness } from './units.ts';
import { viewerPath } from './viewer.ts';

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
  const first = drivenSources(problem.emitters, solution.drive);
  const maxima = sampleMaxima(problem, first);
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
    ...(choice.lattice && { lattice: choice.lattice, interpolationError: choice.error ?? 0 }),
    safety: { verdict: verdict.verdict, factor: verdict.factor, zones: clamped.zones },
    warnings,
  };
  layOutFiles(problem, folder, planFile, solutionText);
  if (problem.boards) writeBoards(problem.boards, [drive], folder);
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

function refuseBeyond({ memory }: Limits, needed: number, points: number): void {
  if (needed <= memory) return;
  const numbers = `needs ${formatBytes(needed)} of memory for ${points} points, the limit is ${formatBytes(memory)}`;
  const advice = 'shrink the volume or raise spec.resources.limits.memory';
  throw new FieldError('VolumeTooLarge', `${numbers}: ${advice}`, 'spec.volume');
}

function layOutFiles(problem: Problem, folder: string, planFile: PlanFile, solutionText: string): void {
  const known = readJson<PlanFile>(folder, planPath);
  const same = known?.digest === planFile.digest;
  claim(folder);
  sweepStaging(folder);
  if (!same) clear(folder);
  // A summary says that a result is whole; until the last step says so again, there is none.
  remove(folder, summaryPath);
  if (!same && !isBucket(folder)) checkSpace(folder, planFile.bytes);
  writeWhole(folder, solutionPath, solutionText);
  writeWhole(
    folder,
    'zarr.json',
    groupMetadata({
      name: problem.name,
      frequency: problem.frequency,
      wavelength: problem.wavelength,
      digest: planFile.digest,
    }),
  );
  for (const quantity of planFile.quantities) {
    writeWhole(folder, join(formats[quantity].array, 'zarr.json'), arrayMetadata(arrayOf(quantity, problem.volume)));
  }
  (['z', 'y', 'x'] as const).forEach((name, axis) => writeCoordinates(folder, problem.volume, name, axis as 0 | 1 | 2));
  if (planFile.quantities.some((quantity) => formats[quantity].components === 3)) writeComponents(folder);
  writeWhole(folder, planPath, toJson(planFile));
}

const ownershipPath = '.quintet/owner';

/** Marks the folder as one whose results may be cleared away. @throws FieldError when others' files lie where ours go. */
function claim(folder: string): void {
  const names = entries(folder);
  const ours = [...Object.values(formats).map(({ array }) => array), summaryPath, solutionPath, 'zarr.json'];
  const foreign = names.includes('.quintet') ? [] : names.filter((name) => ours.includes(name));
  if (foreign.length > 0) {
    throw new FieldError(
      'OutputUnwritable',
      `${folder} holds ${foreign.join(', ')} that no FieldJob wrote: choose another folder`,
      'spec.output',
    );
  }
  writeWhole(folder, ownershipPath, 'FieldJob\n');
}

/** Takes away what an earlier plan made, its plan first: without one, nothing is taken for a result. */
function clear(folder: string): void {
  remove(folder, planPath);
  remove(folder, summaryPath);
  for (const name of entries(folder, '.quintet')) {
    if (/^shard-\d+\.json$/.test(name)) remove(folder, join('.quintet', name));
  }
  for (const { array } of Object.values(formats)) remove(folder, array);
  for (const name of entries(folder)) {
    if (/^slice-.*\.png$/.test(name) || Object.values(boardFiles).includes(name) || name === viewerPath)
      remove(folder, name);
  }
}

function checkSpace(folder: string, bytes: number): void {
  let free: number;
  try {
    const { bavail, bsize } = statfsSync(folder);
    free = bavail * bsize;
  } catch (error) {
    throw outputError(error, folder);
  }
  if (free < bytes) {
    throw new FieldError(
      'OutputFull',
      `the result takes ${formatBytes(bytes)}, ${formatBytes(free)} are free: free some, grow the volume claim, or coarsen spec.volume`,
      'spec.output',
    );
  }
}

function writeCoordinates(folder: string, volume: Volume, name: string, axis: 0 | 1 | 2): void {
  const length = volume.shape[axis];
  const values = Float64Array.from({ length }, (_, i) => volume.first[axis] + i * volume.spacing);
  const array: ArrayDescription = {
    name,
    dataType: 'float64',
    shape: [length],
    chunk: [length],
    dimensionNames: [name],
    attributes: { units: 'm' },
  };
  const bytes = new Uint8Array(chunkBytes(array));
  bytes.set(new Uint8Array(values.buffer));
  seal(bytes);
  writeWhole(folder, chunkPath(name, [0]), bytes);
  writeWhole(folder, join(name, 'zarr.json'), arrayMetadata(array));
}

/** 0, 1, 2 for x, y, z. */
function writeComponents(folder: string): void {
  const array: ArrayDescription = {
    name: 'component',
    dataType: 'float64',
    shape: [3],
    chunk: [3],
    dimensionNames: ['component'],
    attributes: { description: '0, 1, 2 are x, y, z' },
  };
  const bytes = new Uint8Array(3 * dataTypes.float64 + 4);
  bytes.set(new Uint8Array(Float64Array.of(0, 1, 2).buffer));
  seal(bytes);
  writeWhole(folder, chunkPath('component', [0]), bytes);
  writeWhole(folder, 'component/zarr.json', arrayMetadata(array));
}

function turnedDown({ amplitudes, phases }: Drive, factor: number): Drive {
  // A hair below the limit, so that rounding does not lift it over.
  const by = factor < 1 ? factor * (1 - 1e-4) : 1;
  return { amplitudes: amplitudes.map((each) => each * by), phases };
}

function scaleMaxima({ anywhere, zones }: Maxima, factor: number): Maxima {
  const by = factor < 1 ? factor * (1 - 1e-4) : 1;
  return {
    anywhere: anywhere * by,
    zones: Object.fromEntries(Object.entries(zones).map(([name, value]) => [name, value * by])),
  };
}
