// Speed and density at each point of a simulation: a medium, a map of another one over the volume, and bodies in both.
import type { Volume } from '../volume/layout.ts';
import { type Domain, pointsIn, sizeOf } from './domain.ts';

export interface Matter {
  /** m/s */
  readonly soundSpeed: number;
  /** kg/m³ */
  readonly density: number;
}

export interface Region extends Matter {
  readonly name: string;
  /** x, y, z */
  readonly center: readonly [number, number, number];
  /** Half the edges of a box along x, y, z; or the radius of a ball. */
  readonly reach: readonly [number, number, number] | number;
}

/** Of each point of a volume, in its order. */
export interface MediumMap {
  readonly soundSpeed: Float32Array;
  readonly density: Float32Array;
}

/** Later regions lie over earlier ones, and all over the map. */
export function mediumIn(
  domain: Domain,
  volume: Volume,
  base: Matter,
  regions: readonly Region[],
  map?: MediumMap,
): { soundSpeed: number | Float64Array; density: number | Float64Array } {
  if (regions.length === 0 && !map) return { soundSpeed: base.soundSpeed, density: base.density };
  const soundSpeed = new Float64Array(sizeOf(domain)).fill(base.soundSpeed);
  const density = new Float64Array(sizeOf(domain)).fill(base.density);
  if (map) {
    pointsIn(domain, volume).forEach((point, i) => {
      soundSpeed[point] = map.soundSpeed[i]!;
      density[point] = map.density[i]!;
    });
  }
  const { shape, start, step } = domain;
  for (const region of regions) {
    const [z, y, x] = start.map((from, axis) => {
      const offset = volume.first[axis]! - region.center[2 - axis]!;
      return Float64Array.from({ length: shape[axis]! }, (_, i) => (i - from) * step + offset);
    }) as [Float64Array, Float64Array, Float64Array];
    let point = 0;
    for (const dz of z) {
      for (const dy of y) {
        for (const dx of x) {
          if (covers(region, dx, dy, dz)) {
            soundSpeed[point] = region.soundSpeed;
            density[point] = region.density;
          }
          point++;
        }
      }
    }
  }
  return { soundSpeed, density };
}

/** @param dx From the region's centre, metres. */
export function covers({ reach }: Region, dx: number, dy: number, dz: number): boolean {
  // A hair more, so that rounding does not take away a face that lies on points.
  if (typeof reach === 'number') return dx * dx + dy * dy + dz * dz <= reach * reach * (1 + 1e-9);
  const [x, y, z] = reach;
  return Math.abs(dx) <= x * (1 + 1e-9) && Math.abs(dy) <= y * (1 + 1e-9) && Math.abs(dz) <= z * (1 + 1e-9);
}
