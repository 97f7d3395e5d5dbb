// The angular spectrum: a plane of complex pressure taken apart into plane waves, each of which is known on every parallel
// plane further on.
import { type ComplexArray, FourierTransform, frequenciesOf, powerOfTwoFrom } from './fft.ts';

/** What carries the waves: exp(i·(wavenumber + i·attenuation)·d) along a path d. */
interface Carrier {
  /** rad/m */
  readonly wavenumber: number;
  /** nepers per metre */
  readonly attenuation: number;
}

/** A rectangle of points: rows along y, each running along x. */
interface PlaneShape {
  readonly rows: number;
  readonly columns: number;
  /** Metres between neighbours; below half a wavelength. */
  readonly step: number;
}

/**
 * Waves that leave one plane along +z, on planes further on. The plane is padded with zeros to twice its size or more, so
 * that what leaves it on one side does not come in on the other, and the transfer function is band-limited to the waves that
 * stay within the padded length. (Matsushima and Shimobaba, "Band-limited angular spectrum method", Optics Express 17
 * (2009) 19662: u < 1/(λ·√((2d/S)² + 1)).) Cut off in the spectrum, the waves nearly along the plane ring, by 1e-2 a few wavelengths
 * on. So the limit is drawn where it comes from, at the offsets: the transfer function is the transform of
 * Rayleigh and Sommerfeld's propagator faded out at half the padded length. (Shen and Wang, Applied Optics 45 (2006) 1102.)
 *
 * It is as true as its plane is whole: waves that pass beside the plane are missing, and an edge at which the pressure
 * falls to zero at once radiates. Fade the pressure out over several wavelengths (`fadeOf`).
 */
export class AngularSpectrum {
  readonly plane: PlaneShape;
  readonly #carrier: Carrier;
  readonly #transform: FourierTransform;
  readonly #spectrum: ComplexArray;
  readonly #waves: ComplexArray;
  /** Radians per metre along y and x. */
  readonly #v: Float64Array;
  readonly #u: Float64Array;

  /**
   * @param pressure of the plane, row by row. @param padding least length along each axis over the plane's.
   * @throws RangeError where neighbours are half a wavelength apart or more.
   */
  constructor(plane: PlaneShape, pressure: ComplexArray, carrier: Carrier, padding = 2) {
    if (!(plane.step > 0 && plane.step < Math.PI / carrier.wavenumber)) {
      throw new RangeError('the plane must be sampled at less than half a wavelength');
    }
    this.plane = plane;
    this.#carrier = carrier;
    const [rows, columns] = spectrumShape(plane, padding);
    this.#transform = new FourierTransform([rows, columns]);
    this.#spectrum = zeros(rows * columns);
    this.#waves = zeros(rows * columns);
    for (let y = 0; y < plane.rows; y++) {
      const from = y * plane.columns;
      this.#spectrum.re.set(pressure.re.subarray(from, from + plane.columns), y * columns);
      this.#spectrum.im.set(pressure.im.subarray(from, from + plane.columns), y * columns);
    }
    this.#transform.forward(this.#spectrum);
    this.#v = frequenciesOf(rows).map((each) => (2 * Math.PI * each) / plane.step);
    this.#u = frequenciesOf(columns).map((each) => (2 * Math.PI * each) / plane.step);
  }

  /**
   * The pressure `distance` metres further on, or one of its derivatives, on points above those of the plane, in rows that are
   * `stride` long; what lies beyond the plane's own rows and columns is not part of it. Valid until the next call.
   * @param distance a wavelength or more: nearer, the propagator is too steep for the step.
   * @param axes by which it is derived, 0, 1, 2 for x, y, z: Pa/mⁿ. @throws RangeError
   */
  at(distance: number, axes: readonly number[] = []): ComplexArray & { readonly stride: number } {
    const { wavenumber: k, attenuation } = this.#carrier;
    if (distance * k < 2 * Math.PI) throw new RangeError('planes must be a wavelength apart or more');
    const [rows, columns] = this.#transform.shape as [number, number];
    const upwards = axes.filter((axis) => axis === 2).length;
    const across = axes.filter((axis) => axis !== 2);
    const { re, im } = this.#propagator(distance, upwards % 2 === 1);
    const squareRe = k ** 2 - attenuation ** 2;
    const squareIm = 2 * k * attenuation;
    for (let y = 0; y < rows; y++) {
      const v = this.#v[y]!;
      for (let x = 0; x < columns; x++) {
        const u = this.#u[x]!;
        const i = y * columns + x;
        let pRe = re[i]! * this.#spectrum.re[i]! - im[i]! * this.#spectrum.im[i]!;
        let pIm = re[i]! * this.#spectrum.im[i]! + im[i]! * this.#spectrum.re[i]!;
        for (const axis of across) {
          const along = axis === 0 ? u : v;
          [pRe, pIm] = [-along * pIm, along * pRe];
        }
        // Twice along z follows from the wave equation.
        for (let twice = 2; twice <= upwards; twice += 2) {
          const byRe = u * u + v * v - squareRe;
          [pRe, pIm] = [byRe * pRe + squareIm * pIm, byRe * pIm - squareIm * pRe];
        }
        re[i] = pRe;
        im[i] = pIm;
      }
    }
    this.#transform.backward(this.#waves);
    return { re, im, stride: columns };
  }

  /** Transform of the propagator, or of its slope along z, to `#waves`. */
  #propagator(distance: number, slope: boolean): ComplexArray {
    const { re, im } = this.#waves;
    const { wavenumber: k, attenuation } = this.#carrier;
    const { step } = this.plane;
    const [rows, columns] = this.#transform.shape as [number, number];
    const cell = (step * step) / (2 * Math.PI);
    const fade = (i: number, n: number): number => fadeOf((i + n / 2) % n, n, n / 8);
    for (let y = 0; y <= rows / 2; y++) {
      const dy = y * step;
      const fadeY = fade(y, rows);
      for (let x = 0; x <= columns / 2; x++) {
        const dx = x * step;
        const r = Math.sqrt(dx * dx + dy * dy + distance * distance);
        const size = (cell * fadeY * fade(x, columns) * Math.exp(-attenuation * r)) / r;
        const waveRe = size * Math.cos(k * r);
        const waveIm = size * Math.sin(k * r);
        // G' = G·(i·k - α - 1/r) for G = exp((i·k - α)·r)/r; the propagator is -∂G/∂z/2π.
        const aRe = -attenuation - 1 / r;
        let byRe = (-aRe * distance) / r;
        let byIm = (-k * distance) / r;
        if (slope) {
          // -∂²G/∂z²/2π, with G'' = G·((i·k - α - 1/r)² + 1/r²).
          const cos2 = (distance / r) ** 2;
          byRe = -(aRe * aRe - k * k + 1 / (r * r)) * cos2 - (aRe * (1 - cos2)) / r;
          byIm = -2 * aRe * k * cos2 - (k * (1 - cos2)) / r;
        }
        const pRe = waveRe * byRe - waveIm * byIm;
        const pIm = waveRe * byIm + waveIm * byRe;
        // The same on all four sides.
        for (const row of [y, (rows - y) % rows]) {
          for (const column of [x, (columns - x) % columns]) {
            re[row * columns + column] = pRe;
            im[row * columns + column] = pIm;
          }
        }
      }
    }
    this.#transform.forward(this.#waves);
    return this.#waves;
  }
}

/** Rows and columns with the zeros around. */
export function spectrumShape({ rows, columns }: PlaneShape, padding = 2): readonly [number, number] {
  return [powerOfTwoFrom(rows * padding), powerOfTwoFrom(columns * padding)];
}

/** Gain of point `i` of `n`: 1 but for `edge` points at each end, where it falls to 0. */
export function fadeOf(i: number, n: number, edge: number): number {
  return smoothStep((Math.min(i, n - 1 - i) + 1) / (edge + 1));
}

/** 0 up to 0 and 1 from 1 on, smooth with all its slopes. */
function smoothStep(x: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const rise = Math.exp(-1 / x);
  return rise / (rise + Math.exp(-1 / (1 - x)));
}

function zeros(n: number): ComplexArray {
  return { re: new Float64Array(n), im: new Float64Array(n) };
}
