// What is wrong with a problem in time before anything is computed: refused with the field, or warned of.
import { fieldsOf } from '../compute/chunk.ts';
import { FieldError } from '../errors.ts';
import { pointsOfDisc } from '../physics/disc.ts';
import { pointsOfElement, reachOfElement } from '../physics/sources.ts';
import { sizeOf } from '../timedomain/domain.ts';
import { covers, type Matter, type MediumMap, type Region } from '../timedomain/medium.ts';
import { rise } from '../timedomain/record.ts';
import { spreadPoints } from '../timedomain/source.ts';
import type { Volume } from '../volume/layout.ts';
import {
  contrastOf,
  discRadius,
  leastCfl,
  mostCourant,
  type Simulated,
  simulationOf,
  type Timed,
} from './timedomain.ts';
import { formatLength, formatTime } from './units.ts';

type Range = { readonly from: number; readonly to: number };

/** Largest pieces that arrays of one point each may come to. */
const mostPoints = 2 ** 30;
const mostSamples = 2 ** 26;
/** Points that sources are spread over: a minute of one thread. Only discs that lie over one another come to as many. */
const mostSpread = 2 ** 34;
/** Points times steps: some weeks of one thread, which begins anew where its pod is lost. */
const mostWork = 2 ** 42;
/** Of one thread, roughly: points times steps a second. */
const workPerSecond = 1.5e6;
/** Thinner layers that still absorb, and seconds from which on they are worth a word. */
const thinnerLayers = [16, 12, 10];
const hintTime = 60;
/** Seconds beyond which is told how long it takes. */
const longTime = 1800;

/** @returns warnings. @throws FieldError naming the field. */
export function checkTimeDomain(problem: Timed): string[] {
  const { timeDomain, emitters, volume, frequency } = problem;
  const simulated = simulationOf(problem);
  const { domain, steps } = simulated;
  const points = sizeOf(domain);
  if (points > mostPoints) {
    throw new FieldError(
      'VolumeTooLarge',
      `${shapeText(domain.shape)} points around array and volume every ${formatLength(domain.step)} are more than are simulated`,
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
  const work = points * steps;
  if (work > mostWork) {
    throw new FieldError(
      'InvalidResource',
      `${steps} steps of ${points} points would take one thread some ${formatTime(work / workPerSecond)}: say fewer cycles, a larger cfl or a smaller volume`,
      'spec.timeDomain.cycles',
    );
  }
  const radius = discRadius(emitters);
  const each = radius > 0 ? pointsOfDisc(emitters.wavenumber * radius) : pointsOfElement(emitters);
  if (emitters.elements.count * each * spreadPoints > mostSpread) {
    throw new FieldError(
      'InvalidArray',
      `${emitters.elements.count} elements of ${formatLength(emitters.radius)} are ${each} point sources each, more than are simulated: say Omnidirectional, or fewer or smaller ones`,
      'spec.array.transducer.radius',
    );
  }
  checkElements(problem, reachOfElement(emitters) + sourceReach * domain.step);
  checkMixed(problem);
  const way = longestWay(problem);
  const passing = passingTime(problem, way) * frequency;
  const needed = Math.ceil(passing + (timeDomain.burst ?? rise + 2));
  if (timeDomain.cycles < needed) {
    throw new FieldError(
      'InvalidResource',
      `after ${timeDomain.cycles} periods the sound has not gone through the volume: ${formatLength(way)} from its furthest element, ${needed} periods`,
      'spec.timeDomain.cycles',
    );
  }
  return [...warningsOf(problem, simulated)];
}

/** Points around a source's place over which it is spread. */
const sourceReach = 4;

/** Elements sound into spec.medium. @param around them, metres. */
function checkElements({ timeDomain: { regions, map }, emitters, medium, volume }: Timed, around: number): void {
  const { count, positions } = emitters.elements;
  const refuse = (what: string, field: string): never => {
    throw new FieldError(
      'InvalidMedium',
      `${what}: there is spec.medium within ${formatLength(around)} of each`,
      field,
    );
  };
  for (let t = 0; t < count; t++) {
    const place = positions.subarray(3 * t, 3 * t + 3);
    regions.forEach((region, i) => {
      const [dx, dy, dz] = region.center.map((value, axis) => place[axis]! - value) as [number, number, number];
      const { reach } = region;
      const grown =
        typeof reach === 'number'
          ? reach + around
          : (reach.map((each) => each + around) as unknown as readonly [number, number, number]);
      if (covers({ ...region, reach: grown }, dx, dy, dz)) {
        refuse(`region ${region.name} covers element ${t} or its edge`, `spec.timeDomain.regions[${i}]`);
      }
    });
    if (map && !likeMedium(map, volume, medium, place, around)) {
      refuse(`another medium of the map covers element ${t} or its edge`, 'spec.timeDomain.mediumMap');
    }
  }
}

/** Whether a map has the medium itself at all points of a box around a place. */
function likeMedium(map: MediumMap, volume: Volume, medium: Matter, place: ArrayLike<number>, around: number): boolean {
  const [z, y, x] = ([0, 1, 2] as const).map((axis) => {
    const at = place[2 - axis]! - volume.first[axis];
    const from = Math.max(0, Math.ceil((at - around) / volume.spacing));
    const to = Math.min(volume.shape[axis] - 1, Math.floor((at + around) / volume.spacing));
    return { from, to };
  }) as [Range, Range, Range];
  const [speed, density] = [Math.fround(medium.soundSpeed), Math.fround(medium.density)];
  for (let iz = z.from; iz <= z.to; iz++) {
    for (let iy = y.from; iy <= y.to; iy++) {
      for (let ix = x.from; ix <= x.to; ix++) {
        const i = (iz * volume.shape[1] + iy) * volume.shape[2] + ix;
        if (map.soundSpeed[i] !== speed || map.density[i] !== density) return false;
      }
    }
  }
  return true;
}

function checkMixed(problem: Timed): void {
  const { cfl } = problem.timeDomain;
  const contrast = contrastOf(problem);
  const most = Math.floor(1e4 * mostCourant(contrast)) / 1e4;
  if (cfl <= most) return;
  const apart = `where densities are ${Number(contrast.toPrecision(3))} times apart`;
  if (most < leastCfl) {
    const field = problem.timeDomain.map ? 'spec.timeDomain.mediumMap' : 'spec.timeDomain.regions';
    throw new FieldError('InvalidMedium', `${apart} every simulation in time may run away: say them closer`, field);
  }
  throw new FieldError(
    'InvalidResource',
    `${cfl}: ${apart} the simulation may run away above ${most}`,
    'spec.timeDomain.cfl',
  );
}

/** Seconds that sound takes for a way, at most: straight through all that is slower than the medium. */
function passingTime({ timeDomain, medium, volume }: Timed, way: number): number {
  const later = (length: number, speed: number): number =>
    Math.min(length, way) * Math.max(0, 1 / speed - 1 / medium.soundSpeed);
  let time = way / medium.soundSpeed;
  for (const region of timeDomain.regions) time += later(wayThrough(region), region.soundSpeed);
  const slowest = timeDomain.map?.soundSpeed.reduce((least, each) => Math.min(least, each), Infinity) ?? Infinity;
  return time + later(diagonalOf(volume), slowest);
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

/** What waves are ahead or behind, straight through all other media, radians: steps in time are exact for spec.medium alone. */
function phaseError({ medium, frequency, timeDomain, volume }: Timed, { timeStep }: Simulated): number {
  const { soundSpeed: exact } = medium;
  const off = (speed: number, way: number): number => {
    const turn = Math.asin(Math.min(1, (exact / speed) * Math.sin(Math.PI * frequency * timeStep)));
    return Math.abs((2 * turn) / (exact * timeStep) - (2 * Math.PI * frequency) / speed) * way;
  };
  const through = timeDomain.regions.map((region) => off(region.soundSpeed, wayThrough(region)));
  const speeds = timeDomain.map?.soundSpeed;
  if (speeds) {
    const [least, most] = [speeds.reduce((a, b) => Math.min(a, b)), speeds.reduce((a, b) => Math.max(a, b))];
    through.push(Math.max(...[least, most].map((speed) => off(speed, diagonalOf(volume)))));
  }
  return through.reduce((sum, each) => sum + each, 0);
}

const wayThrough = ({ reach }: Region): number => 2 * (typeof reach === 'number' ? reach : Math.hypot(...reach));
const diagonalOf = ({ shape, spacing }: Volume): number => Math.hypot(...shape.map((n) => n * spacing));

/** What a simulation runs on and how long, roughly: before it begins. */
export function describeSimulation(problem: Timed): string {
  const { domain, steps } = simulationOf(problem);
  const box = `${shapeText(domain.shape)} points every ${formatLength(domain.step)}`;
  return `${steps} steps of ${box}, about ${formatTime((sizeOf(domain) * steps) / workPerSecond)} of one thread`;
}

/** A box is of powers of two: some points less may halve it, or quarter it. */
function smallerBox(problem: Timed, { domain }: Simulated): string | undefined {
  const { timeDomain } = problem;
  for (const absorbingLayer of thinnerLayers.filter((each) => each < timeDomain.absorbingLayer)) {
    const { domain: other } = simulationOf({ ...problem, timeDomain: { ...timeDomain, absorbingLayer } });
    const times = sizeOf(domain) / sizeOf(other);
    if (times < 2) continue;
    const boxes = `${shapeText(other.shape)} points in place of ${shapeText(domain.shape)}`;
    return `absorbingLayer ${absorbingLayer} would take ${boxes}, ${times} times less memory and time: boxes are of powers of two`;
  }
  return undefined;
}

const shapeText = (shape: readonly number[]): string => shape.toReversed().join(' × ');

function* warningsOf(problem: Timed, simulated: Simulated): Generator<string> {
  const { timeDomain, quantities, tolerance } = problem;
  const seconds = (sizeOf(simulated.domain) * simulated.steps) / workPerSecond;
  if (seconds > longTime) {
    yield `it takes one thread about ${formatTime(seconds)}, and begins anew where its pod is lost`;
  }
  const smaller = seconds > hintTime ? smallerBox(problem, simulated) : undefined;
  if (smaller) yield smaller;
  const late = phaseError(problem, simulated);
  if (!(late <= tolerance)) {
    yield `phases behind other media are up to ${((180 / Math.PI) * late).toPrecision(2)}° off: lower spec.timeDomain.cfl`;
  }
  const mixed = timeDomain.regions.length > 0 || timeDomain.map !== undefined;
  if (mixed) {
    yield 'phases, safety and targets are told for spec.medium alone; the largest pressure of the result is judged again';
    if (fieldsOf({ quantities }) > 1)
      yield 'quantities other than pressure are those of spec.medium, also inside of other media';
  }
  if (timeDomain.absorbingLayer < 8)
    yield `an absorbing layer of ${timeDomain.absorbingLayer} points sends back more than a hundredth`;
}
