// Far from its sources a field in a homogeneous medium holds no wavelength shorter than its own. So it can be summed on a
// lattice coarser than the volume and interpolated: how coarse, and with which weights, follows from the error allowed.
import { complexMatrix, shiftedSolver } from '../solver/matrix.ts';
import type { SourcePlane } from '../spectrum/layers.ts';
import type { Block, Volume } from '../volume/layout.ts';
import { coordinate } from '../volume/layout.ts';

/** A lattice that covers the volume and what interpolation reads around it. All triples are along z, y, x. */
export interface Lattice {
  readonly shape: readonly [number, number, number];
  /** Metres. */
  readonly first: readonly [number, number, number];
  readonly step: number;
  /** Lattice points read for one point, along each axis: 1 where the volume is flat. */
  readonly taps: readonly [number, number, number];
  /** Error of a plane wave over its amplitude, at the worst. */
  readonly error: number;
  /** Its layers come from these planes by the angular spectrum, and not from the direct sum. */
  readonly planes?: readonly SourcePlane[];
}

/** Where a point reads the lattice along one axis. */
export interface Stencil {
  readonly taps: number;
  /** First lattice point of each point. */
  readonly starts: Uint32Array;
  /** `taps` of each point. */
  readonly weights: Float32Array;
}

/** Wavelengths over the lattice step, and taps, from the coarsest on. */
const steps = [2.75, 3, 3.25, 3.5, 4, 4.5, 5, 6, 8] as const;
const tapChoices = [6, 8, 10, 12, 14, 16] as const;

/** Costs measured on one thread, seconds: a source at a point, and a multiply-add of interpolation. */
export const costOfSource = 2.6e-9;
const costOfTap = 0.35e-9;

/**
 * The cheapest lattice whose error is within `tolerance`, or undefined where none is cheaper than summing every point.
 * @param sources that each point of the lattice costs. @param most seconds that it may cost, in place of that sum's.
 */
export function designLattice(
  volume: Volume,
  wavelength: number,
  sources: number,
  tolerance: number,
  most: number = volume.shape.reduce((product, n) => product * n, 1) * sources * costOfSource,
): Lattice | undefined {
  let best: Lattice | undefined;
  let least = most;
  for (const part of steps) {
    const step = wavelength / part;
    if (step <= volume.spacing) continue;
    for (const taps of tapChoices) {
      const lattice = latticeOf(volume, step, taps, wavelength, tolerance);
      if (!lattice) continue;
      const cost = costOf(lattice, volume, sources);
      if (cost < least) {
        least = cost;
        best = lattice;
      }
      break;
    }
  }
  return best;
}

/** Seconds of one thread for the whole volume. */
export function costOf({ shape, taps }: Lattice, volume: Volume, sources: number): number {
  const summed = shape[0] * shape[1] * shape[2] * sources * costOfSource;
  const alongX = shape[0] * shape[1] * volume.shape[2] * taps[2];
  const alongZ = volume.shape[0] * shape[1] * volume.shape[2] * taps[0];
  const alongY = volume.shape[0] * volume.shape[1] * volume.shape[2] * taps[1];
  return summed + (alongX + alongY + alongZ) * 2 * costOfTap;
}

function latticeOf(
  volume: Volume,
  step: number,
  taps: number,
  wavelength: number,
  tolerance: number,
): Lattice | undefined {
  const along = volume.shape.map((n) => (n === 1 ? 1 : taps)) as [number, number, number];
  const axes = along.filter((n) => n > 1).length;
  if (axes === 0) return undefined;
  // A plane wave is at the edge of the band along one axis only; the others add little, and amplify what is there.
  const error = planeWaveError(step / wavelength, taps) * (1 + 0.5 * (axes - 1));
  if (error > tolerance) return undefined;
  const shape = volume.shape.map((n, axis) =>
    along[axis] === 1 ? 1 : Math.floor(((n - 1) * volume.spacing) / step + 1e-9) + taps,
  ) as [number, number, number];
  const first = volume.first.map((from, axis) => (along[axis] === 1 ? from : from - (taps / 2 - 1) * step)) as [
    number,
    number,
    number,
  ];
  return { shape, first, step, taps: along, error };
}

/** How points `from` up to `to` along an axis read the lattice. */
export function stencilOf(
  volume: Volume,
  lattice: Lattice,
  wavelength: number,
  axis: 0 | 1 | 2,
  from: number,
  to: number,
): Stencil {
  const taps = lattice.taps[axis];
  const starts = new Uint32Array(to - from);
  const weights = new Float32Array((to - from) * taps).fill(1);
  if (taps === 1) return { taps, starts, weights };
  const weightsAt = interpolationWeights(lattice.step / wavelength, taps);
  for (let i = from; i < to; i++) {
    const place = (i * volume.spacing) / lattice.step;
    const cell = Math.floor(place + 1e-9);
    starts[i - from] = cell;
    weights.set(weightsAt(Math.max(0, place - cell)), (i - from) * taps);
  }
  return { taps, starts, weights };
}

/** Lattice layers that the planes `from` up to `to` of the volume read. */
export function layersOf(volume: Volume, lattice: Lattice, from: number, to: number): { from: number; to: number } {
  if (lattice.taps[0] === 1) return { from: 0, to: 1 };
  const cell = (i: number): number => Math.floor((i * volume.spacing) / lattice.step + 1e-9);
  return { from: cell(from), to: cell(to - 1) + lattice.taps[0] };
}

/** True when the chunk keeps a wavelength and a lattice step from every source: nearer, the field holds shorter waves. */
export function isFar(
  volume: Volume,
  block: Block,
  lattice: Lattice,
  wavelength: number,
  positions: Float64Array,
): boolean {
  const count = positions.length / 3;
  const keep = (wavelength + lattice.step) ** 2;
  const bounds = ([2, 1, 0] as const).map((axis) => [
    coordinate(volume, axis, block.start[axis]),
    coordinate(volume, axis, block.start[axis] + block.shape[axis] - 1),
  ]);
  for (let s = 0; s < count; s++) {
    let squared = 0;
    for (let axis = 0; axis < 3; axis++) {
      const at = positions[axis * count + s]!;
      const [low, high] = bounds[axis] as [number, number];
      const off = at < low ? low - at : at > high ? at - high : 0;
      squared += off * off;
    }
    if (squared < keep) return false;
  }
  return true;
}

/**
 * Weights of the `taps` lattice points around a place between the two middle ones, that interpolate waves up to `band`
 * cycles a step with the least squared error over the band: normal equations of sinc kernels. (Yen, "On nonuniform
 * sampling of bandwidth-limited signals", IRE Transactions on Circuit Theory 3 (1956) 251.)
 */
export function interpolationWeights(band: number, taps: number): (part: number) => Float64Array {
  // Beyond the band, for the error is largest at its edge.
  const wide = 2 * Math.min(0.5, band * 1.03);
  const offsets = Array.from({ length: taps }, (_, k) => k - taps / 2 + 1);
  const matrix = complexMatrix(taps, taps);
  offsets.forEach((a, i) =>
    offsets.forEach((b, j) => {
      matrix.re[i * taps + j] = sinc(wide * (a - b));
    }),
  );
  const solve = shiftedSolver(matrix, 1e-12);
  return (part) =>
    solve({ re: Float64Array.from(offsets, (k) => sinc(wide * (part - k))), im: new Float64Array(taps) }).re;
}

const errors = new Map<string, number>();

/** Largest error of a wave of at most `band` cycles a step, wherever between the lattice points. */
export function planeWaveError(band: number, taps: number): number {
  const key = `${band.toFixed(6)}/${taps}`;
  const known = errors.get(key);
  if (known !== undefined) return known;
  const weightsAt = interpolationWeights(band, taps);
  let worst = 0;
  for (let p = 0; p <= 10; p++) {
    const part = p / 20;
    const weights = weightsAt(part);
    for (let n = 0; n <= 40; n++) {
      const turn = (2 * Math.PI * band * n) / 40;
      let re = -Math.cos(turn * part);
      let im = -Math.sin(turn * part);
      for (let k = 0; k < taps; k++) {
        re += weights[k]! * Math.cos(turn * (k - taps / 2 + 1));
        im += weights[k]! * Math.sin(turn * (k - taps / 2 + 1));
      }
      worst = Math.max(worst, Math.hypot(re, im));
    }
  }
  errors.set(key, worst);
  return worst;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
