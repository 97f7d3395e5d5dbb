import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { directivityPolynomial, horner, piston } from './directivity.ts';
import { customElements, grid, hemisphere, twoSided } from './elements.ts';
import { air, airAttenuation, water } from './medium.ts';
import { gorkov } from './particle.ts';
import { gradientAt, pressureAt } from './reference.ts';
import { drivenSources, type Emitters, fullDrive, type Reflector } from './sources.ts';

const emitters = (changes: Partial<Emitters> = {}): Emitters => ({
  elements: grid({ rows: 3, columns: 3, pitch: 10e-3 }),
  pressureAt1m: 8,
  radius: 4.5e-3,
  pattern: { type: 'Piston', ka: 3.3 },
  wavenumber: 726,
  attenuation: 0.1,
  reflectors: [],
  ...changes,
});

describe('media', () => {
  it('have the speeds and densities of the tables', () => {
    expect(air(293.15, 0.5, 0).soundSpeed).toBeCloseTo(343.2, 0);
    expect(air(293.15, 0.5, 0).density).toBeCloseTo(1.204, 2);
    expect(water(293.15, 0).soundSpeed).toBeCloseTo(1482.4, 0);
    expect(water(293.15, 0).density).toBeCloseTo(998.2, 0);
  });

  // ISO 9613-1:1993, table 1 (20 °C, 50 % and 10 °C, 70 %), dB/km.
  it.each([
    { temperature: 20, humidity: 0.5, frequency: 1000, decibelsPerKilometre: 4.66 },
    { temperature: 20, humidity: 0.5, frequency: 8000, decibelsPerKilometre: 105 },
    { temperature: 10, humidity: 0.7, frequency: 4000, decibelsPerKilometre: 32.8 },
  ])(
    'absorb as ISO 9613-1 says: $frequency Hz at $temperature °C',
    ({ temperature, humidity, frequency, decibelsPerKilometre }) => {
      const absorbed = airAttenuation(temperature + 273.15, humidity, frequency) * 1000;
      expect(absorbed / decibelsPerKilometre).toBeCloseTo(1, 1);
    },
  );
});

describe('the piston', () => {
  // 2·J1(x)/x by Abramowitz and Stegun, table 9.1.
  it.each([
    { x: 1, value: 2 * 0.4400505857449335 },
    { x: 3.3, value: (2 * 0.2206634529) / 3.3 },
    { x: 3.8317059702, value: 0 },
    { x: 11.5, value: (2 * -0.2283786207) / 11.5 },
    { x: 20, value: (2 * 0.0668331242) / 20 },
    { x: 50, value: (2 * -0.0975118281) / 50 },
    { x: 100, value: (2 * -0.0771453521) / 100 },
  ])('at ka·sin θ = $x', ({ x, value }) => {
    // cos² = 0, so that sin = 1.
    expect(piston(x).gain(0)).toBeCloseTo(value, 8);
  });

  it.each([
    { order: 1, part: 'gain' },
    { order: 2, part: 'slope' },
    { order: 3, part: 'curvature' },
    { order: 4, part: 'third' },
  ] as const)("has the $part of Bessel's integral where it is computed by an expansion", ({ order, part }) => {
    // The rule that takes over below 30: (1/π)∫ cos(nτ - x·sin τ) dτ over 0…π.
    const integral = (x: number): number => {
      const steps = 64 + Math.ceil(x);
      const at = Array.from({ length: 2 * steps }, (_, i) => (i * Math.PI) / steps);
      return at.reduce((sum, tau) => sum + Math.cos(order * tau - x * Math.sin(tau)), 0) / (2 * steps);
    };
    for (const ka of [29.999, 30.001, 31, 47.3, 200, 1234.5]) {
      const scaled = (piston(ka)[part](0) * (ka / 2) ** order) / (ka * ka * 0.25) ** (order - 1);
      expect(Math.abs(scaled - integral(ka)), `ka ${ka}`).toBeLessThan(1e-13 * ka);
    }
  });

  it('costs as much for the sharpest beam as for a narrow one', () => {
    const cosine = vi.spyOn(Math, 'cos');
    try {
      piston(1e7).gain(0);
      expect(cosine.mock.calls.length).toBeLessThan(100);
    } finally {
      cosine.mockRestore();
    }
  });

  it('has the slope of its finite differences', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 30, noNaN: true }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        (ka, q) => {
          const directivity = piston(ka);
          const gain = (at: number): number => directivity.gain(at);
          const slope = (at: number): number => directivity.slope(at);
          expect((gain(q + 1e-6) - gain(q - 1e-6)) / 2e-6).toBeCloseTo(slope(q), 3);
        },
      ),
    );
  });

  it('is followed by its polynomial within 1e-6', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 18, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (ka, q) => {
          const directivity = piston(ka);
          const coefficients = directivityPolynomial(directivity)!;
          expect(Math.abs(horner(coefficients, q - 0.5) - directivity.gain(q))).toBeLessThan(1.1e-6);
        },
      ),
    );
  });
});

describe('arrays', () => {
  it('are centred, and face where they should', () => {
    const below = grid({ rows: 2, columns: 3, pitch: 10e-3 });
    expect(Array.from(below.positions.slice(0, 6))).toEqual([-0.01, -0.005, 0, 0, -0.005, 0]);
    const both = twoSided({ rows: 2, columns: 3, pitch: 10e-3, separation: 0.2 });
    expect(both.count).toBe(12);
    expect([both.positions[6 * 3 + 2], both.normals[6 * 3 + 2]]).toEqual([0.2, -1]);
  });

  it('of a bowl keep their distance to the centre, face it, and lie no lower than the origin', () => {
    const { count, positions, normals } = hemisphere(0.1, 200, Math.PI);
    for (let t = 0; t < count; t++) {
      const toCentre = [0 - positions[3 * t]!, 0 - positions[3 * t + 1]!, 0.1 - positions[3 * t + 2]!];
      expect(Math.hypot(...toCentre)).toBeCloseTo(0.1, 12);
      toCentre.forEach((value, axis) => expect(normals[3 * t + axis]).toBeCloseTo(value / 0.1, 12));
      expect(positions[3 * t + 2]).toBeGreaterThanOrEqual(0);
      expect(positions[3 * t + 2]).toBeLessThan(0.1 + 1e-9);
    }
  });

  it('that are listed need numbers and a direction', () => {
    expect(() => customElements([[0, 0, Number.NaN]], 'spec.array.custom')).toThrow(/element 0/);
    expect(() =>
      customElements(
        [
          [0, 0, 0],
          [0, 0, 0, 0, 0, 0],
        ],
        'spec.array.custom',
      ),
    ).toThrow(/element 1/);
    const twice = [
      [0.01, 0, 0],
      [0, 0.01, 0],
      [0.01, -0, 1e-12],
    ];
    expect(() => customElements(twice, 'spec.array.custom')).toThrow(/element 2 is where element 0 is/);
    expect(() => grid({ rows: 2, columns: 2, pitch: 0 })).toThrow(/element 1 is where element 0 is/);
    expect([...customElements([[0, 0, 0, 0, 3, 4]], 'f').normals]).toEqual([0, 0.6, 0.8]);
  });
});

describe('the reference', () => {
  it('has the gradient of its finite differences', () => {
    const sources = drivenSources(emitters(), fullDrive(9));
    const out = new Float64Array(8);
    const near = new Float64Array(2);
    const at = [0.012, -0.007, 0.043] as const;
    gradientAt(sources, ...at, out);
    for (let axis = 0; axis < 3; axis++) {
      const moved = (by: number): number[] => {
        const [x, y, z] = at.map((value, i) => (i === axis ? value + by : value)) as [number, number, number];
        pressureAt(sources, x, y, z, near);
        return [...near];
      };
      const [low, high] = [moved(-1e-7), moved(1e-7)];
      expect((high[0]! - low[0]!) / 2e-7 / out[2 + 2 * axis]!).toBeCloseTo(1, 5);
      expect((high[1]! - low[1]!) / 2e-7 / out[3 + 2 * axis]!).toBeCloseTo(1, 5);
    }
  });

  it('finds no normal velocity at a hard plane, and no pressure at a soft one', () => {
    const plane = (coefficient: number): Reflector[] => [{ name: 'roof', axis: 2, at: 0.1, coefficient }];
    const out = new Float64Array(8);
    const hard = drivenSources(emitters({ reflectors: plane(1) }), fullDrive(9));
    gradientAt(hard, 0.02, 0.01, 0.1, out);
    expect(Math.hypot(out[6]!, out[7]!)).toBeLessThan(1e-6 * Math.hypot(out[2]!, out[3]!, out[4]!, out[5]!));
    const soft = drivenSources(emitters({ reflectors: plane(-1) }), fullDrive(9));
    pressureAt(soft, 0.02, 0.01, 0.1, out);
    expect(Math.hypot(out[0]!, out[1]!)).toBeLessThan(1e-9);
  });

  it('combines planes that meet at a right angle into one image in the corner', () => {
    const corner: Reflector[] = [
      { name: 'roof', axis: 2, at: 0.1, coefficient: 1 },
      { name: 'wall', axis: 0, at: 0.05, coefficient: 1 },
    ];
    expect(drivenSources(emitters({ reflectors: corner }), fullDrive(9)).count).toBe(4 * 9);
  });
});

it("weighs Gor'kov's terms as for a rigid heavy sphere: f1 = f2 = 1", () => {
  const medium = { soundSpeed: 343, density: 1.2, attenuation: 0 };
  const { ofPressure, ofGradient } = gorkov({ radius: 1e-3, density: 1e9, soundSpeed: 1e9 }, medium, 40e3);
  const volume = (4 / 3) * Math.PI * 1e-9;
  expect(ofPressure / (volume / (4 * 1.2 * 343 ** 2))).toBeCloseTo(1, 6);
  expect(ofGradient / ((-3 * volume) / (8 * 1.2 * (2 * Math.PI * 40e3) ** 2))).toBeCloseTo(1, 6);
});
