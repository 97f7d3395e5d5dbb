import { describe, expect, it } from 'vitest';
import { derivativeAxes, derivativesAt, forceOf, stiffnessOf } from './derivatives.ts';
import type { Pattern } from './directivity.ts';
import { twoSided } from './elements.ts';
import { air } from './medium.ts';
import { gorkov } from './particle.ts';
import { gradientAt } from './reference.ts';
import { drivenSources, type Sources } from './sources.ts';

const elements = twoSided({ rows: 4, columns: 4, pitch: 10e-3, separation: 0.1 });
const phases = Float64Array.from({ length: elements.count }, (_, t) => (t * t * 0.37) % 6.28);
const sourcesOf = (pattern: Pattern): Sources =>
  drivenSources(
    { elements, pressureAt1m: 8, radius: 4.5e-3, pattern, wavenumber: 726, attenuation: 0.4, reflectors: [] },
    { amplitudes: new Float64Array(elements.count).fill(1), phases },
  );
const patterns: Record<string, Pattern> = {
  piston: { type: 'Piston', ka: 3.3 },
  omnidirectional: { type: 'Omnidirectional' },
  measured: { type: 'Measured', angles: [0, 0.5, 1, 1.5], gains: [1, 0.8, 0.4, 0.1] },
};
const place: [number, number, number] = [3e-3, -2e-3, 46e-3];
const at = (sources: Sources, order: 1 | 2 | 3, point: readonly number[]): Float64Array => {
  const out = new Float64Array(40);
  derivativesAt(sources, order, point[0]!, point[1]!, point[2]!, out);
  return out;
};
const view = (values: Float64Array) => ({ re: (m: number) => values[2 * m]!, im: (m: number) => values[2 * m + 1]! });
const step = 1e-6;
const moved = (axis: number, by: number): number[] => place.map((v, i) => (i === axis ? v + by : v));

describe.each(Object.entries(patterns))('derivatives of the pressure of a %s array', (_name, pattern) => {
  const sources = sourcesOf(pattern);

  it('begin with the gradient of the reference', () => {
    const gradient = new Float64Array(8);
    gradientAt(sources, ...place, gradient);
    const ours = at(sources, 1, place);
    gradient.forEach((value, i) => expect(ours[i]! / value).toBeCloseTo(1, 9));
  });

  it('are each the finite difference of the order below', () => {
    const values = at(sources, 3, place);
    derivativeAxes.forEach((axes, m) => {
      if (axes.length < 1) return;
      const last = axes.at(-1)!;
      const below = derivativeAxes.findIndex((each) => each.join() === axes.slice(0, -1).join());
      const high = at(sources, 3, moved(last, step));
      const low = at(sources, 3, moved(last, -step));
      const size = Math.hypot(values[2 * m]!, values[2 * m + 1]!);
      for (const part of [0, 1]) {
        const difference = (high[2 * below + part]! - low[2 * below + part]!) / (2 * step);
        expect(Math.abs(difference - values[2 * m + part]!)).toBeLessThan(2e-5 * size);
      }
    });
  });
});

describe("Gor'kov's potential", () => {
  const sources = sourcesOf(patterns.piston!);
  const weights = gorkov({ radius: 1e-3, density: 29, soundSpeed: 900 }, air(298.15, 0.5, 0), 40_000);
  const potential = (point: readonly number[]): number => {
    const { re, im } = view(at(sources, 1, point));
    const square = (m: number): number => re(m) ** 2 + im(m) ** 2;
    return weights.ofPressure * square(0) + weights.ofGradient * (square(1) + square(2) + square(3));
  };

  it.each([0, 1, 2])('has minus the force as its slope along axis %i', (axis) => {
    const difference = (potential(moved(axis, step)) - potential(moved(axis, -step))) / (2 * step);
    expect(-forceOf(view(at(sources, 2, place)), weights, axis) / difference).toBeCloseTo(1, 4);
  });

  it.each([0, 1, 2])('has the stiffness as its second derivative along axis %i, within 1e-4', (axis) => {
    const wide = 2e-5;
    const difference =
      (-potential(moved(axis, 2 * wide)) +
        16 * potential(moved(axis, wide)) -
        30 * potential(place) +
        16 * potential(moved(axis, -wide)) -
        potential(moved(axis, -2 * wide))) /
      (12 * wide ** 2);
    const stiffness = stiffnessOf(view(at(sources, 3, place)), weights, axis);
    expect(Math.abs(stiffness / difference - 1)).toBeLessThan(1e-4);
  });
});
