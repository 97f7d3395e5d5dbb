// A simulation run to its end, and what is kept of it: amplitudes at the drive's frequency, extremes, traces of sensors.
import { setImmediate } from 'node:timers/promises';
import type { ComplexArray } from '../spectrum/fft.ts';
import type { MassSource, Simulation } from './simulation.ts';
import type { Weighted } from './source.ts';

/** What sounds: the mass rate at each point is the real part of its mass times exp(-i·ω·t), kg/s, under an envelope. */
export interface Drive {
  /** Left out, the masses are those of all points. */
  readonly points?: ArrayLike<number>;
  readonly masses: { readonly re: ArrayLike<number>; readonly im: ArrayLike<number> };
  /** Hz; a whole number of the simulation's time steps must make a period. */
  readonly frequency: number;
  /** Periods of a burst under a Hann window; left out, it sounds on once it has grown over `rise` periods. */
  readonly burst?: number;
}

/** A field this much louder than at first is none that the sources make. */
const mostGrowth = 1000;

/** Periods over which a continuous drive grows: at once, it would ring at every frequency. */
export const rise = 3;

export interface Wishes {
  /** Time steps. */
  readonly steps: number;
  /** Points whose extremes are kept, and by which it is told whether the field has settled. */
  readonly at?: Uint32Array;
  readonly extremes?: boolean;
  readonly sensors?: readonly Weighted[];
  readonly signal?: AbortSignal;
  readonly onStep?: (step: number) => void;
}

export interface Recording {
  /**
   * Pa at each point of the simulation: the wave is its real part times exp(-i·ω·t). Of a continuous drive over its last period;
   * of a burst, what a drive that sounds on would give: the transform at its frequency over the burst's own.
   */
  readonly pressure: ComplexArray;
  /** Largest magnitude and root mean square at each of `at`, Pa: over the last period, or all the time of a burst. */
  readonly largest?: Float32Array;
  readonly effective?: Float32Array;
  /** Of each sensor, Pa after each step. */
  readonly traces: readonly Float32Array[];
  /**
   * What is kept `at` points had not come to rest by so much: of a continuous drive the largest change of an amplitude over the last
   * period, over the largest; of a burst the largest pressure over the last period, over the largest of all.
   */
  readonly unsettled?: number;
}

/** Steps that make a period. @throws RangeError unless they are whole, and three or more. */
export function stepsPerPeriod(timeStep: number, frequency: number): number {
  const steps = Math.round(1 / (frequency * timeStep));
  if (steps < 3 || Math.abs(steps * frequency * timeStep - 1) > 1e-9) {
    throw new RangeError('a period must be a whole number of time steps, three or more');
  }
  return steps;
}

/** Lets others have their turn after each step. @throws RangeError when it runs away, or the signal's reason. */
export async function record(simulation: Simulation, drive: Drive, wishes: Wishes): Promise<Recording> {
  const { timeStep } = simulation.settings;
  const perPeriod = stepsPerPeriod(timeStep, drive.frequency);
  const omega = 2 * Math.PI * drive.frequency;
  const envelope = envelopeOf(drive);
  const sources: MassSource[] = [
    { density: simulation.sourceAt(drive.masses.re, drive.points), rate: (t) => envelope(t) * Math.cos(omega * t) },
    { density: simulation.sourceAt(drive.masses.im, drive.points), rate: (t) => envelope(t) * Math.sin(omega * t) },
  ];
  const { pressure } = simulation;
  const { steps, sensors = [] } = wishes;
  const continuous = drive.burst === undefined;
  // Of a continuous drive the last period counts, and the one before tells whether it has settled.
  const from = continuous ? steps - perPeriod : 0;
  const sums = new Sums(pressure, wishes);
  const watched = thinned(wishes.at);
  const before = new Before(pressure, continuous ? watched : new Uint32Array(0));
  const rest = new Rest(pressure, continuous ? new Uint32Array(0) : watched);
  const traces = sensors.map(() => new Float32Array(steps));
  let sounded = continuous ? perPeriod : 0;
  let loudest = 0;
  let driven = 0;
  for (let n = 0; n < steps; n++) {
    const now = envelope((n + 0.5) * timeStep);
    driven = Math.max(driven, now);
    if (!continuous) sounded += now;
    simulation.advance(sources);
    const cos = Math.cos(omega * simulation.time);
    const sin = Math.sin(omega * simulation.time);
    sensors.forEach((sensor, i) => {
      traces[i]![n] = heard(sensor, pressure);
    });
    rest.hear(n >= steps - perPeriod);
    if (n >= from) sums.add(cos, sin);
    else if (n >= from - perPeriod) before.add(cos, sin);
    if ((n + 1) % perPeriod === 0) {
      const peak = pressure.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
      // A long burst has hardly begun by then: what it will come to counts.
      if (n <= (rise + 1) * perPeriod) loudest = Math.max(loudest, peak / driven);
      if (!(peak <= mostGrowth * loudest)) throw new RangeError('the simulation runs away: its time step is too long');
    }
    wishes.onStep?.(n + 1);
    await setImmediate();
    wishes.signal?.throwIfAborted();
  }
  const unsettled = continuous ? before.changeTo(sums.amplitude) : rest.share();
  return { ...sums.end(sounded, steps - from), traces, ...(unsettled !== undefined && { unsettled }) };
}

/** What is summed up over the time that counts. */
class Sums {
  readonly amplitude: ComplexArray;
  readonly #pressure: Float64Array;
  readonly #at: Uint32Array;
  readonly #largest: Float32Array;
  readonly #squares: Float64Array;

  constructor(pressure: Float64Array, { at = new Uint32Array(0), extremes = false }: Wishes) {
    this.#pressure = pressure;
    this.#at = at;
    this.amplitude = { re: new Float64Array(pressure.length), im: new Float64Array(pressure.length) };
    this.#largest = new Float32Array(extremes ? at.length : 0);
    this.#squares = new Float64Array(this.#largest.length);
  }

  add(cos: number, sin: number): void {
    const pressure = this.#pressure;
    const { re, im } = this.amplitude;
    for (let i = 0; i < pressure.length; i++) {
      re[i]! += pressure[i]! * cos;
      im[i]! += pressure[i]! * sin;
    }
    for (let i = 0; i < this.#largest.length; i++) {
      const value = pressure[this.#at[i]!]!;
      this.#largest[i] = Math.max(this.#largest[i]!, Math.abs(value));
      this.#squares[i]! += value * value;
    }
  }

  /** @param sounded Sum of the envelope over the steps. */
  end(sounded: number, steps: number): Pick<Recording, 'pressure' | 'largest' | 'effective'> {
    for (const part of [this.amplitude.re, this.amplitude.im]) {
      for (let i = 0; i < part.length; i++) part[i]! *= 2 / sounded;
    }
    if (this.#largest.length === 0) return { pressure: this.amplitude };
    const effective = Float32Array.from(this.#squares, (each) => Math.sqrt(each / steps));
    return { pressure: this.amplitude, largest: this.#largest, effective };
  }
}

/** Some amplitudes of the period before the last, as sums. */
class Before {
  readonly #pressure: Float64Array;
  readonly #at: Uint32Array;
  readonly #re: Float64Array;
  readonly #im: Float64Array;

  constructor(pressure: Float64Array, at: Uint32Array) {
    this.#pressure = pressure;
    this.#at = at;
    this.#re = new Float64Array(at.length);
    this.#im = new Float64Array(at.length);
  }

  add(cos: number, sin: number): void {
    this.#at.forEach((point, i) => {
      this.#re[i]! += this.#pressure[point]! * cos;
      this.#im[i]! += this.#pressure[point]! * sin;
    });
  }

  /** Largest change over the largest amplitude after it; undefined where none is watched. */
  changeTo({ re, im }: ComplexArray): number | undefined {
    if (this.#at.length === 0) return undefined;
    let most = 0;
    let change = 0;
    this.#at.forEach((point, i) => {
      most = Math.max(most, Math.hypot(re[point]!, im[point]!));
      change = Math.max(change, Math.hypot(re[point]! - this.#re[i]!, im[point]! - this.#im[i]!));
    });
    return most > 0 ? change / most : 0;
  }
}

/** What still sounds at the end. */
class Rest {
  readonly #pressure: Float64Array;
  readonly #at: Uint32Array;
  #most = 0;
  #last = 0;

  constructor(pressure: Float64Array, at: Uint32Array) {
    this.#pressure = pressure;
    this.#at = at;
  }

  hear(atTheEnd: boolean): void {
    let peak = 0;
    for (const point of this.#at) peak = Math.max(peak, Math.abs(this.#pressure[point]!));
    this.#most = Math.max(this.#most, peak);
    if (atTheEnd) this.#last = Math.max(this.#last, peak);
  }

  /** Largest pressure at the end over the largest of all; undefined where none is watched. */
  share(): number | undefined {
    if (this.#at.length === 0) return undefined;
    return this.#most > 0 ? this.#last / this.#most : 0;
  }
}

function envelopeOf({ frequency, burst }: Drive): (time: number) => number {
  if (burst === undefined) return (time) => Math.sin((Math.PI / 2) * Math.min(1, (time * frequency) / rise)) ** 2;
  return (time) => (time * frequency >= burst ? 0 : Math.sin((Math.PI * time * frequency) / burst) ** 2);
}

function heard({ points, weights }: Weighted, pressure: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < points.length; i++) sum += weights[i]! * pressure[points[i]!]!;
  return sum;
}

const mostWatched = 4096;

function thinned(points: Uint32Array = new Uint32Array(0)): Uint32Array {
  const skip = Math.ceil(points.length / mostWatched);
  return points.filter((_, i) => i % skip === 0);
}
