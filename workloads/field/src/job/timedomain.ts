// `spec.timeDomain` in SI units, and what it comes to.
import { type FieldJobSpec, parseDecimal, parseDensity, parseLength, parseSpeed, referenceAt } from '@quintet/crds';
import { fieldsOf } from '../compute/chunk.ts';
import { FieldError } from '../errors.ts';
import { reachOfElement } from '../physics/sources.ts';
import { type Domain, domainOf, sizeOf } from '../timedomain/domain.ts';
import { readMapArray } from '../timedomain/map.ts';
import type { MediumMap, Region } from '../timedomain/medium.ts';
import { pointsOf, type Volume } from '../volume/layout.ts';
import type { Problem } from './problem.ts';
import { quantity, vector } from './scene.ts';
import type { Tables } from './tables.ts';

export interface Sensor {
  readonly name: string;
  /** x, y, z */
  readonly position: readonly [number, number, number];
}

export interface TimeDomain {
  /** Periods. */
  readonly cycles: number;
  readonly burst?: number;
  readonly cfl: number;
  readonly pointsPerWavelength: number;
  readonly absorbingLayer: number;
  readonly sensors: readonly Sensor[];
  readonly regions: readonly Region[];
  readonly map?: MediumMap;
}

type Settings = NonNullable<FieldJobSpec['timeDomain']>;
export type Timed = Problem & { readonly timeDomain: TimeDomain };

/** What the schema says where the block is left out. */
const defaults: Settings = { cycles: 40, cfl: '0.3', pointsPerWavelength: 5, absorbingLayer: 20 };

export const leastCfl = 0.01;

export const isTimed = (problem: Problem): problem is Timed => problem.timeDomain !== undefined;

export function recordedQuantities({ timeDomain }: FieldJobSpec): ('PressureMaximum' | 'PressureRMS')[] {
  return (timeDomain?.record ?? []).map((each) => (each === 'RMS' ? 'PressureRMS' : 'PressureMaximum'));
}

/** @throws FieldError naming the field that cannot be used. */
export function resolveTimeDomain(volume: Volume, tables: Tables & { readonly spec: FieldJobSpec }): TimeDomain {
  const { spec } = tables;
  const settings = spec.timeDomain ?? defaults;
  const { directivity } = spec.array.transducer;
  const unsupported: [boolean, string, string][] = [
    [(spec.medium.reflectors ?? []).length > 0, 'spec.medium.reflectors', 'reflectors by image sources: say a region'],
    [directivity === 'Custom', 'spec.array.transducer.directivity', `the directivity ${directivity}`],
    [spec.backend === 'Reference', 'spec.backend', 'a scalar reference: its own is checked against analytic waves'],
  ];
  for (const [applies, field, what] of unsupported) {
    if (applies) throw new FieldError('Unsupported', `method TimeDomain has not ${what}`, field);
  }
  const cfl = parseDecimal(settings.cfl);
  if (cfl > 1) {
    throw new FieldError(
      'InvalidResource',
      `${settings.cfl}: at 1 sound passes a point in a time step, and beyond it runs ahead`,
      'spec.timeDomain.cfl',
    );
  }
  if (cfl < leastCfl) {
    throw new FieldError(
      'InvalidResource',
      `${settings.cfl}: below ${leastCfl} more steps tell nothing more`,
      'spec.timeDomain.cfl',
    );
  }
  const { cycles, burst, pointsPerWavelength, absorbingLayer, mediumMap } = settings;
  return {
    cycles,
    ...(burst !== undefined && { burst }),
    cfl,
    pointsPerWavelength,
    absorbingLayer,
    sensors: (settings.sensors ?? []).map(({ name, position }, i) => ({
      name,
      position: vector(position, `spec.timeDomain.sensors[${i}].position`) as [number, number, number],
    })),
    regions: (settings.regions ?? []).map((region, i) => resolveRegion(region, `spec.timeDomain.regions[${i}]`)),
    ...(mediumMap && { map: readMap(volume, tables) }),
  };
}

function resolveRegion(region: NonNullable<Settings['regions']>[number], field: string): Region {
  const { name, center, radius, size } = region;
  return {
    name,
    center: vector(center, `${field}.center`) as [number, number, number],
    reach:
      radius === undefined
        ? (vector(size!, `${field}.size`).map((length) => length / 2) as [number, number, number])
        : quantity(parseLength, radius, `${field}.radius`),
    soundSpeed: quantity(parseSpeed, region.soundSpeed, `${field}.soundSpeed`),
    density: quantity(parseDensity, region.density, `${field}.density`),
  };
}

function readMap(volume: Volume, { spec, read }: Tables): MediumMap {
  const field = 'spec.timeDomain.mediumMap';
  const reference = referenceAt(spec, 'timeDomain.mediumMap.persistentVolumeClaim')!;
  const whole = (name: string): Float32Array => {
    try {
      const file = (path: string): Uint8Array => Buffer.from(read({ ...reference, file: `${reference.file}/${path}` }));
      const values = readMapArray(file, name, volume.shape);
      const wrong = values.findIndex((value) => !(value > 0 && value < Infinity));
      if (wrong === -1) return values;
      throw new Error(`${name} is ${values[wrong]} at its point ${wrong}: it must be positive`);
    } catch (error) {
      throw new FieldError(
        'InvalidMedium',
        `${reference.name}, ${reference.file}: ${(error as Error).message}`,
        field,
        error,
      );
    }
  };
  return { soundSpeed: whole('soundSpeed'), density: whole('density') };
}

export interface Simulated {
  readonly domain: Domain;
  readonly timeStep: number;
  readonly stepsPerPeriod: number;
  readonly steps: number;
}

/** Where densities jump, twice the stiffness meets half the mass: stable up to π/4 of what is in one medium. */
const mostMixedCfl = 0.3;
/**
 * Where sound is faster than in spec.medium, for which steps are exact: (c/c₀)·sin(c₀kΔt/2) of the shortest wave, along the
 * diagonal, is below 1 up to 2/π√3, and up to 1/√2 of that where densities jump.
 */
const mostFasterCfl = 0.36;
const mostFasterMixedCfl = 0.26;

/** Densities this many times apart were seen to hold at these, random grains among them; water in air runs away. */
const mostContrast = 100;

/** The largest density over the least. */
export function contrastOf({ timeDomain: { regions, map }, medium }: Timed): number {
  const densities = [medium.density, ...regions.map(({ density }) => density)];
  let [least, most] = [Math.min(...densities), Math.max(...densities)];
  for (const each of map?.density ?? []) {
    // The medium's own, as it is stored.
    if (each === Math.fround(medium.density)) continue;
    least = Math.min(least, each);
    most = Math.max(most, each);
  }
  return most / least;
}

/** The largest Courant number that holds where densities are so many times apart. */
export function mostCourant(contrast: number): number {
  if (contrast === 1) return 1;
  // Slopes reach over all points: the heaviest one's stiffness may meet the lightest one's mass, in the shortest wave.
  return contrast <= mostContrast ? mostMixedCfl : 2 / (Math.PI * Math.sqrt(3 * contrast));
}

/** How a problem is simulated. */
export function simulationOf(problem: Timed): Simulated {
  const { timeDomain, medium, volume, frequency } = problem;
  const speeds = [medium.soundSpeed, ...timeDomain.regions.map(({ soundSpeed }) => soundSpeed)];
  let slowest = Math.min(...speeds);
  let fastest = Math.max(...speeds);
  for (const each of timeDomain.map?.soundSpeed ?? []) {
    slowest = Math.min(slowest, each);
    fastest = Math.max(fastest, each);
  }
  const domain = domainOf({
    volume,
    places: placesOf(problem),
    shortestWave: slowest / frequency,
    pointsPerWavelength: timeDomain.pointsPerWavelength,
    layer: timeDomain.absorbingLayer,
  });
  const most = fastest <= medium.soundSpeed ? 1 : contrastOf(problem) > 1 ? mostFasterMixedCfl : mostFasterCfl;
  const courant = Math.min(timeDomain.cfl, most);
  const stepsPerPeriod = Math.max(3, Math.ceil(fastest / (frequency * courant * domain.step) - 1e-9));
  const timeStep = 1 / (frequency * stepsPerPeriod);
  return { domain, timeStep, stepsPerPeriod, steps: timeDomain.cycles * stepsPerPeriod };
}

/** Of the discs that elements are; 0 for points, and for bowls, which are points already. */
export const discRadius = ({ pattern, radius }: Problem['emitters']): number =>
  pattern.type === 'Piston' ? radius : 0;

/** The corners of boxes around the elements, and the sensors. */
function* placesOf({ emitters, timeDomain }: Timed): Generator<readonly number[]> {
  const { count, positions } = emitters.elements;
  const reach = reachOfElement(emitters);
  for (let t = 0; t < count; t++) {
    for (const sign of [-1, 1]) {
      yield [0, 1, 2].map((axis) => positions[3 * t + axis]! + sign * reach);
    }
  }
  for (const { position } of timeDomain.sensors) yield position;
}

// Measured on Node 24.
const baseBytes = 110 * 2 ** 20;
/** Of each point of the domain: about 26 numbers of 64 bits. */
const pointBytes = 212;

/** Largest resident memory, bytes. */
export function simulationMemory(problem: Timed): number {
  const { domain, steps } = simulationOf(problem);
  const { timeDomain, volume, quantities } = problem;
  const ofVolume = pointsOf(volume) * (4 + 12 + 8 * fieldsOf({ quantities }) + (timeDomain.map ? 8 : 0));
  // The samples of all, and while they are written those of one and the time of each.
  const { length } = timeDomain.sensors;
  const samples = length === 0 ? 0 : steps * (4 * (length + 1) + 16);
  return Math.ceil(baseBytes + sizeOf(domain) * pointBytes + ofVolume + samples);
}
