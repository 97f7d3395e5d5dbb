// The second step, once per shard: computes its chunks, or finds them whole, and says so in a marker.
import type { ChunkResult, ChunkWork } from '../compute/chunk.ts';
import { stagingFolder, writeWhole } from '../compute/files.ts';
import { mergeMaxima, noMaxima } from '../compute/maxima.ts';
import { ChunkPool } from '../compute/pool.ts';
import type { Constants } from '../compute/quantities.ts';
import { FieldError } from '../errors.ts';
import { usableCores } from '../machine.ts';
import { gorkov } from '../physics/particle.ts';
import { type Drive, drivenSources } from '../physics/sources.ts';
import { chunkBlock, pointsOf, shardChunks } from '../volume/layout.ts';
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
import { digestOf, type Problem, problemDigestOf } from './problem.ts';

export interface ShardResult {
  step: 'shard';
  shard: number;
  points: number;
  seconds: number;
  pointsPerSecond: number;
  backend: string;
  method: string;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  /** Of the points computed since the start. */
  readonly pointsPerSecond: number;
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
  let done = 0;
  let computed = 0;
  const threads = Math.min(chunks.length, options.threads ?? usableCores());
  const pool = options.pool ?? new ChunkPool(workOf(problem, plan, drive, folder), threads);
  let results: ChunkResult[];
  try {
    results = await pool.run(chunks, {
      ...(options.signal && { signal: options.signal }),
      onChunk(result) {
        done += result.points;
        if (result.computed) computed += result.points;
        options.onProgress?.({ done, total, pointsPerSecond: (computed * 1000) / (performance.now() - start) });
      },
    });
    await pool.sync(results.filter((result) => result.computed).map(({ chunk }) => chunk));
  } finally {
    if (!options.pool) await pool.close();
  }
  const seconds = (performance.now() - start) / 1000;
  const marker = markerOf(problem, plan, index, results, {
    computed,
    seconds,
    startedAt,
    before: readMarker(folder, plan, index),
  });
  writeWhole(folder, shardPath(index), toJson(marker));
  return {
    step: 'shard',
    shard: index,
    points: total,
    seconds: Number(seconds.toFixed(3)),
    pointsPerSecond: marker.pointsPerSecond,
    backend: plan.backend,
    method: plan.method,
  };
}

/** Threads that serve several shards of one plan, to be closed by the caller. @throws FieldError as `shard` does. */
export function openPool(problem: Problem, folder: string, threads: number): ChunkPool {
  const plan = readPlan(folder);
  return new ChunkPool(workOf(problem, plan, readDrive(problem, folder, plan), folder), threads);
}

/** The marker of a shard of this plan, if it is done. */
export function readMarker(folder: string, plan: PlanFile, index: number): ShardFile | undefined {
  const marker = readJson<ShardFile>(folder, shardPath(index));
  return marker?.digest === plan.digest && marker.shards === plan.shards && marker.shard === index ? marker : undefined;
}

/** Files that writers killed before now have left; only when no other writer is at work. */
export function sweepStaging(folder: string): void {
  remove(folder, stagingFolder);
}

/** The planned drive. @throws FieldError when the plan is of another spec or its files are not whole. */
export function readDrive(problem: Problem, folder: string, plan: PlanFile): Drive {
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

function constantsOf({ particle, medium, frequency }: Problem): Constants {
  return {
    omegaRho: 2 * Math.PI * frequency * medium.density,
    gorkov: gorkov(particle, medium, frequency),
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
  }: { computed: number; seconds: number; startedAt: number; before: ShardFile | undefined },
): ShardFile {
  const maxima = noMaxima(problem.safety.zones);
  for (const result of results) mergeMaxima(maxima, result.maxima);
  // A shard that only verified keeps the figures of the run that computed.
  const kept = computed === 0 && before ? before : undefined;
  return {
    digest: plan.digest,
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
    backend: plan.backend,
    method: plan.method,
  };
}
