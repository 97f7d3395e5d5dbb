// A focused element: a bowl whose surface moves as one, as point sources all over it. (The Rayleigh integral over a shallow bowl:
// O'Neil, "Theory of focusing radiators", J. Acoust. Soc. Am. 21 (1949) 516.)
import { discOf, pointsOfDisc } from './disc.ts';

/** Metres from the lowest point of the bowl: in two directions across its axis, and along it. */
export interface BowlPoint {
  readonly across: readonly [number, number];
  readonly along: number;
  /** Amplitude of its wave in 1 m, of a bowl that is heard with 1 there on its axis. */
  readonly weight: number;
}

export interface Bowl {
  /** Of the rim, metres. */
  readonly radius: number;
  /** Radius of the sphere that it is a part of, at least that of its rim, metres. */
  readonly focalLength: number;
}

export const pointsOfBowl = (bowl: Bowl, wavenumber: number): number => pointsOfDisc(wavenumber * widthOf(bowl));

export function bowlOf(bowl: Bowl, wavenumber: number): BowlPoint[] {
  const { radius, focalLength } = bowl;
  const points = discOf(wavenumber * widthOf(bowl)).map(({ r, angle, weight }) => {
    const height = Math.sqrt(Math.max(0, focalLength ** 2 - (radius * r) ** 2));
    return {
      across: [radius * r * Math.cos(angle), radius * r * Math.sin(angle)] as const,
      along: focalLength - height,
      // Of the sphere's surface there is more to each part of the disc where it is steep.
      weight: weight / Math.max(height, 1e-6 * focalLength),
    };
  });
  const heard = magnitudeOf(points, wavenumber, ({ across: [x, y], along }) => Math.hypot(x, y, 1 - along));
  return points.map((point) => ({ ...point, weight: point.weight / heard }));
}

/** Amplitude in 1 m times distance, far away at an angle to the axis. */
export function farFieldOf(points: readonly BowlPoint[], wavenumber: number, cosine: number): number {
  const sine = Math.sqrt(1 - cosine * cosine);
  let [re, im] = [0, 0];
  for (const { across, along, weight } of points) {
    const phase = wavenumber * (across[0] * sine + along * cosine);
    re += weight * Math.cos(phase);
    im -= weight * Math.sin(phase);
  }
  return Math.hypot(re, im);
}

function magnitudeOf(points: readonly BowlPoint[], wavenumber: number, pathOf: (point: BowlPoint) => number): number {
  let [re, im] = [0, 0];
  for (const point of points) {
    const path = pathOf(point);
    re += (point.weight / path) * Math.cos(wavenumber * path);
    im += (point.weight / path) * Math.sin(wavenumber * path);
  }
  return Math.hypot(re, im);
}

/** How far apart its points are in phase at most: across and along. */
const widthOf = (bowl: Bowl): number => bowl.radius + depthOf(bowl);

/** Of its rim above its lowest point. */
const depthOf = ({ radius, focalLength }: Bowl): number =>
  focalLength - Math.sqrt(Math.max(0, focalLength ** 2 - radius ** 2));

/** From its lowest point to its rim, whichever way it is turned. */
export const reachOfBowl = (bowl: Bowl): number => Math.hypot(bowl.radius, depthOf(bowl));
