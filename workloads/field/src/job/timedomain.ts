// `spec.timeDomain` in SI units, what it comes to, and what is wrong with it before anything is computed.
import { type FieldJobSpec, parseDecimal, parseDensity, parseLength, parseSpeed, referenceAt } from '@quintet/crds';
import { fieldsOf } from '../compute/chunk.ts';
import { FieldError } from '../errors.ts';
import { type Domain, domainOf, sizeOf } from '../timedomain/domain.ts';
import { readMapArray } from '../timedomain/map.ts';
import { covers, type MediumMap, type Region } from '../timedomain/medium.ts';
import { rise } from '../timedomain/record.ts';
import { pointsOf, type Volume } from '../volume/layout.ts';
import type { Problem } from './problem.ts';
import { quantity, vector } from './scene.ts';
import type { Tables } from './tables.ts';
import { formatLength } from './units.ts';

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

/** Largest pieces that arrays of one point each may come to. */
const mostPoints = 2 ** 30;
const mostSamples = 2 ** 26;

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
    [
      !['Piston', 'Omnidirectional'].includes(directivity),
      'spec.array.transducer.directivity',
      `the directivity ${directivity}`,
    ],
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
  const stepsPerPeriod = Math.max(3, Math.ceil(fastest / (frequency * timeDomain.cfl * domain.step) - 1e-9));
  const timeStep = 1 / (frequency * stepsPerPeriod);
  return { domain, timeStep, stepsPerPeriod, steps: timeDomain.cycles * stepsPerPeriod };
}

/** The corners of boxes around the elements, and the sensors. */
function* placesOf({ emitters, timeDomain }: Timed): Generator<readonly number[]> {
  const { count, positions } = emitters.elements;
  for (let t = 0; t < count; t++) {
    for (const sign of [-1, 1]) {
      yield [0, 1, 2].map((axis) => positions[3 * t + axis]! + sign * emitters.radius);
    }
  }
  for (const { position } of timeDomain.sensors) yield position;
}

/** @returns warnings. @throws FieldError naming the field. */
export function checkTimeDomain(problem: Timed): string[] {
  const { timeDomain, emitters, volume, frequency, medium } = problem;
  const { domain, steps } = simulationOf(problem);
  const points = sizeOf(domain);
  if (points > mostPoints) {
    const shape = domain.shape.toReversed().join(' × ');
    throw new FieldError(
      'VolumeTooLarge',
      `${shape} points around array and volume every ${formatLength(domain.step)} are more than are simulated`,
      'spec.volume',
    );
  }
  if (timeDomain.map && domain.every > 1) {
    const needed = formatLength(volume.spacing / domain.every);
    throw new FieldError(
      'InvalidVolume',
      `mediumMap has no points between those of the volume: ${needed} or less is needed`,
      'spec.volume.spacing',
    );
  }
  if (timeDomain.sensors.length * steps > mostSamples) {
    throw new FieldError(
      'InvalidResource',
      `${timeDomain.sensors.length} sensors over ${steps} steps; at most ${mostSamples} samples are kept`,
      'spec.timeDomain.sensors',
    );
  }
  timeDomain.regions.forEach((region, i) => {
    const { count, positions } = emitters.elements;
    for (let t = 0; t < count; t++) {
      const [dx, dy, dz] = [0, 1, 2].map((axis) => positions[3 * t + axis]! - region.center[axis]!) as [
        number,
        number,
        number,
      ];
      if (covers(region, dx, dy, dz)) {
        throw new FieldError(
          'InvalidMedium',
          `region ${region.name} covers element ${t}`,
          `spec.timeDomain.regions[${i}]`,
        );
      }
    }
  });
  checkMixed(problem);
  const way = longestWay(problem);
  const passing = (way * frequency) / medium.soundSpeed;
  const needed = Math.ceil(passing + (timeDomain.burst ?? rise + 2));
  if (timeDomain.cycles < needed) {
    throw new FieldError(
      'InvalidResource',
      `after ${timeDomain.cycles} periods the sound has not gone through the volume: ${formatLength(way)} from its furthest element, ${needed} periods`,
      'spec.timeDomain.cycles',
    );
  }
  return [...warningsOf(problem)];
}

/** Where densities jump, twice the stiffness meets half the mass: stable up to π/4 of what is in one medium. */
const mostMixedCfl = 0.3;

function checkMixed({ timeDomain, medium }: Timed): void {
  const { regions, map, cfl } = timeDomain;
  const mixed =
    regions.some(({ density }) => density !== medium.density) || map?.density.some((each) => each !== map.density[0]);
  if (mixed && cfl > mostMixedCfl) {
    throw new FieldError(
      'InvalidResource',
      `${cfl}: where densities differ the simulation runs away above ${mostMixedCfl}`,
      'spec.timeDomain.cfl',
    );
  }
}

/** From an element to the furthest corner of the volume or sensor. */
function longestWay({ emitters, volume, timeDomain }: Timed): number {
  const { count, positions } = emitters.elements;
  const ends = [2, 1, 0].map((axis) => {
    const from = volume.first[axis]!;
    return [from, from + (volume.shape[axis]! - 1) * volume.spacing];
  });
  let longest = 0;
  for (let t = 0; t < count; t++) {
    const corner = ends.map((pair, axis) => Math.max(...pair.map((end) => Math.abs(end - positions[3 * t + axis]!))));
    longest = Math.max(longest, Math.hypot(...corner));
    for (const { position } of timeDomain.sensors) {
      longest = Math.max(longest, Math.hypot(...position.map((value, axis) => value - positions[3 * t + axis]!)));
    }
  }
  return longest;
}

function* warningsOf({ timeDomain, quantities }: Timed): Generator<string> {
  const mixed = timeDomain.regions.length > 0 || timeDomain.map !== undefined;
  if (mixed) {
    yield 'phases, safety and targets are told for spec.medium alone; the largest pressure of the result is judged again';
    if (fieldsOf({ quantities }) > 1)
      yield 'quantities other than pressure are those of spec.medium, also inside of other media';
  }
  if (timeDomain.absorbingLayer < 8)
    yield `an absorbing layer of ${timeDomain.absorbingLayer} points sends back more than a hundredth`;
}

// Measured on Node 24.
const baseBytes = 110 * 2 ** 20;
/** Of each point of the domain: about 24 numbers of 64 bits. */
const pointBytes = 196;

/** Largest resident memory, bytes. */
export function simulationMemory(problem: Timed): number {
  const { domain, steps } = simulationOf(problem);
  const { timeDomain, volume, quantities } = problem;
  const ofVolume = pointsOf(volume) * (4 + 12 + 8 * fieldsOf({ quantities }) + (timeDomain.map ? 8 : 0));
  return Math.ceil(baseBytes + sizeOf(domain) * pointBytes + ofVolume + timeDomain.sensors.length * steps * 4);
}
