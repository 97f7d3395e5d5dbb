// Sound in time, linear, in media whose speed and density vary from place to place: slopes in space are taken in the
// spectrum and steps in time corrected there, so that a homogeneous medium disperses nothing at any step.
import { type ComplexArray, FourierTransform, frequenciesOf } from '../spectrum/fft.ts';
import { absorbingLayer } from './layer.ts';

export interface SimulationSettings {
  /** Points along one to three axes, the last running fastest, absorbing layers included: powers of two. */
  readonly shape: readonly number[];
  /** Metres between neighbours. */
  readonly step: number;
  /** Seconds; `stableTimeStep` tells one. */
  readonly timeStep: number;
  /** m/s, everywhere or at each point. */
  readonly soundSpeed: number | Float64Array;
  /** m/s of the medium in which steps in time are exact: the largest speed when left out. A lower one asks for shorter steps. */
  readonly exactSpeed?: number;
  /** kg/m³, everywhere or at each point. */
  readonly density: number | Float64Array;
  /** Points of the absorbing layer at both ends of each axis; with 0 what leaves at one end enters at the other. */
  readonly layers: readonly number[];
  /** Nepers a second that every wave loses on its way, at all frequencies alike; 0 when left out. */
  readonly decay?: number;
}

/** Mass that comes in: what small pulsating bodies displace. */
export interface MassSource {
  /** From `sourceAt`. */
  readonly density: Float64Array;
  /** kg/s (along two axes kg/s/m, along one kg/s/m²) for each kg there. A point source in 3-D is heard as rate'(t - r/c)/4πr. */
  readonly rate: (time: number) => number;
}

/** Seconds that a wave needs for `courant` of a step at the speed of the fastest medium. */
export function stableTimeStep(step: number, soundSpeed: number | Float64Array, courant = 0.3): number {
  return (courant * step) / largest(soundSpeed);
}

/**
 * First-order k-space pseudospectral method on staggered grids, with split densities in perfectly matched layers.
 * (Tabei, Mast and Waag, "A k-space method for coupled first-order acoustic propagation equations", J. Acoust. Soc. Am. 111
 * (2002) 53; Treeby and Cox, "k-Wave", J. Biomed. Opt. 15 (2010) 021314, section 2.) Sources are corrected by cos(ckΔt/2): so
 * that at resonance, ck = ω, steps in time answer them as time itself does.
 *
 * Exact in time where the speed is `exactSpeed`; elsewhere of second order. In space exact up to two points a
 * wavelength; a jump of the medium rings over a point or two.
 */
export class Simulation {
  readonly settings: SimulationSettings;
  /** Pa at each point, at `time`. */
  readonly pressure: Float64Array;
  readonly #transform: FourierTransform;
  readonly #axes: readonly Axis[];
  readonly #speed: ArrayLike<number>;
  readonly #density: ArrayLike<number>;
  /** sinc(ckΔt/2) of each wave. */
  readonly #inTime: Float64Array;
  readonly #spectrum: ComplexArray;
  readonly #slope: ComplexArray;
  readonly #exactSpeed: number;
  #steps = 0;

  /** @throws RangeError for lengths that are no powers of two, layers that leave no room, or a medium that is none. */
  constructor(settings: SimulationSettings) {
    const { shape, soundSpeed, density } = settings;
    const count = shape.reduce((product, n) => product * n, 1);
    checkSettings(settings, count);
    this.settings = settings;
    this.#exactSpeed = settings.exactSpeed ?? largest(soundSpeed);
    this.pressure = new Float64Array(count);
    this.#transform = new FourierTransform(shape);
    this.#speed = everywhere(soundSpeed, count);
    this.#density = everywhere(density, count);
    this.#spectrum = { re: new Float64Array(count), im: new Float64Array(count) };
    this.#slope = { re: new Float64Array(count), im: new Float64Array(count) };
    this.#axes = shape.map((n, axis) => axisOf(settings, axis, n, count, this.#density));

    this.#inTime = new Float64Array(count);
    for (let i = 0; i < count; i++) this.#inTime[i] = sinc(this.#halfTurn(i));
  }

  /** Seconds since the start. */
  get time(): number {
    return this.#steps * this.settings.timeStep;
  }

  /** Starts anew from a pressure at rest, Pa at each point. */
  start(pressure: ArrayLike<number>): void {
    this.#steps = 0;
    this.pressure.set(pressure);
    for (const { parts } of this.#axes) {
      for (let i = 0; i < parts.length; i++) {
        parts[i] = this.pressure[i]! / (this.#speed[i]! ** 2 * this.#axes.length);
      }
    }
    // Velocities are known half a step before and after; at rest these are opposite.
    for (const { velocity } of this.#axes) velocity.fill(0);
    this.#accelerate(-0.5);
  }

  /**
   * What masses at points add to the density, as `advance` takes it: the same however often and whenever it sounds.
   * @param masses kg at each point. @param points Their numbers; left out, the masses are those of all points.
   */
  sourceAt(masses: ArrayLike<number>, points?: ArrayLike<number>): Float64Array {
    const { step, shape } = this.settings;
    const { re, im } = this.#spectrum;
    re.fill(0);
    im.fill(0);
    for (let n = 0; n < masses.length; n++) re[points ? points[n]! : n]! += masses[n]! / step ** shape.length;
    this.#transform.forward(this.#spectrum);
    for (let i = 0; i < re.length; i++) {
      const by = Math.cos(this.#halfTurn(i));
      re[i]! *= by;
      im[i]! *= by;
    }
    this.#transform.backward(this.#spectrum);
    return re.slice();
  }

  /** One time step. */
  advance(sources: readonly MassSource[] = []): void {
    const { timeStep } = this.settings;
    this.#accelerate(1);
    const pressure = this.pressure;
    const density = this.#density;
    pressure.fill(0);
    for (const axis of this.#axes) {
      this.#slopeOf(axis.velocity, axis, -1);
      const { re } = this.#slope;
      const { parts, layer, places } = axis;
      for (let i = 0; i < parts.length; i++) {
        const loss = layer[places[i]!]!;
        const part = loss * (loss * parts[i]! - timeStep * density[i]! * re[i]!);
        parts[i] = part;
        pressure[i]! += part;
      }
    }
    for (const { density: added, rate } of sources) this.#add(added, timeStep * rate(this.time + timeStep / 2));
    const speed = this.#speed;
    for (let i = 0; i < pressure.length; i++) pressure[i]! *= speed[i]! ** 2;
    this.#steps++;
  }

  /** Joules (in 3-D) of the sound: of compression now, and of motion half a step before. */
  energy(): number {
    const { step, shape } = this.settings;
    let sum = 0;
    for (let i = 0; i < this.pressure.length; i++) {
      sum += this.pressure[i]! ** 2 / (2 * this.#density[i]! * this.#speed[i]! ** 2);
      for (const { velocity } of this.#axes) sum += (this.#density[i]! * velocity[i]! ** 2) / 2;
    }
    return sum * step ** shape.length;
  }

  /** Velocities by `share` of a time step. */
  #accelerate(share: number): void {
    const by = share * this.settings.timeStep;
    const { re, im } = this.#spectrum;
    re.set(this.pressure);
    im.fill(0);
    this.#transform.forward(this.#spectrum);
    for (const axis of this.#axes) {
      this.#slopeOf(undefined, axis, 1);
      const slope = this.#slope.re;
      const { velocity, betweenLayer, lightness, places } = axis;
      for (let i = 0; i < velocity.length; i++) {
        const loss = betweenLayer[places[i]!]!;
        velocity[i] = loss * (loss * velocity[i]! - by * lightness[i]! * slope[i]!);
      }
    }
  }

  /**
   * Slope along the axis to the real part of `#slope`, half a point up or down the axis: of `values`, or of that whose spectrum is
   * in `#spectrum`.
   */
  #slopeOf(values: Float64Array | undefined, axis: Axis, side: 1 | -1): void {
    const from = values ? this.#slope : this.#spectrum;
    const { re, im } = this.#slope;
    if (values) {
      re.set(values);
      im.fill(0);
      this.#transform.forward(this.#slope);
    }
    const { places, shiftRe, shiftIm } = axis;
    const inTime = this.#inTime;
    for (let i = 0; i < re.length; i++) {
      // i·k·exp(±i·k·step/2)
      const byRe = -side * shiftIm[places[i]!]! * inTime[i]!;
      const byIm = shiftRe[places[i]!]! * inTime[i]!;
      const xRe = from.re[i]!;
      const xIm = from.im[i]!;
      re[i] = xRe * byRe - xIm * byIm;
      im[i] = xRe * byIm + xIm * byRe;
    }
    this.#transform.backward(this.#slope);
  }

  /** Each axis takes its share of what comes in. */
  #add(added: Float64Array, by: number): void {
    if (by === 0) return;
    const { pressure } = this;
    for (let i = 0; i < pressure.length; i++) pressure[i]! += by * added[i]!;
    const share = by / this.#axes.length;
    for (const { parts } of this.#axes) {
      for (let i = 0; i < parts.length; i++) parts[i]! += share * added[i]!;
    }
  }

  /** ckΔt/2 of wave `i`, by the speed at which steps are exact. */
  #halfTurn(i: number): number {
    const square = this.#axes.reduce((sum, { places, wavenumbers }) => sum + wavenumbers[places[i]!]! ** 2, 0);
    return (this.#exactSpeed * this.settings.timeStep * Math.sqrt(square)) / 2;
  }
}

interface Axis {
  /** Place of each point along the axis. */
  readonly places: Uint32Array;
  readonly wavenumbers: Float64Array;
  /** k·cos(k·step/2) and k·sin(k·step/2) */
  readonly shiftRe: Float64Array;
  readonly shiftIm: Float64Array;
  /** What the absorbing layer leaves in half a time step, at the points and between them. */
  readonly layer: Float64Array;
  readonly betweenLayer: Float64Array;
  /** m/s half a point up the axis, half a time step before. */
  readonly velocity: Float64Array;
  /** Part of the acoustic density, kg/m³. */
  readonly parts: Float64Array;
  /** One over the density half a point up the axis. */
  readonly lightness: Float64Array;
}

function axisOf(
  { shape, step, timeStep, soundSpeed, layers, decay = 0 }: SimulationSettings,
  axis: number,
  length: number,
  count: number,
  density: ArrayLike<number>,
): Axis {
  const stride = shape.slice(axis + 1).reduce((product, n) => product * n, 1);
  const wavenumbers = frequenciesOf(length).map((each) => (2 * Math.PI * each) / step);
  const points = layers[axis] ?? 0;
  const rate = (largest(soundSpeed) * timeStep) / step;
  // Twice in a step, of pressure and velocity alike, so that nothing is dispersed.
  const fading = Math.exp((-decay * timeStep) / 2);
  const places = Uint32Array.from({ length: count }, (_, i) => Math.floor(i / stride) % length);
  const lightness = Float64Array.from({ length: count }, (_, i) => {
    const next = places[i]! + 1 < length ? i + stride : i + stride - length * stride;
    return 2 / (density[i]! + density[next]!);
  });
  return {
    places,
    wavenumbers,
    shiftRe: wavenumbers.map((k) => k * Math.cos((k * step) / 2)),
    shiftIm: wavenumbers.map((k) => k * Math.sin((k * step) / 2)),
    layer: absorbingLayer(length, points, rate, 0).map((each) => each * fading),
    betweenLayer: absorbingLayer(length, points, rate, 0.5).map((each) => each * fading),
    velocity: new Float64Array(count),
    parts: new Float64Array(count),
    lightness,
  };
}

function checkSettings(
  { shape, step, timeStep, soundSpeed, exactSpeed, density, layers }: SimulationSettings,
  count: number,
): void {
  if (shape.length < 1 || shape.length > 3) throw new RangeError('a simulation has one to three axes');
  if (!(step > 0 && timeStep > 0)) throw new RangeError('step and time step must be positive');
  for (const values of [soundSpeed, density]) {
    if (typeof values !== 'number' && values.length !== count) throw new RangeError(`a medium of ${count} points`);
    const sound =
      typeof values === 'number' ? values > 0 && values < Infinity : values.every((x) => x > 0 && x < Infinity);
    if (!sound) throw new RangeError('speed and density must be positive and finite');
  }
  shape.forEach((n, axis) => {
    const points = layers[axis] ?? 0;
    if (!Number.isInteger(points) || points < 0 || (points > 0 && 2 * points >= n)) {
      throw new RangeError(`absorbing layers of ${points} points leave nothing of ${n}`);
    }
  });
  const fastest = largest(soundSpeed);
  if (fastest * timeStep > step) throw new RangeError('a wave would pass more than a point in a time step');
  if (exactSpeed === undefined) return;
  if (!(exactSpeed > 0 && exactSpeed < Infinity)) throw new RangeError('the exact speed must be positive and finite');
  // The shortest wave, along the diagonal, turns furthest in a step.
  const turn = Math.min(1, (exactSpeed * timeStep * Math.sqrt(shape.length)) / step) * (Math.PI / 2);
  if ((fastest / exactSpeed) * Math.sin(turn) > 1) {
    throw new RangeError('a time step too long for waves that are faster than the exact speed');
  }
}

function everywhere(values: number | Float64Array, count: number): ArrayLike<number> {
  return typeof values === 'number' ? new Float64Array(count).fill(values) : values;
}

function largest(values: number | Float64Array): number {
  return typeof values === 'number' ? values : values.reduce((most, each) => Math.max(most, each), 0);
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x) / x;
}
