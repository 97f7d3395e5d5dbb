// What the steps leave for one another on the output, next to the result itself.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { getObject, isBucket, listNames, removeObjects } from '../compute/bucket.ts';
import type { FieldMaxima } from '../compute/maxima.ts';
import type { StoredQuantity } from '../compute/quantities.ts';
import { FieldError, outputError } from '../errors.ts';
import type { Lattice } from '../interpolation/design.ts';

/** `solution.json`: how to drive the array, and what that gives. */
export interface SolutionFile {
  readonly name: string;
  readonly frequency: number;
  readonly wavelength: number;
  readonly algorithm: string;
  readonly iterations: number;
  readonly residual: number;
  /** Drive of all elements, 0 to 1, before phase: below 1 where a target's pressure or a limit asks for less. */
  readonly amplitudes: readonly number[];
  /** Radians. */
  readonly phases: readonly number[];
  readonly targets: readonly {
    name: string;
    trap: string;
    position: readonly number[];
    pressure: number;
    /** Smallest of the three along the axes, N/m; of traps only. */
    stiffness?: number;
  }[];
}

/** `.quintet/plan.json`: what shards and finish go by. */
export interface PlanFile {
  readonly digest: string;
  /** Of the problem alone, without its solution. */
  readonly problemDigest: string;
  /** Of the code that planned: what other code has computed for the same digest is not kept. */
  readonly code: string;
  readonly shards: number;
  readonly chunks: number;
  readonly points: number;
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly quantities: readonly StoredQuantity[];
  readonly backend: 'CPU' | 'Reference';
  readonly method: 'DirectSum' | 'Interpolated' | 'AngularSpectrum' | 'TimeDomain';
  /** Why this method, where there was a choice. */
  readonly methodReason?: string;
  /** What is interpolated from, and the error seen; none with DirectSum. */
  readonly lattice?: Lattice;
  readonly interpolationError?: number;
  readonly safety: {
    readonly verdict: string;
    readonly factor: number;
    readonly zones: Readonly<Record<string, number>>;
    readonly thermalIndex?: number;
  };
  readonly warnings: readonly string[];
}

/** `.quintet/shard-NNNN.json`: a shard is done, and this is what its files must hold. */
export interface ShardFile {
  readonly digest: string;
  /** Of the code that planned it and computed it. */
  readonly code: string;
  readonly shard: number;
  readonly shards: number;
  readonly from: number;
  readonly to: number;
  /** Of each chunk, in the order of the plan's quantities. */
  readonly checksums: readonly (readonly number[])[];
  readonly maxima: FieldMaxima;
  readonly points: number;
  /** Points that the last run to compute any has summed, how long it took, and when it started (Unix milliseconds). */
  readonly computed: number;
  readonly seconds: number;
  readonly startedAt: number;
  readonly pointsPerSecond: number;
  readonly backend: string;
  /** Why, where a GPU was asked for. */
  readonly backendReason?: string;
  readonly method: string;
}

export const planPath = '.quintet/plan.json';
export const solutionPath = 'solution.json';
export const summaryPath = 'summary.json';
export const shardPath = (shard: number): string => `.quintet/shard-${String(shard).padStart(4, '0')}.json`;

/** `.quintet/begun-NNNN.json`: a pod computes the shard, so that whoever comes to help does not take it for one that waits. */
export interface BegunFile {
  readonly digest: string;
  readonly shard: number;
}

export const begunPath = (shard: number): string => `.quintet/begun-${String(shard).padStart(4, '0')}.json`;

export function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** The parsed file, or undefined when there is none or it is not whole JSON. @throws FieldError when it cannot be read. */
export function readJson<T>(folder: string, path: string): T | undefined {
  const text = isBucket(folder) ? textOf(getObject(folder, path)) : readText(folder, path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('utf8');

function readText(folder: string, path: string): string | undefined {
  try {
    return readFileSync(join(folder, path), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw outputError(error, join(folder, path));
  }
}

/** @throws FieldError when no plan lies on the output; the controller starts over then. */
export function readPlan(folder: string): PlanFile {
  const plan = readJson<PlanFile>(folder, planPath);
  if (!plan)
    throw new FieldError('PlanMissing', `${join(folder, planPath)} is missing: run the plan step first`, 'spec.output');
  return plan;
}

export function remove(folder: string, path: string): void {
  if (isBucket(folder)) {
    removeObjects(folder, path);
    return;
  }
  try {
    rmSync(join(folder, path), { recursive: true, force: true });
  } catch (error) {
    throw outputError(error, join(folder, path));
  }
}

/** Names in `path` below the output; none when there is no such folder. */
export function entries(folder: string, path = ''): string[] {
  if (isBucket(folder)) return listNames(path === '' ? folder : `${folder}/${path}`);
  try {
    return readdirSync(join(folder, path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw outputError(error, join(folder, path));
  }
}
