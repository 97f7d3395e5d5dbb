// Elements as sources of a simulation: a piston is a disc of points that sound alike, which far away is a piston's pattern.
import { across, discOf } from '../physics/disc.ts';
import type { Sources } from '../physics/sources.ts';

/** x, y, z in metres, and mass (kg/s, complex as `Drive` takes it). */
interface PointSource {
  readonly position: readonly [number, number, number];
  readonly mass: { readonly re: number; readonly im: number };
}

/**
 * Masses of which each element's wave is, far away, `amplitude/r·exp(i(kr + phase))` along its normal: a point of mass q is
 * heard as -iωq·exp(ikr)/4πr.
 * @param radius of the pistons; 0 for points.
 */
export function* pointSourcesOf(sources: Sources, radius: number, frequency: number): Generator<PointSource> {
  const { count, positions, normals, amplitudes, phases, wavenumber } = sources;
  const disc = radius > 0 ? discOf(wavenumber * radius) : [{ r: 0, angle: 0, weight: 1 }];
  for (let s = 0; s < count; s++) {
    const of = (values: Float64Array): number[] => [0, 1, 2].map((axis) => values[axis * count + s]!);
    const center = of(positions);
    const [u, v] = across(of(normals));
    const mass = (4 * Math.PI * amplitudes[s]!) / (2 * Math.PI * frequency);
    const [re, im] = [-mass * Math.sin(phases[s]!), mass * Math.cos(phases[s]!)];
    for (const { r, angle, weight } of disc) {
      const [a, b] = [r * radius * Math.cos(angle), r * radius * Math.sin(angle)];
      const position = center.map((from, axis) => from + a * u[axis]! + b * v[axis]!) as [number, number, number];
      yield { position, mass: { re: weight * re, im: weight * im } };
    }
  }
}
