import { describe, expect, it } from 'vitest';
import { derivativesAt } from '../physics/derivatives.ts';
import { directivityOf, type Pattern } from '../physics/directivity.ts';
import { pressureAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import { AngularSpectrum, fadeOf } from './angular.ts';

const wavelength = 8.65e-3;
const wavenumber = (2 * Math.PI) / wavelength;
const omnidirectional: Pattern = { type: 'Omnidirectional' };
/** Half the width in which the field is compared. */
const half = 30e-3;

/** An n × n grid that focuses 100 mm above, in a medium that absorbs. */
function gridOf(n: number, pattern: Pattern): Sources {
  const count = n * n;
  const positions = new Float64Array(3 * count);
  const normals = new Float64Array(3 * count);
  const phases = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    positions[i] = ((i % n) - (n - 1) / 2) * 10.5e-3;
    positions[count + i] = (Math.floor(i / n) - (n - 1) / 2) * 10.5e-3;
    normals[2 * count + i] = 1;
    phases[i] = -wavenumber * Math.hypot(positions[i]!, positions[count + i]!, 0.1);
  }
  const amplitudes = new Float64Array(count).fill(1);
  const directivity = directivityOf(pattern);
  return { count, positions, normals, amplitudes, phases, directivity, wavenumber, attenuation: 0.15, nearest: 4.5e-3 };
}

function spectrumOf(sources: Sources, z: number, step: number, edgeLengths: number) {
  const edge = Math.round((edgeLengths * wavelength) / step);
  const points = 2 * (Math.ceil(42e-3 / step) + edge) + 1;
  const place = (i: number): number => (i - (points - 1) / 2) * step;
  const pressure = { re: new Float64Array(points ** 2), im: new Float64Array(points ** 2) };
  const value = new Float64Array(2);
  for (let y = 0; y < points; y++) {
    for (let x = 0; x < points; x++) {
      pressureAt(sources, place(x), place(y), z, value);
      const gain = fadeOf(x, points, edge) * fadeOf(y, points, edge);
      pressure.re[y * points + x] = value[0]! * gain;
      pressure.im[y * points + x] = value[1]! * gain;
    }
  }
  return { spectrum: new AngularSpectrum({ rows: points, columns: points, step }, pressure, sources), place, points };
}

/** Largest error over the largest value, of the pressure or a derivative, on a plane. */
function errorOf(
  sources: Sources,
  { spectrum, place, points }: ReturnType<typeof spectrumOf>,
  z: number,
  distance: number,
  axes: readonly number[] = [],
  number = 0,
): number {
  const { re, im, stride } = spectrum.at(distance, axes);
  const value = new Float64Array(40);
  let worst = 0;
  let most = 0;
  for (let y = 0; y < points; y += 3) {
    for (let x = 0; x < points; x += 2) {
      if (Math.abs(place(x)) > half || Math.abs(place(y)) > half) continue;
      derivativesAt(sources, 3, place(x), place(y), z + distance, value);
      const [trueRe, trueIm] = [value[2 * number]!, value[2 * number + 1]!];
      worst = Math.max(worst, Math.hypot(re[y * stride + x]! - trueRe, im[y * stride + x]! - trueIm));
      most = Math.max(most, Math.hypot(trueRe, trueIm));
    }
  }
  return worst / most;
}

describe('the angular spectrum', () => {
  it('holds the direct sum within 5e-5 on planes further on, from a plane faded out over ten wavelengths', () => {
    const sources = gridOf(8, omnidirectional);
    const plane = spectrumOf(sources, 0.03, wavelength / 3, 10);
    for (const distance of [wavelength, 0.03, 0.1]) {
      expect(errorOf(sources, plane, 0.03, distance), `${distance} m on`).toBeLessThan(5e-5);
    }
  });

  it('holds derivatives of the pressure within 2e-4', () => {
    const sources = gridOf(8, omnidirectional);
    const plane = spectrumOf(sources, 0.03, wavelength / 3, 10);
    const cases: [number[], number][] = [
      [[0], 1],
      [[2], 3],
      [[2, 2], 6],
      [[0, 2], 8],
      [[1, 2, 2], 18],
      [[2, 2, 2], 12],
    ];
    for (const [axes, number] of cases) {
      expect(errorOf(sources, plane, 0.03, 0.04, axes, number), `along ${axes.join()}`).toBeLessThan(2e-4);
    }
  });

  it('gains from a wider fade, and from a plane that is not cut at once', () => {
    const sources = gridOf(4, omnidirectional);
    const errors = [0, 2, 6].map((edge) =>
      errorOf(sources, spectrumOf(sources, 0.03, wavelength / 3, edge), 0.03, 0.06),
    );
    expect(errors[0]).toBeGreaterThan(2 * errors[1]!);
    expect(errors[1]).toBeGreaterThan(5 * errors[2]!);
  });

  it('is off by percents for pistons, whose far field near by is no solution of the wave equation', () => {
    const sources = gridOf(8, { type: 'Piston', ka: 3.3 });
    const error = errorOf(sources, spectrumOf(sources, 0.06, wavelength / 3, 6), 0.06, 0.06);
    expect(error).toBeGreaterThan(5e-3);
    expect(error).toBeLessThan(5e-2);
  });

  it('refuses what it cannot sample', () => {
    const pressure = { re: new Float64Array(4), im: new Float64Array(4) };
    const carrier = { wavenumber, attenuation: 0 };
    expect(() => new AngularSpectrum({ rows: 2, columns: 2, step: wavelength / 2 }, pressure, carrier)).toThrow(
      /half a wavelength/,
    );
    const spectrum = new AngularSpectrum({ rows: 2, columns: 2, step: wavelength / 3 }, pressure, carrier);
    expect(() => spectrum.at(wavelength / 2)).toThrow(/a wavelength apart/);
  });
});
