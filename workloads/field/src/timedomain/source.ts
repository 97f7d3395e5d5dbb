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
  const gain = Math.exp((wavenumber * width * step) ** 2 / 2) ** (1 / shape.length);
  return product(
    shape,
    place.map((at) => {
      const from = Math.round(at) - spread;
      const hill = Array.from({ length: 2 * spread + 1 }, (_, i) =>
        Math.exp(-((from + i - at) ** 2) / (2 * width ** 2)),
      );
      const whole = hill.reduce((sum, each) => sum + each, 0);
      return { from, weights: hill.map((each) => (each / whole) * gain) };
    }),
  );
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

function product(
  shape: readonly number[],
  along: readonly { readonly from: number; readonly weights: readonly number[] }[],
): Weighted {
  let points = [0];
  let weights = [1];
  shape.forEach((n, axis) => {
    const { from, weights: own } = along[axis]!;
    if (!(from >= 0 && from + own.length <= n)) throw new RangeError('a place at the edge of the simulation');
    weights = weights.flatMap((weight) => own.map((each) => weight * each));
    points = points.flatMap((before) => own.map((_, i) => before * n + from + i));
  });
  return { points: Uint32Array.from(points), weights: Float64Array.from(weights) };
}
