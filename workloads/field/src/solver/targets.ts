// What shall be made where, as linear functions of the drive: one row per focus or trap, several per silence.

import { derivativeCounts, derivativesAt } from '../physics/derivatives.ts';
import type { Gorkov } from '../physics/particle.ts';
import { wavesAt } from '../physics/reference.ts';
import { drivenSources, type Emitters, fullDrive, pointsOfElement, type Sources } from '../physics/sources.ts';
import { type ComplexMatrix, complexMatrix } from './matrix.ts';

export interface Target {
  readonly name: string;
  /** x, y, z, metres. */
  readonly position: readonly [number, number, number];
  readonly trap: 'Focus' | 'Twin' | 'Vortex' | 'Silence' | 'Stiffness';
  /** Share of the pressure against other targets. */
  readonly weight: number;
  /** Pa, when a certain pressure is asked for. */
  readonly pressure?: number;
  /** Twin: 0, 1, 2 for the axis on which its lobes lie. */
  readonly axis: number;
  /** Vortex: topological charge. */
  readonly charge: number;
  /** Silence: radius of the quiet sphere, metres. */
  readonly radius: number;
  /** Stiffness: what the particle feels. */
  readonly gorkov?: Gorkov;
}

/** Rows of `loud` give each target's focal pressure had its trap no signature; rows of `quiet` shall be zero. */
export interface Goals {
  readonly loud: ComplexMatrix;
  /** Asked amplitude of each loud row, relative or in Pa. */
  readonly wanted: Float64Array;
  /** True when `wanted` is in Pa, because a target asks for a pressure. */
  readonly absolute: boolean;
  readonly quiet: ComplexMatrix;
  /** Of each loud row whose stiffness is to be made large: its amplitude is then only where to start from. */
  readonly held: readonly (Hold | undefined)[];
}

export interface Hold {
  /** A row for the pressure and each of its derivatives up to the third order. */
  readonly derivatives: ComplexMatrix;
  readonly gorkov: Gorkov;
  readonly weight: number;
}

/** What each element gives where a target is, of a drive of one: rows of real, then of imaginary parts over the elements. */
export type Propagator = Float64Array;

/** @param known Propagators that are at hand; others are computed, and handed to `onMade`. */
export function goalsOf(
  emitters: Emitters,
  targets: readonly Target[],
  known: readonly (Propagator | undefined)[] = [],
  onMade?: (target: number, propagator: Propagator) => void,
): Goals {
  const { count } = emitters.elements;
  const propagatorOf = propagatorsOf(emitters);
  const loudTargets = targets.filter(({ trap }) => trap !== 'Silence');
  const loud = complexMatrix(loudTargets.length, count);
  const quiet = complexMatrix((targets.length - loudTargets.length) * pointsOfSphere, count);
  const held: (Hold | undefined)[] = [];
  let quietRows = 0;
  targets.forEach((target, i) => {
    const propagator = known[i] ?? propagatorOf(target);
    if (!known[i]) onMade?.(i, propagator);
    const rows = matrixOf(propagator, count);
    if (target.trap === 'Silence') {
      put(rows, quiet, quietRows);
      quietRows += rows.rows;
    } else {
      put(rowsFrom(rows, 0, 1), loud, held.length);
      held.push(target.trap === 'Stiffness' ? holdOf(target, rows) : undefined);
    }
  });
  const given = loudTargets.flatMap(({ weight, pressure }) => (pressure === undefined ? [] : [pressure / weight]));
  const unit = given.length === 0 ? 1 : given.reduce((sum, each) => sum + each, 0) / given.length;
  const wanted = Float64Array.from(loudTargets, ({ weight, pressure }) => pressure ?? weight * unit);
  return { loud, wanted, absolute: given.length > 0, quiet, held };
}

/** Of a target's propagator. */
export function rowsOf({ trap }: Pick<Target, 'trap'>): number {
  if (trap === 'Silence') return pointsOfSphere;
  return trap === 'Stiffness' ? 1 + derivativeCounts[3] : 1;
}

/** Values of a target that its propagator follows from; weight, pressure and particle are not among them. */
export const propagatorKey = ({ position, trap, axis, charge, radius }: Target): unknown => [
  trap,
  position,
  trap === 'Twin' || trap === 'Stiffness' ? axis : 0,
  trap === 'Vortex' ? charge : 0,
  trap === 'Silence' ? radius : 0,
];

/**
 * A trap is the focus of an array whose elements carry a signature: half of them turned by pi for a twin trap, turned by
 * the azimuth for a vortex. (Marzo et al., "Holographic acoustic elements for manipulation of levitated objects",
 * Nature Communications 6 (2015) 8661.) The row of a trap holds the focus with the signature taken out, so that driving
 * the row at full amplitude makes the trap.
 */
function propagatorsOf(emitters: Emitters): (target: Target) => Propagator {
  const { count } = emitters.elements;
  let opened: { readonly all: Sources; readonly waves: Float64Array } | undefined;
  const open = (): NonNullable<typeof opened> => {
    const all = drivenSources(emitters, fullDrive(count));
    return (opened ??= { all, waves: new Float64Array(2 * all.count) });
  };
  const elementOf = elementsHeard(emitters);
  /** One row: the wave of each element with its images at a point, turned by `turn`. */
  const fill = (
    { re, im }: ComplexMatrix,
    row: number,
    point: Target['position'],
    turn: (t: number) => number,
  ): void => {
    const { all, waves } = opened ?? open();
    wavesAt(all, ...point, waves);
    for (let s = 0; s < all.count; s++) {
      const t = elementOf(s);
      const angle = turn(t);
      const [cos, sin] = angle === 0 ? [1, 0] : [Math.cos(angle), Math.sin(angle)];
      re[row * count + t]! += waves[2 * s]! * cos - waves[2 * s + 1]! * sin;
      im[row * count + t]! += waves[2 * s]! * sin + waves[2 * s + 1]! * cos;
    }
  };
  return (target) => {
    const points = target.trap === 'Silence' ? sphere(target) : [];
    const propagator = new Float64Array(2 * rowsOf(target) * count);
    const matrix = matrixOf(propagator, count);
    points.forEach((point, row) => fill(matrix, row, point, () => 0));
    if (points.length === 0)
      fill(matrix, 0, target.position, (t) => -signature(target, emitters.elements.positions, t));
    if (target.trap === 'Stiffness') derive(matrix, (opened ?? open()).all, elementOf, target.position);
    return propagator;
  };
}

/** From the second row on: all derivatives of the pressure at a point. */
function derive(
  { re, im, columns }: ComplexMatrix,
  all: Sources,
  elementOf: (source: number) => number,
  position: Target['position'],
): void {
  const values = new Float64Array(2 * derivativeCounts[3]);
  for (let s = 0; s < all.count; s++) {
    derivativesAt(oneOf(all, s), 3, ...position, values);
    for (let m = 0; m < derivativeCounts[3]; m++) {
      const at = (1 + m) * columns + elementOf(s);
      re[at]! += values[2 * m]!;
      im[at]! += values[2 * m + 1]!;
    }
  }
}

function holdOf({ weight, gorkov }: Target, matrix: ComplexMatrix): Hold {
  if (!gorkov) throw new RangeError('a target of stiffness without its particle');
  return { derivatives: rowsFrom(matrix, 1, derivativeCounts[3]), gorkov, weight };
}

function matrixOf(propagator: Propagator, columns: number): ComplexMatrix {
  const half = propagator.length / 2;
  return { rows: half / columns, columns, re: propagator.subarray(0, half), im: propagator.subarray(half) };
}

function rowsFrom({ columns, re, im }: ComplexMatrix, from: number, rows: number): ComplexMatrix {
  const part = (values: Float64Array): Float64Array => values.subarray(from * columns, (from + rows) * columns);
  return { rows, columns, re: part(re), im: part(im) };
}

function put({ columns, re, im }: ComplexMatrix, to: ComplexMatrix, row: number): void {
  to.re.set(re, row * columns);
  to.im.set(im, row * columns);
}

function oneOf(all: Sources, s: number): Sources {
  const three = (values: Float64Array): Float64Array =>
    Float64Array.of(values[s]!, values[all.count + s]!, values[2 * all.count + s]!);
  return {
    ...all,
    count: 1,
    positions: three(all.positions),
    normals: three(all.normals),
    amplitudes: all.amplitudes.subarray(s, s + 1),
    phases: all.phases.subarray(s, s + 1),
  };
}

/** Phase that the element adds to a focus to make the trap, radians. */
export function signature({ trap, position, axis, charge }: Target, positions: Float64Array, element: number): number {
  const dx = positions[3 * element]! - position[0];
  const dy = positions[3 * element + 1]! - position[1];
  switch (trap) {
    // The stiffest traps are found from twin traps.
    case 'Stiffness':
    case 'Twin':
      return positions[3 * element + axis]! - position[axis]! < 0 ? Math.PI : 0;
    case 'Vortex':
      return charge * Math.atan2(dy, dx);
    default:
      return 0;
  }
}

/** Which element a source is of: those that sound follow one another in each image, and each with all of its points. */
function elementsHeard(emitters: Emitters): (source: number) => number {
  const { response, elements } = emitters;
  const heard = Array.from({ length: elements.count }, (_, t) => t).filter((t) => (response?.amplitudes[t] ?? 1) > 0);
  const points = pointsOfElement(emitters);
  return (source) => heard[Math.floor(source / points) % heard.length]!;
}

const pointsOfSphere = 15;

/** The centre of a silence and fourteen points on half its radius. */
function sphere({ position: [x, y, z], radius }: Target): [number, number, number][] {
  const r = radius / 2;
  const points: [number, number, number][] = [[x, y, z]];
  for (const sign of [-1, 1]) {
    points.push([x + sign * r, y, z], [x, y + sign * r, z], [x, y, z + sign * r]);
  }
  const c = r / Math.sqrt(3);
  for (const a of [-c, c]) for (const b of [-c, c]) for (const d of [-c, c]) points.push([x + a, y + b, z + d]);
  return points;
}
