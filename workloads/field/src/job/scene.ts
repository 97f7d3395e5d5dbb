// What a FieldJob says of the sound itself, in SI units: array, medium, particle, targets, solver and limits.
import type { FieldJob, FieldJobSpec } from '@quintet/crds';
import {
  parseAngle,
  parseAttenuation,
  parseDecimal,
  parseDensity,
  parseFrequency,
  parseIntensity,
  parseLength,
  parsePercentage,
  parsePressure,
  parseSpeed,
  parseTemperature,
} from '@quintet/crds';
import { FieldError } from '../errors.ts';
import { pointsOfBowl } from '../physics/bowl.ts';
import type { Pattern } from '../physics/directivity.ts';
import { customElements, type Elements, grid, hemisphere, twoSided } from '../physics/elements.ts';
import { air, customMedium, type Medium, water } from '../physics/medium.ts';
import { gorkov, type Particle } from '../physics/particle.ts';
import type { Drive, Emitters, Reflector } from '../physics/sources.ts';
import type { SolverSettings } from '../solver/solve.ts';
import type { Target } from '../solver/targets.ts';
import type { SafetyLimits } from './safety.ts';
import { type FileReader, readTable, type Tables } from './tables.ts';

/** All that the field at a point follows from, without saying which points. */
export interface Scene {
  readonly name: string;
  readonly emitters: Emitters;
  readonly frequency: number;
  readonly wavelength: number;
  readonly medium: Medium;
  readonly particle: Particle;
  readonly targets: readonly Target[];
  readonly solver: SolverSettings;
  readonly safety: SafetyLimits;
  readonly backend: 'CPU' | 'Reference';
  /** Largest error over the largest pressure. */
  readonly tolerance: number;
}

/** @throws FieldError naming the field that cannot be used. */
export function resolveScene({ metadata, spec }: FieldJob, read: FileReader): Scene {
  refuseUnsupported(spec);
  const frequency = quantity(parseFrequency, spec.array.transducer.frequency, 'spec.array.transducer.frequency');
  const medium = resolveMedium(spec, frequency);
  const wavelength = medium.soundSpeed / frequency;
  const particle: Particle = {
    radius: quantity(parseLength, spec.particle.radius, 'spec.particle.radius'),
    density: quantity(parseDensity, spec.particle.density, 'spec.particle.density'),
    soundSpeed: quantity(parseSpeed, spec.particle.soundSpeed, 'spec.particle.soundSpeed'),
  };
  return {
    name: metadata.name,
    emitters: resolveEmitters(spec, medium, frequency, { spec, read }),
    frequency,
    wavelength,
    medium,
    particle,
    targets: spec.targets.map((target, i) => {
      const resolved = resolveTarget(target, wavelength, `spec.targets[${i}]`);
      return target.trap === 'Stiffness' ? { ...resolved, gorkov: gorkov(particle, medium, frequency) } : resolved;
    }),
    solver: solverOf(spec.solver),
    safety: resolveSafety(spec),
    backend: spec.backend === 'Reference' ? 'Reference' : 'CPU',
    tolerance: parseDecimal(spec.tolerance),
  };
}

export function solverOf(solver: FieldJobSpec['solver']): SolverSettings {
  return {
    ...solver,
    regularization: parseDecimal(solver.regularization),
    learningRate: parseDecimal(solver.learningRate),
  };
}

/** What the schema has and this version does not compute: refused by name rather than ignored. */
function refuseUnsupported(spec: FieldJobSpec): void {
  const refused: [boolean, string, string][] = [
    [
      spec.mode === 'Service' && ['AngularSpectrum', 'TimeDomain'].includes(spec.method),
      'spec.method',
      `method ${spec.method} of a service`,
    ],
    [spec.mode === 'Service' && spec.backend === 'GPU', 'spec.backend', 'backend GPU of a service'],
    [spec.mode === 'Service' && spec.motion !== undefined, 'spec.motion', 'motion of a service'],
  ];
  for (const [applies, field, what] of refused) {
    if (applies) throw new FieldError('Unsupported', `${what} is not part of this version`, field);
  }
}

function resolveMedium({ medium }: FieldJobSpec, frequency: number): Medium {
  const temperature = quantity(parseTemperature, medium.temperature, 'spec.medium.temperature');
  const humidity = quantity(parsePercentage, medium.humidity, 'spec.medium.humidity');
  const heard = medium.absorption === 'Enabled' ? frequency : 0;
  if (medium.type === 'Custom' && medium.custom) {
    const { soundSpeed, density, absorption } = medium.custom;
    const loss = quantity(parseAttenuation, absorption, 'spec.medium.custom.absorption');
    return customMedium(
      quantity(parseSpeed, soundSpeed, 'spec.medium.custom.soundSpeed'),
      quantity(parseDensity, density, 'spec.medium.custom.density'),
      loss,
    );
  }
  if (medium.type === 'Water') {
    if (temperature < 273.15 || temperature > 373.15) {
      throw new FieldError('InvalidMedium', 'water is liquid from 0C to 100C', 'spec.medium.temperature');
    }
    return water(temperature, heard);
  }
  return air(temperature, humidity, heard);
}

function resolveEmitters(spec: FieldJobSpec, medium: Medium, frequency: number, tables: Tables): Emitters {
  const { transducer, hardware } = spec.array;
  const elements = resolveElements(spec, tables);
  const wavenumber = (2 * Math.PI * frequency) / medium.soundSpeed;
  const radius = quantity(parseLength, transducer.radius, 'spec.array.transducer.radius');
  const response = resolveResponse(hardware, elements, tables);
  const pattern = resolvePattern(spec, wavenumber, radius, tables);
  checkSources(elements, pattern, radius, wavenumber);
  return {
    elements,
    pressureAt1m: quantity(parsePressure, transducer.pressureAt1m, 'spec.array.transducer.pressureAt1m'),
    radius,
    pattern,
    wavenumber,
    attenuation: medium.attenuation,
    reflectors: (spec.medium.reflectors ?? []).map(({ name, plane, at, coefficient }, i): Reflector => {
      const value = parseDecimal(coefficient);
      if (Math.abs(value) > 1) {
        const field = `spec.medium.reflectors[${i}].coefficient`;
        throw new FieldError('InvalidMedium', 'a reflection cannot be louder than what arrives: -1 to 1', field);
      }
      return {
        name,
        axis: normalOf(plane),
        at: quantity(parseLength, at, `spec.medium.reflectors[${i}].at`),
        coefficient: value,
      };
    }),
    ...(response && { response }),
  };
}

function resolveElements({ array }: FieldJobSpec, tables: Tables): Elements {
  const field = 'spec.array';
  if (array.type === 'TwoSided' && array.twoSided) {
    const { rows, columns, pitch, separation } = array.twoSided;
    return twoSided({
      rows,
      columns,
      pitch: quantity(parseLength, pitch, `${field}.twoSided.pitch`),
      separation: quantity(parseLength, separation, `${field}.twoSided.separation`),
    });
  }
  if (array.type === 'Hemisphere' && array.hemisphere) {
    const { radius, elements, aperture } = array.hemisphere;
    const angle = quantity(parseAngle, aperture, `${field}.hemisphere.aperture`);
    if (angle > 2 * Math.PI + 1e-9)
      throw new FieldError('InvalidArray', 'at most 360deg', `${field}.hemisphere.aperture`);
    return hemisphere(quantity(parseLength, radius, `${field}.hemisphere.radius`), elements, angle);
  }
  if (array.type === 'Custom' && array.custom) {
    const rows = readTable(tables, array.custom.format, `${field}.custom`);
    return customElements(
      rows.map((row) =>
        ['x', 'y', 'z', 'nx', 'ny', 'nz'].flatMap((column) => (row[column] === undefined ? [] : [row[column]])),
      ),
      `${field}.custom`,
    );
  }
  const { rows, columns, pitch } = array.grid ?? { rows: 16, columns: 16, pitch: '10.5mm' };
  return grid({ rows, columns, pitch: quantity(parseLength, pitch, `${field}.grid.pitch`) });
}

/** Point sources that all elements may come to. */
const mostSources = 2 ** 20;

function checkSources({ count }: Elements, pattern: Pattern, radius: number, wavenumber: number): void {
  if (pattern.type !== 'Focused') return;
  const points = pointsOfBowl({ radius, focalLength: pattern.focalLength }, wavenumber);
  if (count * points <= mostSources) return;
  throw new FieldError(
    'InvalidArray',
    `${count} bowls of ${points} point sources each; at most ${mostSources} in all are summed`,
    'spec.array.transducer.radius',
  );
}

function resolvePattern(
  { array: { transducer } }: FieldJobSpec,
  wavenumber: number,
  radius: number,
  tables: Tables,
): Pattern {
  if (transducer.directivity === 'Omnidirectional') return { type: 'Omnidirectional' };
  if (transducer.directivity === 'Focused' && transducer.focused) {
    const field = 'spec.array.transducer.focused.focalLength';
    const focalLength = quantity(parseLength, transducer.focused.focalLength, field);
    if (!(focalLength >= radius)) {
      throw new FieldError('InvalidArray', 'a bowl is half a ball at most: at least the radius of its rim', field);
    }
    return { type: 'Focused', focalLength };
  }
  if (transducer.directivity !== 'Custom' || !transducer.custom) return { type: 'Piston', ka: wavenumber * radius };
  const field = 'spec.array.transducer.custom';
  const rows = readTable(tables, transducer.custom.format, field).toSorted((a, b) => (a.angle ?? 0) - (b.angle ?? 0));
  if (
    rows.length < 2 ||
    rows.some(({ angle, gain }) => !(angle !== undefined && angle >= 0) || !Number.isFinite(gain))
  ) {
    throw new FieldError('InvalidArray', 'needs two rows or more with angle (degrees from 0) and gain', field);
  }
  return {
    type: 'Measured',
    angles: rows.map(({ angle }) => (angle! * Math.PI) / 180),
    gains: rows.map(({ gain }) => gain!),
  };
}

function resolveResponse(
  hardware: FieldJobSpec['array']['hardware'],
  { count }: Elements,
  tables: Tables,
): Drive | undefined {
  if (!hardware?.calibration && !hardware?.deadElements) return undefined;
  const amplitudes = new Float64Array(count).fill(1);
  const phases = new Float64Array(count);
  if (hardware.calibration) {
    const field = 'spec.array.hardware.calibration';
    for (const { element, amplitude = 1, phase = 0 } of readTable(tables, hardware.calibration.format, field)) {
      if (
        element === undefined ||
        !Number.isInteger(element) ||
        element < 0 ||
        element >= count ||
        !(amplitude >= 0 && amplitude <= 1)
      ) {
        throw new FieldError('InvalidArray', `element must be 0 to ${count - 1} and amplitude 0 to 1`, field);
      }
      amplitudes[element] = amplitude;
      phases[element] = (phase * Math.PI) / 180;
    }
  }
  for (const element of hardware.deadElements ?? []) {
    if (element >= count) {
      throw new FieldError(
        'InvalidArray',
        `element ${element} is none of the ${count}`,
        'spec.array.hardware.deadElements',
      );
    }
    amplitudes[element] = 0;
  }
  return { amplitudes, phases };
}

/** @param field Path of the target in what was sent. */
export function resolveTarget(target: FieldJobSpec['targets'][number], wavelength: number, field: string): Target {
  return {
    name: target.name,
    position: vector(target.position, `${field}.position`) as [number, number, number],
    trap: target.trap,
    weight: parseDecimal(target.weight),
    ...(target.pressure !== undefined && { pressure: quantity(parsePressure, target.pressure, `${field}.pressure`) }),
    axis: normalOf(target.plane ?? 'YZ'),
    charge: target.charge ?? 1,
    radius: target.radius === undefined ? wavelength / 2 : quantity(parseLength, target.radius, `${field}.radius`),
  };
}

function resolveSafety({ safety }: FieldJobSpec): SafetyLimits {
  const { maxPressure, maxIntensity, maxMechanicalIndex, maxThermalIndex, action, zones = [] } = safety;
  return {
    action,
    ...(maxPressure !== undefined && { maxPressure: quantity(parsePressure, maxPressure, 'spec.safety.maxPressure') }),
    ...(maxIntensity !== undefined && {
      maxIntensity: quantity(parseIntensity, maxIntensity, 'spec.safety.maxIntensity'),
    }),
    ...(maxMechanicalIndex !== undefined && { maxMechanicalIndex: parseDecimal(maxMechanicalIndex) }),
    ...(maxThermalIndex !== undefined && { maxThermalIndex: parseDecimal(maxThermalIndex) }),
    zones: zones.map(({ name, center, radius, maxPressure: most }, i) => ({
      name,
      center: vector(center, `spec.safety.zones[${i}].center`) as [number, number, number],
      radius: quantity(parseLength, radius, `spec.safety.zones[${i}].radius`),
      maxPressure: quantity(parsePressure, most, `spec.safety.zones[${i}].maxPressure`),
    })),
  };
}

/** A quantity in SI units. @throws FieldError naming the field. */
export function quantity(parse: (value: string) => number, value: string, field: string): number {
  try {
    const si = parse(value);
    if (Number.isFinite(si)) return si;
    throw new Error(`${value} is not finite`);
  } catch (error) {
    throw new FieldError('InvalidResource', (error as Error).message, field, error);
  }
}

export function vector(values: readonly string[], field: string): number[] {
  return values.map((value, i) => quantity(parseLength, value, `${field}[${i}]`));
}

/** The axis that a plane is normal to. */
export function normalOf(plane: 'XY' | 'XZ' | 'YZ'): 0 | 1 | 2 {
  return ({ YZ: 0, XZ: 1, XY: 2 } as const)[plane];
}
