// The regular volume: where its points are, how it is cut into chunks, and how chunks are dealt to shards.
import { FieldError } from '../errors.ts';

export interface Volume {
  /** Points along z, y, x. */
  readonly shape: readonly [number, number, number];
  /** The first point, metres, as z, y, x. */
  readonly first: readonly [number, number, number];
  /** Distance between neighbours, metres. */
  readonly spacing: number;
  /** Points of a chunk along z, y, x; chunks at the far ends hold fewer. */
  readonly chunk: readonly [number, number, number];
}

/** A box of points: where it starts and how many there are along z, y, x. */
export interface Block {
  readonly start: readonly [number, number, number];
  readonly shape: readonly [number, number, number];
}

/** Points that JavaScript still counts exactly once multiplied by the bytes of a point. */
const mostPoints = 2 ** 48;
const smallestChunk = 2 ** 14;
const largestChunk = 2 ** 18;
const longestRow = 4096;

/**
 * The points at multiples of `spacing` around the centre that fit the box; at least one along each axis.
 * @param center x, y, z. @param size x, y, z. All metres.
 * @throws FieldError `InvalidVolume`, `VolumeTooLarge`
 */
export function layOut(center: readonly number[], size: readonly number[], spacing: number): Volume {
  if (!(spacing > 0) || !Number.isFinite(spacing)) {
    throw new FieldError('InvalidVolume', `spacing must be a positive length, not ${spacing} m`, 'spec.volume.spacing');
  }
  const zyx = [2, 1, 0] as const;
  const shape = zyx.map((axis) => {
    const length = size[axis]!;
    if (!Number.isFinite(length) || length < 0 || !Number.isFinite(center[axis])) {
      throw new FieldError('InvalidVolume', 'centre and size must be finite lengths', 'spec.volume.size');
    }
    // A size of whole spacings holds both ends, whatever the last bit of the division.
    return Math.floor(length / spacing + 1e-6) + 1;
  }) as [number, number, number];
  const points = shape.reduce((product, n) => product * n, 1);
  if (points > mostPoints) {
    throw new FieldError(
      'VolumeTooLarge',
      `${shape.toReversed().join(' × ')} points are more than any machine holds`,
      'spec.volume',
    );
  }
  const first = zyx.map((axis, i) => center[axis]! - ((shape[i]! - 1) / 2) * spacing) as [number, number, number];
  return { shape, first, spacing, chunk: chunkShape(shape) };
}

export function pointsOf({ shape }: { shape: readonly number[] }): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** Coordinate in metres of point `index` along axis 0 (z), 1 (y) or 2 (x). */
export function coordinate(volume: Volume, axis: 0 | 1 | 2, index: number): number {
  return volume.first[axis] + index * volume.spacing;
}

/** Chunks along z, y, x. */
export function chunkCounts({ shape, chunk }: Volume): [number, number, number] {
  return shape.map((n, axis) => Math.ceil(n / chunk[axis]!)) as [number, number, number];
}

export function chunkCount(volume: Volume): number {
  return chunkCounts(volume).reduce((product, n) => product * n, 1);
}

/** Indexes along z, y, x of chunk number `index`, counted in C order. */
export function chunkIndexes(volume: Volume, index: number): [number, number, number] {
  const [, ny, nx] = chunkCounts(volume);
  return [Math.floor(index / (ny * nx)), Math.floor(index / nx) % ny, index % nx];
}

/** The points of a chunk that lie inside the volume. */
export function chunkBlock(volume: Volume, index: number): Block {
  const start = chunkIndexes(volume, index).map((i, axis) => i * volume.chunk[axis]!) as [number, number, number];
  const shape = start.map((from, axis) => Math.min(volume.chunk[axis]!, volume.shape[axis]! - from));
  return { start, shape: shape as [number, number, number] };
}

/** Chunks of shard `shard` of `shards`: consecutive ones, from `from` up to but not including `to`. */
export function shardChunks(volume: Volume, shard: number, shards: number): { from: number; to: number } {
  const chunks = chunkCount(volume);
  return { from: Math.floor((shard * chunks) / shards), to: Math.floor(((shard + 1) * chunks) / shards) };
}

/**
 * Whole planes where they fit, else whole rows: what is read together lies together. It follows from the volume alone,
 * so that any number of shards writes the same files.
 */
function chunkShape(shape: readonly [number, number, number]): [number, number, number] {
  const [nz, ny, nx] = shape;
  const wanted = Math.min(largestChunk, Math.max(smallestChunk, (nz * ny * nx) / 32));
  const x = Math.min(nx, longestRow);
  const y = Math.min(ny, Math.max(1, Math.floor(wanted / x)));
  const z = Math.min(nz, Math.max(1, Math.floor(wanted / (x * y))));
  return [z, y, x];
}
