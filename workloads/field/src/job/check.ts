// What is wrong with a problem, found before anything is computed: refused with the field, or warned of.
import { FieldError } from '../errors.ts';
import { behindElements } from './behind.ts';
import { checkTimeDomain } from './checktimedomain.ts';
import type { Problem } from './problem.ts';
import { judge } from './safety.ts';
import type { Scene } from './scene.ts';
import { isTimed } from './timedomain.ts';
import { formatLength, formatPressure } from './units.ts';

/** @returns warnings. @throws FieldError naming the field. */
export function check(problem: Problem): string[] {
  checkBackend(problem);
  checkReflectors(problem);
  checkScene(problem);
  if (problem.motion && problem.targets.some(({ trap }) => trap === 'Stiffness')) {
    throw new FieldError(
      'Unsupported',
      'frames of a motion are not solved for stiffness: say Twin or Vortex',
      'spec.motion',
    );
  }
  return [...warningsOf(problem), ...(isTimed(problem) ? checkTimeDomain(problem) : [])];
}

/** What a GPU that is required would not compute. */
function checkBackend({ gpu, method, quantities }: Problem): void {
  if (gpu !== 'Required') return;
  const other = quantities.find((each) => each !== 'Pressure');
  const what = !['Auto', 'DirectSum'].includes(method) ? `method ${method}` : other && `quantity ${other}`;
  if (what === undefined) return;
  throw new FieldError(
    'Unsupported',
    `a GPU sums the pressure directly, and not ${what}: use backend Auto`,
    'spec.backend',
  );
}

/** What can be told without a volume. @throws FieldError naming the field. */
export function checkScene(scene: Scene): void {
  scene.targets.forEach((_, i) => checkTarget(scene, i));
  checkPlaces(scene);
  checkLimits(scene);
  if (scene.solver.phaseLevels === 1) {
    throw new FieldError(
      'InvalidResource',
      'one phase level leaves nothing to steer; use 2 or more, or 0',
      'spec.solver.phaseLevels',
    );
  }
}

function checkTarget({ emitters, targets, solver }: Scene, i: number): void {
  const target = targets[i]!;
  if (target.trap === 'Stiffness') {
    const descends = solver.algorithm === 'Adam' || solver.algorithm === 'LBFGS';
    if (!descends) {
      const why = `${target.name} asks for stiffness, which only LBFGS and Adam climb`;
      throw new FieldError('InvalidTarget', why, `spec.targets[${i}].trap`);
    }
    if (target.pressure !== undefined) {
      const why = `${target.name} asks for stiffness and not for a pressure`;
      throw new FieldError('InvalidTarget', why, `spec.targets[${i}].pressure`);
    }
  }
  const field = `spec.targets[${i}].position`;
  const { count, positions } = emitters.elements;
  for (let t = 0; t < count; t++) {
    const distance = Math.hypot(...target.position.map((value, axis) => value - positions[3 * t + axis]!));
    if (distance < emitters.radius) {
      const where = `${formatLength(distance)} from the centre of element ${t}`;
      throw new FieldError(
        'InvalidTarget',
        `${target.name} is inside a transducer: ${where}, radius ${formatLength(emitters.radius)}`,
        field,
      );
    }
  }
  for (const { name, axis, at } of emitters.reflectors) {
    const side = Math.sign(positions[axis]! - at);
    if (Math.sign(target.position[axis]! - at) === -side) {
      throw new FieldError(
        'InvalidTarget',
        `${target.name} is behind reflector ${name}, where no sound arrives`,
        field,
      );
    }
  }
  const silence = targets.find(
    (other) =>
      other.trap === 'Silence' &&
      target.trap !== 'Silence' &&
      Math.hypot(...other.position.map((value, axis) => value - target.position[axis]!)) < other.radius / 2,
  );
  if (silence) {
    throw new FieldError('InvalidTarget', `${target.name} (${target.trap}) lies in the silence ${silence.name}`, field);
  }
}

function checkReflectors({ emitters, volume }: Problem): void {
  const { count, positions } = emitters.elements;
  emitters.reflectors.forEach(({ name, axis, at }, i) => {
    const field = `spec.medium.reflectors[${i}].at`;
    const first = Math.sign(positions[axis]! - at);
    for (let t = 0; t < count; t++) {
      const side = Math.sign(positions[3 * t + axis]! - at);
      if (side === -first && side !== 0) {
        throw new FieldError('InvalidMedium', `reflector ${name} lies between the elements`, field);
      }
    }
    const from = volume.first[2 - axis]!;
    const to = from + (volume.shape[2 - axis]! - 1) * volume.spacing;
    const behind = first >= 0 ? from < at - 1e-9 : to > at + 1e-9;
    if (behind) {
      const reach = `${formatLength(from)} to ${formatLength(to)}`;
      throw new FieldError(
        'InvalidVolume',
        `the volume (${reach}) reaches behind reflector ${name} at ${formatLength(at)}`,
        'spec.volume',
      );
    }
  });
}

/** Two things that cannot be in one place. */
function checkPlaces({ targets, wavelength }: Scene): void {
  targets.forEach(({ name, position, trap }, i) => {
    const other = targets.slice(0, i).find((each) => {
      const apart = Math.hypot(...each.position.map((value, axis) => value - position[axis]!));
      return apart < wavelength * 1e-3 && each.trap !== 'Silence' && trap !== 'Silence';
    });
    if (!other) return;
    throw new FieldError('InvalidTarget', `${name} is where ${other.name} is`, `spec.targets[${i}].position`);
  });
}

/** Limits that no drive could keep together with what is asked for. */
function checkLimits({ safety, targets, medium, frequency }: Scene): void {
  targets.forEach(({ name, pressure, position, trap }, i) => {
    if (pressure === undefined || trap === 'Silence') return;
    const field = `spec.targets[${i}].pressure`;
    const { maxThermalIndex: _ofTheWholeArray, ...ofPressure } = safety;
    const { verdict, message } = judge(
      { ...ofPressure, zones: [] },
      { anywhere: pressure, zones: {} },
      medium,
      frequency,
    );
    if (verdict === 'Refused') {
      throw new FieldError('InvalidSafety', `${name} asks for ${formatPressure(pressure)}, at which ${message}`, field);
    }
    for (const zone of safety.zones) {
      const distance = Math.hypot(...zone.center.map((value, axis) => value - position[axis]!));
      if (distance <= zone.radius && pressure > zone.maxPressure) {
        const limit = `zone ${zone.name}, limited to ${formatPressure(zone.maxPressure)}`;
        throw new FieldError('InvalidSafety', `${name} asks for ${formatPressure(pressure)} inside ${limit}`, field);
      }
    }
  });
}

function* warningsOf(problem: Problem): Generator<string> {
  const { volume, wavelength, targets, tolerance, backend } = problem;
  const dense = volume.shape.some((n) => n > 1);
  if (dense && volume.spacing > wavelength / 2) {
    // A standing wave's crest may lie half a spacing off the nearest point, which is then a quarter of a wavelength or more.
    yield `spec.volume.spacing ${formatLength(volume.spacing)} is over half a wavelength (${formatLength(wavelength / 2)}): ` +
      'phases alias, and crests between points are missed by up to 100%';
  }
  for (const { name, position } of targets) {
    const outside = position.some((value, axis) => {
      const from = volume.first[2 - axis]!;
      const to = from + (volume.shape[2 - axis]! - 1) * volume.spacing;
      return value < from - volume.spacing || value > to + volume.spacing;
    });
    if (outside) yield `target ${name} lies outside the volume: it is solved for, and not in the result`;
  }
  const kept = backend === 'Reference' ? 1e-7 : 1e-6;
  if (tolerance < kept) {
    yield `spec.tolerance ${tolerance} is less than the ${kept} of the largest pressure that ${backend === 'Reference' ? 'values stored' : 'sums'} in 32 bits keep`;
  }
  for (const what of behindElements(problem)) {
    yield `${what}, where real elements give far less sound than their pattern says`;
  }
}
