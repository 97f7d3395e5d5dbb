// Whether a volume is summed point by point or interpolated: by cost, and only after the error has been seen.
import { FieldError } from '../errors.ts';
import { FieldKernel } from '../kernel/kernel.ts';
import { pressureAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import { chunkBlock, chunkCount, coordinate, type Volume } from '../volume/layout.ts';
import { designLattice, isFar, type Lattice, stencilOf } from './design.ts';

export interface Choice {
  readonly method: 'DirectSum' | 'Interpolated';
  readonly lattice?: Lattice;
  /** Largest error at the points looked at, over the largest pressure; of interpolation alone. */
  readonly error?: number;
}

const checkedPoints = 40;
/** What a source at a point costs with derivatives up to an order, over the pressure alone; from the second on in 64 bits. */
const costOfOrder = [1, 2.5, 60, 150] as const;

/**
 * @param tolerance largest error over the largest pressure.
 * @param largest largest pressure, Pa.
 * @param order of the pressure's derivatives that are summed.
 * @throws FieldError when interpolation is asked for and cannot keep the tolerance.
 */
export function chooseMethod(
  wanted: 'Auto' | 'DirectSum' | 'Interpolated',
  volume: Volume,
  sources: Sources,
  tolerance: number,
  largest: number,
  order: 0 | 1 | 2 | 3 = 0,
): Choice {
  if (wanted === 'DirectSum') return { method: 'DirectSum' };
  const wavelength = (2 * Math.PI) / sources.wavenumber;
  // Whole rows are interpolated at once.
  const possible = volume.chunk[2] === volume.shape[2];
  for (const share of possible ? [1, 0.3, 0.1, 0.03] : []) {
    const lattice = designLattice(volume, wavelength, sources.count * costOfOrder[order], tolerance * share);
    if (!lattice) break;
    const points = farPoints(volume, lattice, wavelength, sources);
    if (points.length === 0) break;
    const error = measuredError(volume, lattice, wavelength, sources, points) / largest;
    if (error <= tolerance / 3) return { method: 'Interpolated', lattice, error };
  }
  if (wanted === 'Auto') return { method: 'DirectSum' };
  throw new FieldError(
    'Unsupported',
    `no interpolation within tolerance ${tolerance} is cheaper than the direct sum here: use method Auto`,
    'spec.method',
  );
}

/** Points of interpolated chunks, spread without a pattern; indexes along z, y, x. */
function farPoints(volume: Volume, lattice: Lattice, wavelength: number, sources: Sources): [number, number, number][] {
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
function measuredError(
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

function fraction(value: number): number {
  return value - Math.floor(value);
}
