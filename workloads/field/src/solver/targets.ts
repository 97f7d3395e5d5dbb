// What shall be made where, as linear functions of the drive: one row per focus or trap, several per silence.

import { pressureAt } from '../physics/reference.ts';
import { drivenSources, type Emitters, fullDrive } from '../physics/sources.ts';
import { type ComplexMatrix, complexMatrix } from './matrix.ts';

export interface Target {
  readonly name: string;
  /** x, y, z, metres. */
  readonly position: readonly [number, number, number];
  readonly trap: 'Focus' | 'Twin' | 'Vortex' | 'Silence';
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
}

/** Rows of `loud` give each target's focal pressure had its trap no signature; rows of `quiet` shall be zero. */
export interface Goals {
  readonly loud: ComplexMatrix;
  /** Asked amplitude of each loud row, relative or in Pa. */
  readonly wanted: Float64Array;
  /** True when `wanted` is in Pa, because a target asks for a pressure. */
  readonly absolute: boolean;
  readonly quiet: ComplexMatrix;
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

  const alone = aloneSources(emitters);
  const value = new Float64Array(2);
  for (let t = 0; t < count; t++) {
    const source = alone(t);
    if (!source) continue;
    loudTargets.forEach((target, j) => {
      pressureAt(source, ...target.position, value);
      const turn = -signature(target, emitters.elements.positions, t);
      const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
      loud.re[j * count + t] = value[0]! * cos - value[1]! * sin;
      loud.im[j * count + t] = value[0]! * sin + value[1]! * cos;
    });
    quietPoints.forEach((point, j) => {
      pressureAt(source, ...point, value);
      quiet.re[j * count + t] = value[0]!;
      quiet.im[j * count + t] = value[1]!;
    });
  }
  return { loud, wanted, absolute: given.length > 0, quiet };
}

/** Phase that the element adds to a focus to make the trap, radians. */
export function signature({ trap, position, axis, charge }: Target, positions: Float64Array, element: number): number {
  const dx = positions[3 * element]! - position[0];
  const dy = positions[3 * element + 1]! - position[1];
  switch (trap) {
    case 'Twin':
      return positions[3 * element + axis]! - position[axis]! < 0 ? Math.PI : 0;
    case 'Vortex':
      return charge * Math.atan2(dy, dx);
    default:
      return 0;
  }
}

/** Sources of one element with its images; undefined when it is dead. */
function aloneSources(emitters: Emitters): (element: number) => ReturnType<typeof drivenSources> | undefined {
  const all = drivenSources(emitters, fullDrive(emitters.elements.count));
  const { response, elements } = emitters;
  const heard: number[] = [];
  for (let t = 0; t < elements.count; t++) if ((response?.amplitudes[t] ?? 1) > 0) heard.push(t);
  const places = new Map(heard.map((t, n) => [t, n]));
  const images = heard.length === 0 ? 0 : all.count / heard.length;
  return (element) => {
    const place = places.get(element);
    if (place === undefined) return undefined;
    const picked = Array.from({ length: images }, (_, m) => m * heard.length + place);
    const pick = (values: Float64Array): Float64Array => Float64Array.from(picked, (s) => values[s]!);
    const pick3 = (values: Float64Array): Float64Array =>
      Float64Array.from([0, 1, 2].flatMap((axis) => picked.map((s) => values[axis * all.count + s]!)));
    return {
      ...all,
      count: images,
      positions: pick3(all.positions),
      normals: pick3(all.normals),
      amplitudes: pick(all.amplitudes),
      phases: pick(all.phases),
    };
  };
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
