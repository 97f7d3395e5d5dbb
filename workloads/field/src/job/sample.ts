// What the field will be, before it is computed: pressures at the targets, and the largest ones found on a coarse sample
// and climbed from there.

import { FieldError } from '../errors.ts';
import { FieldKernel, ReferenceKernel, type RowKernel } from '../kernel/kernel.ts';
import { checkedKernel } from '../kernel/selfcheck.ts';
import { derivativeCounts, derivativesAt, stiffnessOf } from '../physics/derivatives.ts';
import { gorkov } from '../physics/particle.ts';
import { pressureAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import type { Target } from '../solver/targets.ts';
import { pointsOf, type Volume } from '../volume/layout.ts';
import type { Maxima } from './safety.ts';
import type { Scene } from './scene.ts';
import type { Turns } from './turns.ts';

type Point = [number, number, number];
type Box = { low: Point; high: Point };

/** Most points of the coarse sample; the step grows in volumes of more wavelengths. */
const mostSamples = 60_000;
/** Waves that the samples of a reference come to, which sums some ten million a second, and points however many sources. */
const mostReferenceWaves = 1e9;
const fewestSamples = 1000;

/** Pressure of each target: at the point of a focus or silence, the largest within 3/4 of a wavelength of a trap. Pa. */
export function* targetPressures(problem: Scene, sources: Sources): Turns<number[]> {
  const pressures: number[] = [];
  for (const { trap, position } of problem.targets) {
    yield;
    if (trap === 'Focus' || trap === 'Silence') {
      pressures.push(magnitude(sources, position));
      continue;
    }
    const reach = 0.75 * problem.wavelength;
    const box = boxAround(position, reach);
    const within = (point: Point): boolean => distance(point, position) <= reach;
    pressures.push(yield* largest(problem, sources, box, problem.wavelength / 12, within));
  }
  return pressures;
}

/** Smallest stiffness along an axis of each trap at its place, N/m; undefined for other targets. */
export function targetStiffness(
  { targets, particle, medium, frequency }: Scene,
  sources: Sources,
): (number | undefined)[] {
  const weights = gorkov(particle, medium, frequency);
  const values = new Float64Array(2 * derivativeCounts[3]);
  return targets.map(({ trap, position }) => {
    if (trap !== 'Twin' && trap !== 'Vortex' && trap !== 'Stiffness') return undefined;
    derivativesAt(sources, 3, ...position, values);
    const here = { re: (m: number) => values[2 * m]!, im: (m: number) => values[2 * m + 1]! };
    return Math.min(...[0, 1, 2].map((axis) => stiffnessOf(here, weights, axis)));
  });
}

/** How thoroughly is looked. */
export interface Effort {
  /** Points of each coarse sample, at most. */
  readonly samples: number;
  /** Largest of them that are climbed from, beside places that are known to be loud. */
  readonly climbers: number;
  /** Kernels to use again, by box. */
  readonly kernels?: Map<number, RowKernel>;
}

const thorough: Effort = { samples: mostSamples, climbers: 12 };

/** Largest pressure anywhere in the volume, and in each zone whether or not it lies in the volume. */
export function* sampleMaxima(
  problem: Scene & { readonly volume: Volume },
  sources: Sources,
  effort: Effort = thorough,
): Turns<Maxima> {
  const { volume, wavelength, safety } = problem;
  const low = [2, 1, 0].map((axis) => volume.first[axis]!) as Point;
  const high = low.map((from, axis) => from + (volume.shape[2 - axis]! - 1) * volume.spacing) as Point;
  const step = Math.max(wavelength / 4, pointsOf(volume) < mostSamples ? volume.spacing : 0);
  const inside = problem.targets
    .flatMap(({ position }) => peaksNear(position, wavelength))
    .filter((point) => point.every((value, axis) => value >= low[axis]! && value <= high[axis]!));
  const anywhere = yield* largest(problem, sources, { low, high }, step, () => true, inside, effort, 0);
  const zones: Record<string, number> = {};
  for (const [i, { name, center, radius }] of safety.zones.entries()) {
    const within = (point: Point): boolean => distance(point, center) <= radius;
    const box = boxAround(center, radius);
    const middle = [[...center] as Point];
    zones[name] = yield* largest(problem, sources, box, wavelength / 4, within, middle, effort, i + 1);
  }
  return { anywhere, zones };
}

function* largest(
  problem: Scene,
  sources: Sources,
  { low, high }: Box,
  wanted: number,
  within: (point: Point) => boolean,
  also: readonly Point[] = [],
  effort: Effort = thorough,
  place = 0,
): Turns<number> {
  const edges = low.map((from, axis) => high[axis]! - from);
  const cells = edges.reduce((product, edge) => product * (edge / wanted + 1), 1);
  const kernel = kernelAt(problem, sources, { low, high }, effort.kernels, place);
  const affordable = kernel instanceof ReferenceKernel ? mostReferenceWaves / sources.count : Infinity;
  const samples = Math.min(effort.samples, Math.max(fewestSamples, affordable));
  const step = wanted * Math.max(1, (cells / samples) ** (1 / 3));
  const axes = low.map((from, axis) => {
    const n = Math.max(1, Math.ceil(edges[axis]! / step) + 1);
    return Float64Array.from({ length: n }, (_, i) =>
      n === 1 ? from + edges[axis]! / 2 : from + (edges[axis]! * i) / (n - 1),
    );
  });
  kernel.setRow(axes[0]!);
  const found = also.map((point) => ({ point, value: magnitude(sources, point) })).sort((a, b) => b.value - a.value);
  const kept = effort.climbers + also.length;
  for (const z of axes[2]!) {
    for (const y of axes[1]!) {
      yield;
      const { re, im } = kernel.pressure(y, z);
      for (let i = 0; i < re.length; i++) {
        const point: Point = [axes[0]![i]!, y, z];
        if (!within(point)) continue;
        insert(found, { point, value: Math.hypot(re[i]!, im[i]!) }, kept);
      }
    }
  }
  const inside = (point: Point): boolean =>
    within(point) && point.every((value, axis) => value >= low[axis]! - 1e-12 && value <= high[axis]! + 1e-12);
  let most = 0;
  for (const start of found) most = Math.max(most, yield* climb(sources, start, problem.wavelength / 8, inside));
  return most;
}

/** Keeps the largest few, at most `most`, in falling order. */
function insert(found: { point: Point; value: number }[], one: { point: Point; value: number }, most: number): void {
  const last = found.at(-1);
  if (found.length >= most && last && one.value <= last.value) return;
  let at = found.length;
  while (at > 0 && found[at - 1]!.value < one.value) at--;
  found.splice(at, 0, one);
  if (found.length > most) found.pop();
}

/** Compass search: a step along an axis where it helps, half the step where none does. */
function* climb(
  sources: Sources,
  start: { point: Point; value: number },
  firstStep: number,
  inside: (point: Point) => boolean,
): Turns<number> {
  let { point, value } = start;
  for (let step = firstStep; step > firstStep / 64; ) {
    yield;
    let better: Point | undefined;
    for (let axis = 0; axis < 3; axis++) {
      for (const sign of [-1, 1]) {
        const next = point.map((v, i) => (i === axis ? v + sign * step : v)) as Point;
        if (!inside(next)) continue;
        const reached = magnitude(sources, next);
        if (reached > value) {
          value = reached;
          better = next;
        }
      }
    }
    if (better) point = better;
    else step /= 2;
  }
  return value;
}

function kernelAt(
  problem: Scene,
  sources: Sources,
  box: Box,
  known: Map<number, RowKernel> | undefined,
  place: number,
): RowKernel {
  const before = known?.get(place);
  // Another frame may have silenced other elements, as many as this one.
  if (before instanceof FieldKernel && before.isAt(sources.positions)) {
    before.redrive(sources);
    return before;
  }
  const kernel = newKernel(problem, sources, box);
  known?.set(place, kernel);
  return kernel;
}

function newKernel(problem: Scene, sources: Sources, { low, high }: Box): RowKernel {
  if (problem.backend === 'Reference') return new ReferenceKernel(sources);
  const center = low.map((from, axis) => (from + high[axis]!) / 2) as Point;
  try {
    return checkedKernel(sources, center, distance(low, high) / 2);
  } catch (error) {
    if (error instanceof FieldError && error.reason === 'KernelRefused') return new ReferenceKernel(sources);
    throw error;
  }
}

/** Around a trap the crests lie about a third of a wavelength off. */
function peaksNear([x, y, z]: Target['position'], wavelength: number): Point[] {
  const d = wavelength / 3;
  return [
    [x, y, z],
    [x - d, y, z],
    [x + d, y, z],
    [x, y - d, z],
    [x, y + d, z],
    [x, y, z - d / 2],
    [x, y, z + d / 2],
  ];
}

function boxAround(center: readonly number[], radius: number): Box {
  return { low: center.map((v) => v - radius) as Point, high: center.map((v) => v + radius) as Point };
}

const value = new Float64Array(2);
function magnitude(sources: Sources, [x, y, z]: readonly [number, number, number]): number {
  pressureAt(sources, x, y, z, value);
  return Math.hypot(value[0]!, value[1]!);
}

function distance(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(...a.map((v, axis) => v - b[axis]!));
}
