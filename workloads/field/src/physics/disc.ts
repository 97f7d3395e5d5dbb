// Discs as points whose waves add up to theirs.

/** In polar coordinates; r over the radius. Weights of all points sum to 1. */
export interface DiscPoint {
  readonly r: number;
  readonly angle: number;
  readonly weight: number;
}

const ringsOf = (ka: number): number => 3 + Math.ceil(ka / 3);
const aroundOf = (ka: number): number => 8 + 2 * Math.ceil(ka);

/** How many points `discOf` gives. */
export const pointsOfDisc = (ka: number): number => ringsOf(ka) * aroundOf(ka);

/**
 * Points of the unit disc by which waves of wavenumber `ka` are summed: Gauss–Legendre in r², for the wave's rings are analytic
 * in it, and evenly around.
 */
export function discOf(ka: number): DiscPoint[] {
  const rings = ringsOf(ka);
  const around = aroundOf(ka);
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
export function across([x = 0, y = 0, z = 1]: readonly number[]): [number[], number[]] {
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
