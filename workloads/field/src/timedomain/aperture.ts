// Elements as sources of a simulation: a piston is a disc of points that sound alike, which far away is a piston's pattern.
import type { Sources } from '../physics/sources.ts';

/** x, y, z in metres, and mass (kg/s, complex as `Drive` takes it) of each point. */
export interface Aperture {
  readonly positions: readonly (readonly [number, number, number])[];
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/**
 * Masses of which each element's wave is, far away, `amplitude/r·exp(i(kr + phase))` along its normal: a point of mass q is
 * heard as -iωq·exp(ikr)/4πr.
 * @param radius of the pistons; 0 for points.
 */
export function aperturesOf(sources: Sources, radius: number, frequency: number): Aperture {
  const { count, positions, normals, amplitudes, phases, wavenumber } = sources;
  const disc = radius > 0 ? discOf(wavenumber * radius) : [{ r: 0, angle: 0, weight: 1 }];
  const places: [number, number, number][] = [];
  const re = new Float64Array(count * disc.length);
  const im = new Float64Array(count * disc.length);
  for (let s = 0; s < count; s++) {
    const of = (values: Float64Array): number[] => [0, 1, 2].map((axis) => values[axis * count + s]!);
    const center = of(positions);
    const [u, v] = across(of(normals));
    const mass = (4 * Math.PI * amplitudes[s]!) / (2 * Math.PI * frequency);
    for (const { r, angle, weight } of disc) {
      re[places.length] = -mass * weight * Math.sin(phases[s]!);
      im[places.length] = mass * weight * Math.cos(phases[s]!);
      const [a, b] = [r * radius * Math.cos(angle), r * radius * Math.sin(angle)];
      places.push(center.map((from, axis) => from + a * u[axis]! + b * v[axis]!) as [number, number, number]);
    }
  }
  return { positions: places, re, im };
}

/**
 * Points of the unit disc by which waves of wavenumber `ka` are summed: Gauss–Legendre in r², for the wave's rings are analytic
 * in it, and evenly around. Weights sum to 1.
 */
function discOf(ka: number): { r: number; angle: number; weight: number }[] {
  const rings = 3 + Math.ceil(ka / 3);
  const around = 8 + 2 * Math.ceil(ka);
  return legendre(rings).flatMap(({ x, weight }, ring) =>
    Array.from({ length: around }, (_, n) => ({
      r: Math.sqrt((1 + x) / 2),
      angle: (2 * Math.PI * (n + ring / rings)) / around,
      weight: weight / 2 / around,
    })),
  );
}

/** Nodes and weights of Gauss–Legendre quadrature on -1 to 1, by Newton's method. */
function legendre(n: number): { x: number; weight: number }[] {
  return Array.from({ length: n }, (_, i) => {
    let x = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 1;
    for (let step = 0; step < 20; step++) {
      let [before, value] = [1, x];
      for (let m = 2; m <= n; m++) [before, value] = [value, ((2 * m - 1) * x * value - (m - 1) * before) / m];
      slope = (n * (x * value - before)) / (x * x - 1);
      x -= value / slope;
    }
    return { x, weight: 2 / ((1 - x * x) * slope * slope) };
  });
}

/** Two directions normal to another and to each other. */
function across([x = 0, y = 0, z = 1]: readonly number[]): [number[], number[]] {
  const helper = Math.abs(x) < 0.9 ? [1, 0, 0] : [0, 1, 0];
  const cross = (a: readonly number[], b: readonly number[]): number[] => [
    a[1]! * b[2]! - a[2]! * b[1]!,
    a[2]! * b[0]! - a[0]! * b[2]!,
    a[0]! * b[1]! - a[1]! * b[0]!,
  ];
  const first = cross([x, y, z], helper);
  const u = first.map((each) => each / Math.hypot(...first));
  return [u, cross([x, y, z], u)];
}
