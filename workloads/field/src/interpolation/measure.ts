// How far off interpolation is, at points of the volume that are spread without a pattern.
import { FieldKernel } from '../kernel/kernel.ts';
import { pressureAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import { chunkBlock, chunkCount, coordinate, type Volume } from '../volume/layout.ts';
import { isFar, type Lattice, stencilOf } from './design.ts';

const checkedPoints = 40;

/** Points of interpolated chunks, spread without a pattern; indexes along z, y, x. */
export function farPoints(
  volume: Volume,
  lattice: Lattice,
  wavelength: number,
  sources: Sources,
): [number, number, number][] {
  const far: number[] = [];
  for (let chunk = 0; chunk < chunkCount(volume); chunk++) {
    if (isFar(volume, chunkBlock(volume, chunk), lattice, wavelength, sources.positions)) far.push(chunk);
  }
  if (far.length === 0) return [];
  return Array.from({ length: checkedPoints }, (_, i) => {
    // The first and last chunks are the likeliest to be near something.
    const chunk =
      far[i === 0 ? 0 : i === 1 ? far.length - 1 : Math.floor(far.length * fraction(i * 0.7548776662466927))]!;
    const { start, shape } = chunkBlock(volume, chunk);
    const at = [0.5698402909980532, 0.7548776662466927, 0.8191725133961645].map((irrational, axis) =>
      Math.floor(start[axis]! + shape[axis]! * fraction((i + 1) * irrational)),
    );
    return at as [number, number, number];
  });
}

/** Pa: the largest difference between interpolation and reference at the points. */
export function interpolationError(
  volume: Volume,
  lattice: Lattice,
  wavelength: number,
  sources: Sources,
  points: readonly (readonly [number, number, number])[],
): number {
  const center = ([2, 1, 0] as const).map((axis) => coordinate(volume, axis, (volume.shape[axis] - 1) / 2));
  const reach = Math.hypot(...volume.shape.map((n) => n * volume.spacing)) / 2 + lattice.taps[0] * lattice.step;
  const kernel = new FieldKernel(sources, center as [number, number, number], reach);
  const truth = new Float64Array(2);
  let worst = 0;
  for (const point of points) {
    const [sz, sy, sx] = ([0, 1, 2] as const).map((axis) =>
      stencilOf(volume, lattice, wavelength, axis, point[axis], point[axis] + 1),
    ) as [ReturnType<typeof stencilOf>, ReturnType<typeof stencilOf>, ReturnType<typeof stencilOf>];
    const place = (axis: 0 | 1 | 2, i: number): number => lattice.first[axis] + i * lattice.step;
    kernel.setRow(Float64Array.from({ length: sx.taps }, (_, k) => place(2, sx.starts[0]! + k)));
    let re = 0;
    let im = 0;
    for (let z = 0; z < sz.taps; z++) {
      for (let y = 0; y < sy.taps; y++) {
        const row = kernel.pressure(place(1, sy.starts[0]! + y), place(0, sz.starts[0]! + z));
        const weight = sz.weights[z]! * sy.weights[y]!;
        for (let x = 0; x < sx.taps; x++) {
          re += weight * sx.weights[x]! * row.re[x]!;
          im += weight * sx.weights[x]! * row.im[x]!;
        }
      }
    }
    const [z, y, x] = point;
    pressureAt(sources, coordinate(volume, 2, x), coordinate(volume, 1, y), coordinate(volume, 0, z), truth);
    worst = Math.max(worst, Math.hypot(re - truth[0]!, im - truth[1]!));
  }
  return worst;
}

export function fraction(value: number): number {
  return value - Math.floor(value);
}
