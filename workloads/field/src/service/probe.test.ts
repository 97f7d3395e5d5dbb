import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { measured, omnidirectional, piston } from '../physics/directivity.ts';
import { pressureAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import { probeOf } from './probe.ts';

/** A bowl of sources that look inwards. */
function bowl(count: number, changes: Partial<Sources> = {}): Sources {
  const positions = new Float64Array(3 * count);
  const normals = new Float64Array(3 * count);
  for (let s = 0; s < count; s++) {
    const height = (s + 0.5) / count;
    const around = s * 2.399963;
    const flat = Math.sqrt(1 - height * height);
    [flat * Math.cos(around), flat * Math.sin(around), -height].forEach((value, axis) => {
      positions[axis * count + s] = 0.1 * value;
      normals[axis * count + s] = -value;
    });
  }
  return {
    count,
    positions,
    normals,
    amplitudes: Float64Array.from({ length: count }, (_, s) => 1 + (s % 3)),
    phases: Float64Array.from({ length: count }, (_, s) => 0.7 * s),
    directivity: piston(3.3),
    wavenumber: 733,
    attenuation: 0.15,
    nearest: 0.0045,
    ...changes,
  };
}

/** Largest difference over what all sources together could give. */
function difference(sources: Sources, points: readonly number[]): number {
  const got = probeOf(sources)(Float64Array.from(points));
  const truth = new Float64Array(2);
  let worst = 0;
  for (let i = 0; i < points.length; i += 3) {
    pressureAt(sources, points[i]!, points[i + 1]!, points[i + 2]!, truth);
    let loudness = 0;
    for (let s = 0; s < sources.count; s++) {
      const offset = [0, 1, 2].map((axis) => points[i + axis]! - sources.positions[axis * sources.count + s]!);
      loudness += sources.amplitudes[s]! / Math.max(Math.hypot(...offset), sources.nearest);
    }
    const off = Math.hypot(got[(2 * i) / 3]! - truth[0]!, got[(2 * i) / 3 + 1]! - truth[1]!);
    worst = Math.max(worst, off / loudness);
  }
  return worst;
}

const point = fc.array(fc.double({ min: -0.3, max: 0.3, noNaN: true }), { minLength: 3, maxLength: 3 });

describe('a probe', () => {
  test('gives what the reference gives, for any number of sources', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), point, (count, at) => {
        expect(difference(bowl(count), at)).toBeLessThan(1e-5);
      }),
    );
  });

  test.each<[string, Partial<Sources>]>([
    ['sources without a direction', { directivity: omnidirectional }],
    ['a pattern of a higher degree', { directivity: piston(9) }],
    ['a measured pattern', { directivity: measured([0, 0.5, 1, 1.57], [1, 0.8, 0.5, 0.2]) }],
    ['a pattern that no polynomial follows', { directivity: piston(60) }],
    ['a medium without absorption', { attenuation: 0 }],
    ['a medium that swallows nearly all', { attenuation: 60 }],
    ['short waves', { wavenumber: 8e3 }],
  ])('knows %s', (_what, changes) => {
    expect(difference(bowl(37, changes), [0, 0, 0.05, 0.02, -0.03, 0.1, -0.2, 0, 0.2])).toBeLessThan(1e-5);
  });

  test('knows places near to a source, and far from all of them', () => {
    const sources = bowl(12);
    const at = [0, 12, 24].map((i) => sources.positions[i]!);
    expect(difference(sources, [...at, 90, 0, 0, 0, -400, 700])).toBeLessThan(1e-5);
  });

  test('answers more points than it sums at a time', () => {
    const points = Float64Array.from({ length: 3 * 2500 }, (_, i) => 0.05 * Math.sin(i));
    const probe = probeOf(bowl(5));
    const all = probe(points);
    for (const i of [0, 1023, 1024, 2499])
      expect(all.slice(2 * i, 2 * i + 2)).toEqual(probe(points.slice(3 * i, 3 * i + 3)));
  });

  test('keeps drives apart that are asked in turn', () => {
    const at = Float64Array.of(0.01, 0, 0.02);
    const [one, other] = [probeOf(bowl(9)), probeOf(bowl(14))];
    const first = [one(at), other(at)];
    expect([one(at), other(at)]).toEqual(first);
    expect(first[0]).not.toEqual(first[1]);
  });
});
