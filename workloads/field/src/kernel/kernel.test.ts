import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measured, omnidirectional, piston } from '../physics/directivity.ts';
import { gradientAt, pressureAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import { FieldKernel } from './kernel.ts';

const wavelength = 8.65e-3;

const coordinate = (size: number) => fc.double({ min: -size, max: size, noNaN: true });
const someSources = fc.record({
  ka: fc.double({ min: 0.1, max: 18, noNaN: true }),
  attenuation: fc.constantFrom(0, 0.15, 2),
  wavelength: fc.constantFrom(wavelength, wavelength / 20),
  elements: fc.array(
    fc.record({
      at: fc.tuple(coordinate(0.1), coordinate(0.1), coordinate(0.02)),
      normal: fc.tuple(coordinate(1), coordinate(1), fc.double({ min: 0.1, max: 1, noNaN: true })),
      amplitude: fc.double({ min: 0.1, max: 10, noNaN: true }),
      phase: fc.double({ min: -20, max: 20, noNaN: true }),
    }),
    { minLength: 1, maxLength: 40 },
  ),
});

type Some = typeof someSources extends fc.Arbitrary<infer T> ? T : never;

function sourcesOf(some: Some): Sources {
  const count = some.elements.length;
  const positions = new Float64Array(3 * count);
  const normals = new Float64Array(3 * count);
  some.elements.forEach(({ at, normal }, s) => {
    const length = Math.hypot(...normal);
    for (let axis = 0; axis < 3; axis++) {
      positions[axis * count + s] = at[axis]!;
      normals[axis * count + s] = normal[axis]! / length;
    }
  });
  return {
    count,
    positions,
    normals,
    amplitudes: Float64Array.from(some.elements, ({ amplitude }) => amplitude),
    phases: Float64Array.from(some.elements, ({ phase }) => phase),
    directivity: piston(some.ka),
    wavenumber: (2 * Math.PI) / some.wavelength,
    attenuation: some.attenuation,
    nearest: 0.0045,
  };
}

/** Largest difference over the sum of the sources' own magnitudes, which is what the pressure in a focus is. */
function worstError(sources: Sources, z: number): { pressure: number; gradient: number } {
  const kernel = new FieldKernel(sources, [0, 0, z], 0.06);
  const x = Float64Array.from({ length: 37 }, (_, i) => -0.04 + i * 0.0021);
  kernel.setRow(x);
  const y = 0.0123;
  const { re, im } = kernel.pressure(y, z);
  const reference = new Float64Array(8);
  const coherent = { ...sources, count: 1 };
  let pressure = 0;
  const row = { re: Float32Array.from(re), im: Float32Array.from(im) };
  const slopes = kernel.gradient(y, z).map((part) => Float32Array.from(part));
  let gradient = 0;
  for (let i = 0; i < x.length; i++) {
    let scale = 0;
    for (let s = 0; s < sources.count; s++) {
      const one: Sources = {
        ...coherent,
        positions: Float64Array.of(...[0, 1, 2].map((axis) => sources.positions[axis * sources.count + s]!)),
        normals: Float64Array.of(...[0, 1, 2].map((axis) => sources.normals[axis * sources.count + s]!)),
        amplitudes: sources.amplitudes.slice(s, s + 1),
        phases: sources.phases.slice(s, s + 1),
        directivity: omnidirectional,
      };
      pressureAt(one, x[i]!, y, z, reference);
      scale += Math.hypot(reference[0]!, reference[1]!);
    }
    pressureAt(sources, x[i]!, y, z, reference);
    pressure = Math.max(pressure, Math.hypot(row.re[i]! - reference[0]!, row.im[i]! - reference[1]!) / scale);
    gradientAt(sources, x[i]!, y, z, reference);
    for (let n = 0; n < 8; n++) {
      const unit = n < 2 ? scale : scale * sources.wavenumber;
      gradient = Math.max(gradient, Math.abs(slopes[n]![i]! - reference[n]!) / unit);
    }
  }
  return { pressure, gradient };
}

describe('the WebAssembly kernel', () => {
  it('agrees with the reference within 1e-4, pressure and gradient, whatever the sources', () => {
    fc.assert(
      fc.property(someSources, fc.double({ min: 0.03, max: 0.3, noNaN: true }), (some, z) => {
        const { pressure, gradient } = worstError(sourcesOf(some), z);
        expect(pressure).toBeLessThan(1e-4);
        expect(gradient).toBeLessThan(1e-4);
      }),
      { numRuns: 200 },
    );
  });

  it('takes a measured pattern', () => {
    const [some] = fc.sample(someSources, { numRuns: 1, seed: 1 });
    const sources = { ...sourcesOf(some!), directivity: measured([0, 0.5, 1, 1.5], [1, 0.8, 0.4, 0.1]) };
    expect(worstError(sources, 0.1).pressure).toBeLessThan(1e-4);
  });

  it('refuses a directivity that no polynomial follows', () => {
    const [some] = fc.sample(someSources, { numRuns: 1, seed: 1 });
    const sources = { ...sourcesOf(some!), directivity: piston(200) };
    expect(() => new FieldKernel(sources, [0, 0, 0.1], 0.1)).toThrow(/too sharp/);
  });

  it('gives a point the same bits whatever row it is part of', () => {
    const [some] = fc.sample(someSources, { numRuns: 1, seed: 7 });
    const kernel = new FieldKernel(sourcesOf(some!), [0, 0, 0.1], 0.06);
    const x = Float64Array.from({ length: 41 }, (_, i) => -0.04 + i * 0.002);
    kernel.setRow(x);
    const whole = Float32Array.from(kernel.pressure(0.01, 0.1).re);
    for (let from = 0; from < 41; from += 7) {
      kernel.setRow(x.subarray(from, from + 7));
      expect(kernel.pressure(0.01, 0.1).re).toEqual(whole.subarray(from, from + 7));
    }
  });
});
