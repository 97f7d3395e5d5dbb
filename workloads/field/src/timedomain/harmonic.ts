// The field of sources that sound at one frequency, once it has settled.
import type { ComplexArray } from '../spectrum/fft.ts';
import type { MassSource, Simulation, SimulationSettings } from './simulation.ts';

export interface HarmonicDrive {
  /** Numbers of the points that sound. */
  readonly points: ArrayLike<number>;
  /** Of each, the mass rate is the real part of this times exp(-i·ω·t), kg/s. */
  readonly masses: readonly { readonly re: number; readonly im: number }[];
  /** Hz; a whole number of the simulation's time steps must make a period. */
  readonly frequency: number;
  /** Periods over which the sources grow: at once, they would ring at every frequency. */
  readonly rise: number;
  /** Periods after that, until the first waves and their echoes have gone through. */
  readonly settle: number;
}

/** Points to each side over which a source is spread, and the width of the hill, in points. */
const spread = 4;
const width = 1;

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
): { points: Uint32Array; weights: Float64Array } {
  let points = [0];
  let weights = [Math.exp((wavenumber * width * step) ** 2 / 2)];
  shape.forEach((n, axis) => {
    const nearest = Math.round(place[axis]!);
    if (!(nearest >= spread && nearest < n - spread)) throw new RangeError('a source at the edge of the simulation');
    const along = Array.from({ length: 2 * spread + 1 }, (_, i) => nearest - spread + i);
    const hill = along.map((i) => Math.exp(-((i - place[axis]!) ** 2) / (2 * width ** 2)));
    const whole = hill.reduce((sum, each) => sum + each, 0);
    weights = weights.flatMap((weight) => hill.map((each) => (weight * each) / whole));
    points = points.flatMap((from) => along.map((i) => from * n + i));
  });
  return { points: Uint32Array.from(points), weights: Float64Array.from(weights) };
}

/**
 * Complex pressure at each point: the wave is its real part times exp(-i·ω·t). Over the last period, the transform at the
 * drive's frequency. @throws RangeError
 */
export function harmonicPressure(
  simulation: Simulation,
  { points, masses, frequency, rise, settle }: HarmonicDrive,
  signal?: AbortSignal,
): ComplexArray {
  const { timeStep } = simulation.settings;
  const perPeriod = Math.round(1 / (frequency * timeStep));
  if (perPeriod < 3 || Math.abs(perPeriod * frequency * timeStep - 1) > 1e-9) {
    throw new RangeError('a period must be a whole number of time steps, three or more');
  }
  const omega = 2 * Math.PI * frequency;
  const sources: MassSource[] = [
    {
      points,
      rate(time, i) {
        const part = Math.min(1, (time * frequency) / Math.max(rise, 1e-9));
        const { re, im } = masses[i]!;
        return Math.sin((Math.PI / 2) * part) ** 2 * (re * Math.cos(omega * time) + im * Math.sin(omega * time));
      },
    },
  ];
  const before = Math.ceil(rise + settle) * perPeriod;
  for (let n = 0; n < before; n++) {
    signal?.throwIfAborted();
    simulation.advance(sources);
  }
  const { pressure } = simulation;
  const re = new Float64Array(pressure.length);
  const im = new Float64Array(pressure.length);
  for (let n = 0; n < perPeriod; n++) {
    signal?.throwIfAborted();
    simulation.advance(sources);
    const c = (2 / perPeriod) * Math.cos(omega * simulation.time);
    const s = (2 / perPeriod) * Math.sin(omega * simulation.time);
    for (let i = 0; i < pressure.length; i++) {
      re[i]! += pressure[i]! * c;
      im[i]! += pressure[i]! * s;
    }
  }
  return { re, im };
}
