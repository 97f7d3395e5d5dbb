// The second step, once per shard: computes its chunks, or finds them whole, and says so in a marker.
import type { ChunkWork } from '../compute/chunk.ts';
import { stagingFolder, writeWhole } from '../compute/files.ts';
import { gpuChunks } from '../compute/gpuchunks.ts';
import { mergeMaxima, noMaxima } from '../compute/maxima.ts';
import { ChunkPool, type ListOptions } from '../compute/pool.ts';
import type { ChunkResult } from '../compute/store.ts';
import { FieldError } from '../errors.ts';
import { usableCores } from '../machine.ts';
import { type Drive, drivenSources } from '../physics/sources.ts';
import { chunkBlock, pointsOf, shardChunks } from '../volume/layout.ts';
import { type BackendChoice, chooseBackend } from './backend.ts';
import { codeDigest } from './code.ts';
import {
  type PlanFile,
  readJson,
  readPlan,
  remove,
  type ShardFile,
  type SolutionFile,
  shardPath,
  solutionPath,
  toJson,
} from './output.ts';
import { constantsOf, digestOf, type Problem, problemDigestOf } from './problem.ts';
import { simulateChunks } from './simulate.ts';
import { isTimed } from './timedomain.ts';

export interface ShardResult {
  step: 'shard';
  shard: number;
  points: number;
  seconds: number;
  pointsPerSecond: number;
  backend: string;
  backendReason?: string;
  method: string;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  /** Of the points computed since the start. */
  readonly pointsPerSecond: number;
  /** Of a simulation, whose points are all done with its last step. */
  readonly steps?: { readonly done: number; readonly total: number };
}

export interface ShardOptions {
  /** Threads to start, all usable cores when left out. */
  readonly threads?: number;
  /** Threads of `openPool` to use instead. */
  readonly pool?: ChunkPool;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** @throws FieldError when no plan of this problem lies on the output, or the output fails. */
export async function shard(
  problem: Problem,
  folder: string,
  index: number,
  options: ShardOptions = {},
): Promise<ShardResult> {
  const plan = readPlan(folder);
  const drive = readDrive(problem, folder, plan);
  if (!Number.isInteger(index) || index < 0 || index >= plan.shards) {
    throw new FieldError('InvalidResource', `shard ${index} is none of the plan's ${plan.shards}`);
  }
  const { from, to } = shardChunks(problem.volume, index, plan.shards);
  const chunks = Array.from({ length: to - from }, (_, i) => from + i);
  const total = chunks.reduce((sum, chunk) => sum + pointsOf(chunkBlock(problem.volume, chunk)), 0);
  const start = performance.now();
  const startedAt = Date.now();
  const onPoints = (done: number, computed: number, steps?: Progress['steps']): void =>
    options.onProgress?.({
      done,
      total,
      pointsPerSecond: (computed * 1000) / (performance.now() - start),
      ...(steps && { steps }),
    });
  const threads = options.threads ?? usableCores();
  const backend = isTimed(problem)
    ? ({ name: plan.backend } as const)
    : await chooseBackend(problem, plan, drivenSources(problem.emitters, drive), total, threads);
  const sumBy = (by: BackendChoice): Promise<ChunkResult[]> =>
    sumChunks(workOf(problem, plan, drive, folder), chunks, by, options, onPoints);
  const { results, used } = isTimed(problem)
    ? {
        used: backend,
        results: await simulateChunks(problem, plan, drive, folder, {
          ...(options.signal && { signal: options.signal }),
          onStep: (step, steps) => {
            const points = (total * step) / steps;
            onPoints(points, points, { done: step, total: steps });
          },
        }),
      }
    : await orOnProcessors(problem, plan, backend, sumBy);
  const computed = results.reduce((sum, result) => sum + (result.computed ? result.points : 0), 0);
  const seconds = (performance.now() - start) / 1000;
  const marker = markerOf(problem, plan, index, results, {
    computed,
    seconds,
    startedAt,
    before: readMarker(folder, plan, index),
    backend: used,
  });
  writeWhole(folder, shardPath(index), toJson(marker));
  return {
    step: 'shard',
    shard: index,
    points: total,
    seconds: Number(seconds.toFixed(3)),
    pointsPerSecond: marker.pointsPerSecond,
    backend: marker.backend,
    ...(marker.backendReason !== undefined && { backendReason: marker.backendReason }),
    method: plan.method,
  };
}

/** Processors go on where a GPU that is not required fails; what it has stored stays. */
async function orOnProcessors(
  { gpu }: Problem,
  plan: PlanFile,
  chosen: BackendChoice,
  sum: (by: BackendChoice) => Promise<ChunkResult[]>,
): Promise<{ results: ChunkResult[]; used: BackendChoice }> {
  try {
    return { results: await sum(chosen), used: chosen };
  } catch (error) {
    const gpuFailed = chosen.gpu && error instanceof FieldError && error.reason === 'KernelRefused';
    if (!gpuFailed || gpu === 'Required') throw error;
    const used = { name: plan.backend, reason: `the GPU failed: ${error.message}` };
    return { results: await sum(used), used };
  }
}

async function sumChunks(
  work: ChunkWork,
  chunks: readonly number[],
  { gpu }: BackendChoice,
  options: ShardOptions,
  onPoints: (done: number, computed: number) => void,
): Promise<ChunkResult[]> {
  let done = 0;
  let computed = 0;
  const list: ListOptions = {
    ...(options.signal && { signal: options.signal }),
    onChunk(result) {
      done += result.points;
      if (result.computed) computed += result.points;
      onPoints(done, computed);
    },
  };
  if (gpu) return gpuChunks(gpu, work, chunks, list).finally(() => gpu.close());
  const pool = options.pool ?? new ChunkPool(work, Math.min(chunks.length, options.threads ?? usableCores()));
  try {
    const results = await pool.run(chunks, list);
    await pool.sync(results.filter((result) => result.computed).map(({ chunk }) => chunk));
    return results;
  } finally {
    if (!options.pool) await pool.close();
  }
}

/** Threads that serve several shards of one plan, to be closed by the caller. @throws FieldError as `shard` does. */
export function openPool(problem: Problem, folder: string, threads: number): ChunkPool {
  const plan = readPlan(folder);
  return new ChunkPool(workOf(problem, plan, readDrive(problem, folder, plan), folder), threads);
}

/** The marker of a shard of this plan, if it is done. */
export function readMarker(folder: string, plan: PlanFile, index: number): ShardFile | undefined {
  const marker = readJson<ShardFile>(folder, shardPath(index));
  const same = marker?.digest === plan.digest && marker.code === plan.code;
  return same && marker.shards === plan.shards && marker.shard === index ? marker : undefined;
}

/** Files that writers killed before now have left; only when no other writer is at work. */
export function sweepStaging(folder: string): void {
  remove(folder, stagingFolder);
}

/** The planned drive. @throws FieldError when the plan is of another spec or other code, or its files are not whole. */
export function readDrive(problem: Problem, folder: string, plan: PlanFile): Drive {
  // As good as none: what this code would compute differs from what is planned.
  if (plan.code !== codeDigest()) {
    const why = 'the plan on the output is of other code than this: run the plan step again';
    throw new FieldError('PlanMissing', why, 'spec.output');
  }
  const solution = readJson<SolutionFile>(folder, solutionPath);
  const drive = solution && {
    amplitudes: Float64Array.from(solution.amplitudes),
    phases: Float64Array.from(solution.phases),
  };
  const same =
    drive && digestOf(problem, drive, plan.lattice) === plan.digest && problemDigestOf(problem) === plan.problemDigest;
  if (!same) {
    throw new FieldError(
      'OutputIncomplete',
      'the plan on the output is of another spec or damaged: run the plan step again',
      'spec.output',
    );
  }
  return drive;
}

function workOf(problem: Problem, plan: PlanFile, drive: Drive, folder: string): ChunkWork {
  const { directivity: _functions, ...sources } = drivenSources(problem.emitters, drive);
  return {
    sources,
    pattern: problem.emitters.pattern,
    volume: problem.volume,
    quantities: plan.quantities,
    constants: constantsOf(problem),
    zones: problem.safety.zones,
    backend: plan.backend,
    wavelength: problem.wavelength,
    ...(plan.lattice && { lattice: plan.lattice }),
    folder,
  };
}

function markerOf(
  problem: Problem,
  plan: PlanFile,
  index: number,
  results: readonly ChunkResult[],
  {
    computed,
    seconds,
    startedAt,
    before,
    backend,
  }: {
    computed: number;
    seconds: number;
    startedAt: number;
    before: ShardFile | undefined;
    backend: BackendChoice;
  },
): ShardFile {
  const maxima = noMaxima(problem.safety.zones);
  for (const result of results) mergeMaxima(maxima, result.maxima);
  // A shard that only verified keeps the figures of the run that computed.
  const kept = computed === 0 && before ? before : undefined;
  return {
    digest: plan.digest,
    code: plan.code,
    shard: index,
    shards: plan.shards,
    ...shardChunks(problem.volume, index, plan.shards),
    checksums: results.map(({ checksums }) => checksums),
    maxima,
    points: results.reduce((sum, { points }) => sum + points, 0),
    computed: kept?.computed ?? computed,
    seconds: kept?.seconds ?? seconds,
    startedAt: kept?.startedAt ?? startedAt,
    pointsPerSecond: kept?.pointsPerSecond ?? Math.round(computed / Math.max(seconds, 1e-9)),
    backend: kept?.backend ?? backend.name,
    ...reasonOf(kept ? kept.backendReason : backend.reason),
    method: plan.method,
  };
}

const reasonOf = (backendReason: string | undefined): { backendReason?: string } =>
  backendReason === undefined ? {} : { backendReason };
