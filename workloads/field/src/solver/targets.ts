// What shall be made where, as linear functions of the drive: one row per focus or trap, several per silence.

import { derivativeCounts, derivativesAt } from '../physics/derivatives.ts';
import type { Gorkov } from '../physics/particle.ts';
import { wavesAt } from '../physics/reference.ts';
import { drivenSources, type Emitters, fullDrive, type Sources } from '../physics/sources.ts';
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

/**
 * A trap is the focus of an array whose elements carry a signature: half of them turned by pi for a twin trap, turned by
 * the azimuth for a vortex. (Marzo et al., "Holographic acoustic elements for manipulation of levitated objects",
 * Nature Communications 6 (2015) 8661.) The row of a trap holds the focus with the signature taken out, so that driving
 * the row at full amplitude makes the trap.
 */
export function goalsOf(emitters: Emitters, targets: readonly Target[]): Goals {
  const { count } = emitters.elements;
  const loudTargets = targets.filter(({ trap }) => trap !== 'Silence');
  const quietPoints = targets.filter(({ trap }) => trap === 'Silence').flatMap(sphere);
  const loud = complexMatrix(loudTargets.length, count);
  const quiet = complexMatrix(quietPoints.length, count);
  const given = loudTargets.flatMap(({ weight, pressure }) => (pressure === undefined ? [] : [pressure / weight]));
  const unit = given.length === 0 ? 1 : given.reduce((sum, each) => sum + each, 0) / given.length;
  const wanted = Float64Array.from(loudTargets, ({ weight, pressure }) => pressure ?? weight * unit);

  const all = drivenSources(emitters, fullDrive(count));
  const heard = heardElements(emitters);
  const waves = new Float64Array(2 * all.count);
  /** One row: the wave of each element with its images at a point, turned by `turn`. */
  const fill = (
    { re, im }: ComplexMatrix,
    row: number,
    point: Target['position'],
    turn: (t: number) => number,
  ): void => {
    wavesAt(all, ...point, waves);
    for (let s = 0; s < all.count; s++) {
      const t = heard[s % heard.length]!;
      const angle = turn(t);
      const [cos, sin] = angle === 0 ? [1, 0] : [Math.cos(angle), Math.sin(angle)];
      re[row * count + t]! += waves[2 * s]! * cos - waves[2 * s + 1]! * sin;
      im[row * count + t]! += waves[2 * s]! * sin + waves[2 * s + 1]! * cos;
    }
  };
  loudTargets.forEach((target, j) => {
    fill(loud, j, target.position, (t) => -signature(target, emitters.elements.positions, t));
  });
  quietPoints.forEach((point, j) => fill(quiet, j, point, () => 0));
  return {
    loud,
    wanted,
    absolute: given.length > 0,
    quiet,
    held: loudTargets.map((target) => (target.trap === 'Stiffness' ? holdOf(target, all, heard, count) : undefined)),
  };
}

/** All derivatives of the pressure at the target, as rows over the drive. */
function holdOf({ position, weight, gorkov }: Target, all: Sources, heard: readonly number[], count: number): Hold {
  if (!gorkov) throw new RangeError('a target of stiffness without its particle');
  const derivatives = complexMatrix(derivativeCounts[3], count);
  const values = new Float64Array(2 * derivativeCounts[3]);
  for (let s = 0; s < all.count; s++) {
    const t = heard[s % heard.length]!;
    derivativesAt(oneOf(all, s), 3, ...position, values);
    for (let m = 0; m < derivatives.rows; m++) {
      derivatives.re[m * count + t]! += values[2 * m]!;
      derivatives.im[m * count + t]! += values[2 * m + 1]!;
    }
  }
  return { derivatives, gorkov, weight };
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

/** Elements that sound, in the order of each image's sources. */
function heardElements({ response, elements }: Emitters): number[] {
  return Array.from({ length: elements.count }, (_, t) => t).filter((t) => (response?.amplitudes[t] ?? 1) > 0);
}

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
