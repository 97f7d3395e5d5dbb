// The last step: every chunk verified (and computed anew where it is not whole), the largest pressures judged, pictures
// drawn, and `summary.json` written last: where it stands, the result is whole.
import { createHash } from 'node:crypto';
import { readInto, writeWhole } from '../compute/files.ts';
import { type FieldMaxima, mergeMaxima, noMaxima } from '../compute/maxima.ts';
import { arrayOf, formats } from '../compute/quantities.ts';
import { FieldError } from '../errors.ts';
import { chunkIndexes } from '../volume/layout.ts';
import { chunkBytes, chunkPath, verified } from '../zarr/array.ts';
import {
  type PlanFile,
  readJson,
  readPlan,
  type ShardFile,
  type SolutionFile,
  solutionPath,
  summaryPath,
  toJson,
} from './output.ts';
import { type SafetySummary, type SolutionSummary, summarizeSafety, summarizeSolution } from './plan.ts';
import type { Problem } from './problem.ts';
import { judge, type Maxima, type Verdict } from './safety.ts';
import { readDrive, readMarker, type ShardOptions, shard, sweepStaging } from './shard.ts';
import { readSimulation, type SimulationFile } from './simulate.ts';
import { drawSlices } from './slices.ts';
import { isTimed } from './timedomain.ts';
import { formatPercent } from './units.ts';
import { writeViewer } from './viewer.ts';

export interface FinishResult {
  step: 'finish';
  solution: SolutionSummary;
  safety: SafetySummary;
  throughput: { points: number; pointsPerSecond: number; backend: string; method: string };
  output: { bytes: number; summary: string; pictures: string[] };
}

/** @throws FieldError when there is no plan, a shard cannot be completed, or a limit is broken after all. */
export async function finish(problem: Problem, folder: string, options: ShardOptions = {}): Promise<FinishResult> {
  const plan = readPlan(folder);
  readDrive(problem, folder, plan);
  const solution = readJson<SolutionFile>(folder, solutionPath)!;
  const markers: ShardFile[] = [];
  for (let index = 0; index < plan.shards; index++)
    markers.push(await wholeShard(problem, plan, folder, index, options));
  sweepStaging(folder);

  const maxima = noMaxima(problem.safety.zones);
  for (const marker of markers) mergeMaxima(maxima, marker.maxima);
  const verdict = verdictOf(problem, plan, maxima);
  const pictures = drawSlices(problem, plan, folder, maxima);
  writeViewer(problem, solution, folder, maxima.anywhere);
  const computed = markers.reduce((sum, marker) => sum + marker.computed, 0);
  const result: FinishResult = {
    step: 'finish',
    solution: summarizeSolution(solution),
    safety: summarizeSafety(problem, withZones(maxima, plan), verdict),
    throughput: {
      points: plan.points,
      pointsPerSecond: Math.round(computed / Math.max(busySeconds(markers), 1e-9)),
      backend: [...new Set(markers.map(({ backend }) => backend))].join('+'),
      method: plan.method,
    },
    output: { bytes: plan.bytes, summary: summaryPath, pictures },
  };
  const simulation = isTimed(problem) ? readSimulation(problem, plan, folder) : undefined;
  writeWhole(folder, summaryPath, toJson(summaryOf(problem, plan, solution, markers, maxima, result, simulation)));
  return result;
}

/** Time during which at least one shard was computing. */
function busySeconds(markers: readonly ShardFile[]): number {
  let busy = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const { startedAt, seconds } of markers.toSorted((a, b) => a.startedAt - b.startedAt)) {
    const end = startedAt / 1000 + seconds;
    busy += Math.max(0, end - Math.max(until, startedAt / 1000));
    until = Math.max(until, end);
  }
  return busy;
}

/** The marker of a shard whose files are all there and as it says; computes what is missing. */
async function wholeShard(
  problem: Problem,
  plan: PlanFile,
  folder: string,
  index: number,
  options: ShardOptions,
): Promise<ShardFile> {
  const marker = readMarker(folder, plan, index);
  if (marker && filesAgree(problem, plan, folder, marker)) return marker;
  await shard(problem, folder, index, options);
  const renewed = readMarker(folder, plan, index);
  if (renewed && filesAgree(problem, plan, folder, renewed)) return renewed;
  throw new FieldError(
    'OutputDamaged',
    `shard ${index} does not read back as it was written: is the volume sound?`,
    'spec.output',
  );
}

function filesAgree(problem: Problem, plan: PlanFile, folder: string, marker: ShardFile): boolean {
  if (isTimed(problem) && !readSimulation(problem, plan, folder)) return false;
  return plan.quantities.every((quantity, i) => {
    const { array, components } = formats[quantity];
    const buffer = new Uint8Array(chunkBytes(arrayOf(quantity, problem.volume)));
    for (let chunk = marker.from; chunk < marker.to; chunk++) {
      const indexes = chunkIndexes(problem.volume, chunk);
      const path = chunkPath(array, components === 3 ? [...indexes, 0] : indexes);
      const whole = readInto(folder, path, buffer) && verified(buffer) === marker.checksums[chunk - marker.from]?.[i];
      if (!whole) return false;
    }
    return true;
  });
}

/** @throws FieldError when a limit is broken that the sample before had found kept. */
function verdictOf(problem: Problem, plan: PlanFile, maxima: FieldMaxima): Verdict {
  const verdict = judge(problem.safety, withZones(maxima, plan), problem.medium, problem.frequency);
  if (plan.safety.verdict === 'NotLimited') return verdict;
  if (verdict.factor < 1) {
    throw new FieldError(
      'SafetyLimitExceeded',
      `${verdict.message}; the sample taken before had not found it: lower spec.targets' pressure`,
      verdict.field ?? 'spec.safety',
    );
  }
  if (plan.safety.verdict === 'Clamped') {
    return {
      ...verdict,
      verdict: 'Clamped',
      factor: plan.safety.factor,
      message: 'a limit would be broken at full drive',
    };
  }
  return verdict;
}

/** Zones may reach out of the volume: there the sample of the plan counts. */
function withZones(maxima: FieldMaxima, plan: PlanFile): FieldMaxima & Maxima {
  const zones = Object.entries(maxima.zones).map(([name, value]): [string, number] => [
    name,
    Math.max(value, plan.safety.zones[name] ?? 0),
  ]);
  const { thermalIndex } = plan.safety;
  return { ...maxima, zones: Object.fromEntries(zones), ...(thermalIndex !== undefined && { thermalIndex }) };
}

/** Nothing here tells when or where it ran, but for the throughput: runs of the same spec can be compared by `digest` and `checksum`. */
function summaryOf(
  problem: Problem,
  plan: PlanFile,
  solution: SolutionFile,
  markers: readonly ShardFile[],
  maxima: FieldMaxima,
  result: FinishResult,
  simulation: SimulationFile | undefined,
): unknown {
  const { volume, wavelength, frequency, medium } = problem;
  const checksum = createHash('sha256')
    .update(JSON.stringify(markers.flatMap(({ checksums }) => checksums)))
    .digest('hex');
  return {
    name: problem.name,
    digest: plan.digest,
    checksum,
    elements: problem.emitters.elements.count,
    frequency,
    wavelength,
    medium,
    volume: { shape: volume.shape, first: volume.first, spacing: volume.spacing, points: plan.points },
    arrays: plan.quantities.map((quantity) => {
      const { name, dataType, shape, chunk, attributes } = arrayOf(quantity, volume);
      return { name, dataType, shape, chunk, units: attributes.units };
    }),
    solution: {
      algorithm: solution.algorithm,
      iterations: solution.iterations,
      residual: solution.residual,
      targets: solution.targets,
    },
    maxPressure: { pascals: maxima.anywhere, at: maxima.at },
    zones: withZones(maxima, plan).zones,
    safety: result.safety,
    throughput: result.throughput,
    output: result.output,
    shards: plan.shards,
    ...(plan.lattice && {
      interpolation: {
        step: plan.lattice.step,
        taps: plan.lattice.taps,
        points: plan.lattice.shape,
        error: plan.interpolationError,
        ...(plan.lattice.planes && { planes: plan.lattice.planes }),
      },
    }),
    ...backendsIn(markers),
    ...(plan.methodReason !== undefined && { method: { name: plan.method, reason: plan.methodReason } }),
    ...(simulation && { simulation: { ...simulation, digest: undefined, code: undefined } }),
    warnings: [...plan.warnings, ...unsettledIn(problem, simulation)],
  };
}

/** Amplitudes that still change, or a burst that still sounds, are not those of a field at rest. */
function unsettledIn({ tolerance, timeDomain }: Problem, simulation: SimulationFile | undefined): string[] {
  const change = simulation?.unsettled ?? 0;
  if (change <= tolerance) return [];
  const what = timeDomain?.burst
    ? `the burst still sounded with ${formatPercent(change)} of the largest pressure in the last period`
    : `amplitudes changed by ${formatPercent(change)} of the largest over the last period`;
  return [`${what}, over tolerance ${formatPercent(tolerance)}: raise spec.timeDomain.cycles`];
}

/** What summed and why, where a GPU was looked for. */
function backendsIn(markers: readonly ShardFile[]): { backends?: { name: string; reason: string; shards: number }[] } {
  const found = markers.filter(({ backendReason }) => backendReason !== undefined);
  if (found.length === 0) return {};
  const names = [...new Set(found.map(({ backend }) => backend))];
  return {
    backends: names.map((name) => {
      const own = found.filter(({ backend }) => backend === name);
      return { name, reason: own[0]!.backendReason!, shards: own.length };
    }),
  };
}
