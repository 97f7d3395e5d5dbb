// Elements driven with amplitudes and phases, and their mirror images: what every way of computing the field sums over.
import { FieldError } from '../errors.ts';
import { type BowlPoint, bowlOf, pointsOfBowl, reachOfBowl } from './bowl.ts';
import { type Directivity, directivityOf, type Pattern } from './directivity.ts';
import { across } from './disc.ts';
import type { Elements } from './elements.ts';

/** What all elements of an array have in common, and where they are. */
export interface Emitters {
  readonly elements: Elements;
  /** Peak pressure on the axis in 1 m at full amplitude, Pa. */
  readonly pressureAt1m: number;
  readonly radius: number;
  readonly pattern: Pattern;
  /** rad/m */
  readonly wavenumber: number;
  /** nepers per metre */
  readonly attenuation: number;
  readonly reflectors: readonly Reflector[];
  /** What each element makes of its drive, as measured: 0 where it is dead. All 1 and 0 rad when left out. */
  readonly response?: Drive;
}

/** Every element at full amplitude and phase zero. */
export function fullDrive(count: number): Drive {
  return { amplitudes: new Float64Array(count).fill(1), phases: new Float64Array(count) };
}

/** An infinite plane normal to an axis (0, 1, 2 for x, y, z). */
export interface Reflector {
  readonly name: string;
  readonly axis: number;
  readonly at: number;
  /** Reflected over arriving pressure. */
  readonly coefficient: number;
}

/** How the elements are driven: amplitude 0 to 1 and phase in radians of each. */
export interface Drive {
  readonly amplitudes: Float64Array;
  readonly phases: Float64Array;
}

/**
 * Point sources with a direction. The pressure at distance d, its angle θ off the normal, is
 * `amplitude / max(d, nearest) · directivity(θ) · exp(-attenuation·d) · exp(i·(wavenumber·d + phase))`:
 * closer than the radius of a piston its far field does not hold, so the amplitude stays.
 */
export interface Sources {
  readonly count: number;
  /** x of all, y of all, z of all. */
  readonly positions: Float64Array;
  readonly normals: Float64Array;
  /** Pa·m */
  readonly amplitudes: Float64Array;
  readonly phases: Float64Array;
  readonly directivity: Directivity;
  readonly wavenumber: number;
  readonly attenuation: number;
  readonly nearest: number;
}

/** Point sources that stand for one element. */
export function pointsOfElement({ pattern, radius, wavenumber }: Emitters): number {
  return pattern.type === 'Focused' ? pointsOfBowl({ radius, focalLength: pattern.focalLength }, wavenumber) : 1;
}

/** From an element's place to its furthest point, metres. */
export function reachOfElement({ pattern, radius }: Emitters): number {
  return pattern.type === 'Focused' ? reachOfBowl({ radius, focalLength: pattern.focalLength }) : radius;
}

/** Reflections in a row that are followed between two parallel planes. */
const deepestReflection = 6;

/** Sources of all elements that sound, images included; the points of an element after one another. */
export function drivenSources(emitters: Emitters, drive: Drive): Sources {
  const images = imagesOf(emitters.reflectors);
  const { response } = emitters;
  const loudness = (i: number): number => drive.amplitudes[i]! * (response?.amplitudes[i] ?? 1);
  const heard = Array.from({ length: emitters.elements.count }, (_, i) => i).filter((i) => loudness(i) > 0);
  const surface = surfaceOf(emitters);
  const count = heard.length * images.length * surface.length;
  const positions = new Float64Array(3 * count);
  const normals = new Float64Array(3 * count);
  const amplitudes = new Float64Array(count);
  const phases = new Float64Array(count);
  let s = 0;
  for (const image of images) {
    for (const element of heard) {
      const of = (values: Float64Array): Float64Array => values.subarray(3 * element, 3 * element + 3);
      const [center, normal] = [of(emitters.elements.positions), of(emitters.elements.normals)];
      const [u, v] = (surface === onePoint ? nowhere : across(Array.from(normal))) as [number[], number[]];
      const phase = drive.phases[element]! + (response?.phases[element] ?? 0) + (image.coefficient < 0 ? Math.PI : 0);
      const amplitude = emitters.pressureAt1m * loudness(element) * Math.abs(image.coefficient);
      for (const point of surface) {
        const [a, b] = point.across;
        for (let axis = 0; axis < 3; axis++) {
          const { sign, shift } = image.axes[axis]!;
          const place = center[axis]! + a * u[axis]! + b * v[axis]! + point.along * normal[axis]!;
          positions[axis * count + s] = sign * place + shift;
          normals[axis * count + s] = sign * normal[axis]!;
        }
        amplitudes[s] = amplitude * point.weight;
        phases[s] = phase;
        s++;
      }
    }
  }
  const { wavenumber, attenuation, radius } = emitters;
  const directivity = directivityOf(emitters.pattern);
  const nearest = radius / Math.sqrt(surface.length);
  return { count, positions, normals, amplitudes, phases, directivity, wavenumber, attenuation, nearest };
}

const nowhere: readonly number[][] = [
  [0, 0, 0],
  [0, 0, 0],
];
const onePoint: readonly BowlPoint[] = [{ across: [0, 0], along: 0, weight: 1 }];

const surfaceOf = ({ pattern, radius, wavenumber }: Emitters): readonly BowlPoint[] =>
  pattern.type === 'Focused' ? bowlOf({ radius, focalLength: pattern.focalLength }, wavenumber) : onePoint;

interface Image {
  axes: { sign: number; shift: number }[];
  coefficient: number;
}

/** The identity first, then the mirror images that still count. Images on different axes combine freely. */
function imagesOf(reflectors: readonly Reflector[]): Image[] {
  let images: Image[] = [{ axes: [0, 1, 2].map(() => ({ sign: 1, shift: 0 })), coefficient: 1 }];
  for (let axis = 0; axis < 3; axis++) {
    const planes = reflectors.filter((each) => each.axis === axis && each.coefficient !== 0);
    if (planes.length === 0) continue;
    const along = alongAxis(planes);
    images = images.flatMap((image) =>
      along.map(({ sign, shift, coefficient }) => ({
        axes: image.axes.map((each, i) => (i === axis ? { sign, shift } : each)),
        coefficient: image.coefficient * coefficient,
      })),
    );
  }
  return images;
}

/** Reflections in one plane, or back and forth between two. */
function alongAxis(planes: readonly Reflector[]): { sign: number; shift: number; coefficient: number }[] {
  if (planes.length > 2) {
    throw new FieldError(
      'InvalidMedium',
      'at most two reflectors may be normal to the same axis',
      'spec.medium.reflectors',
    );
  }
  const found = [{ sign: 1, shift: 0, coefficient: 1 }];
  for (let first = 0; first < planes.length; first++) {
    let image = { sign: 1, shift: 0, coefficient: 1 };
    const depth = planes.length === 1 ? 1 : deepestReflection;
    for (let n = 0; n < depth; n++) {
      const plane = planes[(first + n) % planes.length]!;
      image = {
        sign: -image.sign,
        shift: 2 * plane.at - image.shift,
        coefficient: image.coefficient * plane.coefficient,
      };
      if (Math.abs(image.coefficient) < 1e-3) break;
      found.push(image);
    }
  }
  return found;
}
