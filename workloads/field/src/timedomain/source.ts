// Sources and sensors anywhere between the points of a simulation.
import { interpolationWeights } from '../interpolation/design.ts';
import type { SimulationSettings } from './simulation.ts';

/** Points and how much each of them counts. */
export interface Weighted {
  readonly points: Uint32Array;
  readonly weights: Float64Array;
}

/** Points to each side over which a source is spread, and the width of the hill, in points. */
const spread = 4;
const width = 1;
const taps = 10;

/** Points that must be around the place of a source or a sensor. */
export const margin = 6;

/**
 * A point source anywhere between the points: a narrow hill of them, as loud at `wavenumber` as the point. On one point alone,
 * what is too short for the grid is missing and rings. (What a hill of exp(-r²/2w²) sends out at k is that of a point times
 * exp(-k²w²/2).)
 * @param place along each axis of the shape, in points. @throws RangeError where it does not fit in.
 */
export function spreadSource(
  { shape, step }: Pick<SimulationSettings, 'shape' | 'step'>,
  place: readonly number[],
  wavenumber: number,
): Weighted {
  return product(shape, hillsOf(shape.length, step, place, wavenumber));
}

/** Points that one source is spread over along three axes. */
export const spreadPoints: number = (2 * spread + 1) ** 3;

/**
 * Adds a point source as `spreadSource` spreads it to the masses of all points of three axes.
 * @throws RangeError where it does not fit in.
 */
export function addSource(
  { shape, step }: Pick<SimulationSettings, 'shape' | 'step'>,
  place: readonly number[],
  wavenumber: number,
  mass: { readonly re: number; readonly im: number },
  to: { readonly re: Float64Array; readonly im: Float64Array },
): void {
  const hills = hillsOf(3, step, place, wavenumber);
  hills.forEach((hill, axis) => checkFit(hill, shape[axis]!));
  const [z, y, x] = hills as [Along, Along, Along];
  const [, ny, nx] = shape as [number, number, number];
  z.weights.forEach((byZ, iz) => {
    y.weights.forEach((byY, iy) => {
      const row = ((z.from + iz) * ny + y.from + iy) * nx + x.from;
      const [re, im] = [mass.re * byZ * byY, mass.im * byZ * byY];
      for (let ix = 0; ix < x.weights.length; ix++) {
        to.re[row + ix]! += re * x.weights[ix]!;
        to.im[row + ix]! += im * x.weights[ix]!;
      }
    });
  });
}

/** Weights of neighbours along an axis, from a point on. */
interface Along {
  readonly from: number;
  readonly weights: readonly number[];
}

function hillsOf(axes: number, step: number, place: readonly number[], wavenumber: number): Along[] {
  const gain = Math.exp((wavenumber * width * step) ** 2 / 2) ** (1 / axes);
  return place.map((at) => {
    const from = Math.round(at) - spread;
    const hill = Array.from({ length: 2 * spread + 1 }, (_, i) => Math.exp(-((from + i - at) ** 2) / (2 * width ** 2)));
    const whole = hill.reduce((sum, each) => sum + each, 0);
    return { from, weights: hill.map((each) => (each / whole) * gain) };
  });
}

/**
 * How pressure between the points follows from theirs: exact for waves that the points hold well.
 * @param place along each axis of the shape, in points. @throws RangeError where it does not fit in.
 */
export function sensorAt({ shape }: Pick<SimulationSettings, 'shape'>, place: readonly number[]): Weighted {
  const weightsAt = interpolationWeights(1 / 3, taps);
  return product(
    shape,
    place.map((at) => {
      const cell = Math.floor(at);
      return { from: cell - taps / 2 + 1, weights: Array.from(weightsAt(at - cell)) };
    }),
  );
}

function checkFit({ from, weights }: Along, length: number): void {
  if (!(from >= 0 && from + weights.length <= length)) throw new RangeError('a place at the edge of the simulation');
}

function product(shape: readonly number[], along: readonly Along[]): Weighted {
  let points = [0];
  let weights = [1];
  shape.forEach((n, axis) => {
    const { from, weights: own } = along[axis]!;
    checkFit(along[axis]!, n);
    weights = weights.flatMap((weight) => own.map((each) => weight * each));
    points = points.flatMap((before) => own.map((_, i) => before * n + from + i));
  });
  return { points: Uint32Array.from(points), weights: Float64Array.from(weights) };
}
