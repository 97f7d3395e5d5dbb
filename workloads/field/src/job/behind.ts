// What lies where elements do not face: their pattern gives as much sound there as in front, a real one far less.
import type { Problem } from './problem.ts';

type Placed = Pick<Problem, 'emitters' | 'targets' | 'volume'>;

/** Metres in front of an element's plane from which on a point is. */
const least = 1e-9;

/** The volume and the targets that lie at or behind the planes of elements, in words each. */
export function behindElements({ emitters, targets, volume }: Placed): string[] {
  const ends = ([2, 1, 0] as const).map((axis) => {
    const from = volume.first[axis];
    return [from, from + (volume.shape[axis] - 1) * volume.spacing] as const;
  });
  const found = [lying('the volume', depths(emitters, ends), emitters.elements.count)];
  for (const { name, position } of targets) {
    const point = position.map((value) => [value, value] as const);
    found.push(lying(`target ${name}`, depths(emitters, point), emitters.elements.count));
  }
  return found.filter((each) => each !== undefined);
}

interface Depths {
  /** Elements whose plane all of a box is at or behind, and those whose plane it reaches. */
  readonly whole: number;
  readonly reached: number;
}

function lying(what: string, { whole, reached }: Depths, count: number): string | undefined {
  if (reached === 0) return undefined;
  if (whole === count) return `${what} lies behind the array or in its plane`;
  return `${what} reaches the plane of ${reached === count ? 'the array' : `${reached} of ${count} elements`} or behind it`;
}

/** @param box x, y, z from and to. */
function depths({ elements: { count, positions, normals } }: Placed['emitters'], box: readonly Pair[]): Depths {
  let whole = 0;
  let reached = 0;
  for (let t = 0; t < count; t++) {
    let nearest = 0;
    let farthest = 0;
    for (let axis = 0; axis < 3; axis++) {
      const normal = normals[3 * t + axis]!;
      const [from, to] = box[axis]!.map((end) => normal * (end - positions[3 * t + axis]!)) as [number, number];
      nearest += Math.min(from, to);
      farthest += Math.max(from, to);
    }
    if (nearest <= least) reached++;
    if (farthest <= least) whole++;
  }
  return { whole, reached };
}

type Pair = readonly [number, number];
