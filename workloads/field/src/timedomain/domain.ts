// The box of points that a simulation runs on: around a volume, its sources and sensors, with room for the absorbing layer.
import { powerOfTwoFrom } from '../spectrum/fft.ts';
import type { Volume } from '../volume/layout.ts';
import { margin } from './source.ts';

/** All triples are along z, y, x. */
export interface Domain {
  readonly shape: readonly [number, number, number];
  /** Metres between neighbours. */
  readonly step: number;
  /** The volume's first point, and points from one of the volume to the next. */
  readonly start: readonly [number, number, number];
  readonly every: number;
  /** Points of the absorbing layer at each face. */
  readonly layer: number;
}

export interface Inside {
  readonly volume: Volume;
  /** x, y, z of each source and sensor, metres. */
  readonly places: Iterable<readonly number[]>;
  /** Metres. */
  readonly shortestWave: number;
  readonly pointsPerWavelength: number;
  readonly layer: number;
}

/** The points of the volume, as many between them as the shortest wave asks for, and powers of two of them along each axis. */
export function domainOf({ volume, places, shortestWave, pointsPerWavelength, layer }: Inside): Domain {
  const every = Math.max(1, Math.ceil((volume.spacing * pointsPerWavelength) / shortestWave - 1e-6));
  const step = volume.spacing / every;
  const low = [0, 0, 0];
  const high = volume.shape.map((n) => (n - 1) * every);
  for (const place of places) {
    for (let axis = 0; axis < 3; axis++) {
      const at = (place[2 - axis]! - volume.first[axis]!) / step;
      low[axis] = Math.min(low[axis]!, Math.floor(at));
      high[axis] = Math.max(high[axis]!, Math.ceil(at));
    }
  }
  const needed = low.map((from, axis) => high[axis]! - from + 1 + 2 * (margin + layer));
  const shape = needed.map(powerOfTwoFrom) as [number, number, number];
  const start = shape.map((n, axis) => layer + margin - low[axis]! + Math.floor((n - needed[axis]!) / 2));
  return { shape, step, start: start as [number, number, number], every, layer };
}

/** Number of points. */
export function sizeOf({ shape }: Pick<Domain, 'shape'>): number {
  return shape[0] * shape[1] * shape[2];
}

/** Where x, y, z lies along z, y, x, in points. */
export function placeIn({ start, step }: Domain, volume: Volume, position: readonly number[]): number[] {
  return start.map((from, axis) => from + (position[2 - axis]! - volume.first[axis]!) / step);
}

/** Numbers of the volume's points in the domain, in the volume's order. */
export function pointsIn({ shape, start, every }: Domain, volume: Volume): Uint32Array {
  const [nz, ny, nx] = volume.shape;
  const points = new Uint32Array(nz * ny * nx);
  let n = 0;
  for (let z = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      const row = ((start[0] + z * every) * shape[1] + start[1] + y * every) * shape[2] + start[2];
      for (let x = 0; x < nx; x++) points[n++] = row + x * every;
    }
  }
  return points;
}
