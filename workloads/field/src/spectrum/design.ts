// Where the planes of the angular spectrum lie, how wide they are, and what they cost.
import { costOf, costOfSource, type Lattice } from '../interpolation/design.ts';
import type { Sources } from '../physics/sources.ts';
import type { Volume } from '../volume/layout.ts';
import { spectrumShape } from './angular.ts';
import type { SourcePlane } from './layers.ts';

/** Wavelengths over which planes may fade out, from the cheapest on. */
export const fades = [4, 6, 10, 16] as const;
/** Seconds of a point in a transform there and back, each time its length doubles; measured on one thread. */
const costOfTransform = 1e-8;
/** Beyond, a plane's spectra alone take hundreds of MiB in each thread. */
const longestSpectrum = 2048;

/**
 * Planes a wavelength off the lattice, where the sources leave as much room; else what stands in the way.
 * Each is as wide as lattice and sources together, so that every straight way from one to the other crosses it, and
 * fades out over `fade` wavelengths more.
 */
export function designPlanes(
  lattice: Lattice,
  sources: Sources,
  wavelength: number,
  fade: number,
): readonly SourcePlane[] | string {
  const { count, positions } = sources;
  const low = lattice.first[0] - 1.001 * wavelength;
  const high = lattice.first[0] + (lattice.shape[0] - 1) * lattice.step + 1.001 * wavelength;
  const planes: SourcePlane[] = [];
  for (const towards of [1, -1] as const) {
    const z = towards === 1 ? low : high;
    const bounds = [
      [Infinity, -Infinity],
      [Infinity, -Infinity],
    ] as [[number, number], [number, number]];
    let any = false;
    for (let s = 0; s < count; s++) {
      const height = positions[2 * count + s]!;
      if (height > low - wavelength && height < high + wavelength) {
        return 'an element (or its image) is beside the volume, or within about four wavelengths of it along z';
      }
      if ((z - height) * towards < 0) continue;
      any = true;
      [positions[count + s]!, positions[s]!].forEach((at, i) => {
        bounds[i]![0] = Math.min(bounds[i]![0], at);
        bounds[i]![1] = Math.max(bounds[i]![1], at);
      });
    }
    if (!any) continue;
    const edge = Math.ceil((fade * wavelength) / lattice.step);
    const [y, x] = bounds.map(([from, to], i) => {
      const first = lattice.first[i + 1]!;
      const last = first + (lattice.shape[i + 1]! - 1) * lattice.step;
      const before = edge + Math.max(0, Math.ceil((first - from) / lattice.step));
      const after = edge + Math.max(0, Math.ceil((to - last) / lattice.step));
      return { before, points: before + lattice.shape[i + 1]! + after };
    }) as [{ before: number; points: number }, { before: number; points: number }];
    planes.push({ towards, z, shape: [y.points, x.points], before: [y.before, x.before], edge });
  }
  if (planes.some((plane) => Math.max(...paddedShape(plane, lattice)) > longestSpectrum)) {
    return `a plane of more than ${longestSpectrum} points a side would be transformed`;
  }
  return planes;
}

/** Seconds of one thread for the whole volume, of which `fields` complex numbers are computed at each point. */
export function costOfSpectrum(
  lattice: Lattice,
  planes: readonly SourcePlane[],
  volume: Volume,
  { count }: Sources,
  fields: number,
): number {
  const interpolated = costOf(lattice, volume, 0) * fields;
  return planes.reduce((sum, plane) => {
    const padded = paddedShape(plane, lattice);
    const points = padded[0] * padded[1];
    const transforms = (lattice.shape[0] * fields + 1) * points * Math.log2(points) * costOfTransform;
    return sum + plane.shape[0] * plane.shape[1] * count * costOfSource + transforms;
  }, interpolated);
}

/** Bytes that each thread holds for its planes. */
export function spectrumBytes(lattice: Lattice, planes: readonly SourcePlane[]): number {
  return planes.reduce((sum, plane) => {
    const [rows, columns] = paddedShape(plane, lattice);
    return sum + 4 * 8 * rows * columns;
  }, 0);
}

function paddedShape({ shape: [rows, columns] }: SourcePlane, { step }: Lattice): readonly [number, number] {
  return spectrumShape({ rows, columns, step });
}
