// From pressure and gradient along a row to the quantities that are stored.

import { type DerivativesAtPoint, forceOf, stiffnessOf } from '../physics/derivatives.ts';
import type { Gorkov } from '../physics/particle.ts';
import type { Volume } from '../volume/layout.ts';
import type { ArrayDescription } from '../zarr/array.ts';

/** The last two are recorded while time goes by, by the method TimeDomain alone. */
export type StoredQuantity =
  | 'Pressure'
  | 'Intensity'
  | 'Velocity'
  | 'GorkovPotential'
  | 'Force'
  | 'Stiffness'
  | 'PressureMaximum'
  | 'PressureRMS';

interface QuantityFormat {
  readonly array: string;
  readonly dataType: 'complex64' | 'float32';
  /** 3 for a vector along x, y, z. */
  readonly components: 1 | 3;
  readonly unit: string;
  readonly description: string;
  /** Highest order of the pressure's derivatives that it is made of. */
  readonly order: 0 | 1 | 2 | 3;
}

export const formats: Readonly<Record<StoredQuantity, QuantityFormat>> = {
  Pressure: {
    array: 'pressure',
    dataType: 'complex64',
    components: 1,
    unit: 'Pa',
    description: 'complex peak pressure; the wave is its real part times exp(-i·omega·t)',
    order: 0,
  },
  Intensity: {
    array: 'intensity',
    dataType: 'float32',
    components: 3,
    unit: 'W m-2',
    description: 'active intensity',
    order: 1,
  },
  Velocity: {
    array: 'velocity',
    dataType: 'complex64',
    components: 3,
    unit: 'm s-1',
    description: 'complex peak particle velocity',
    order: 1,
  },
  GorkovPotential: {
    array: 'gorkov_potential',
    dataType: 'float32',
    components: 1,
    unit: 'J',
    description: "Gor'kov potential of the particle",
    order: 1,
  },
  Force: {
    array: 'force',
    dataType: 'float32',
    components: 3,
    unit: 'N',
    description: "radiation force on the particle: minus the gradient of its Gor'kov potential",
    order: 2,
  },
  Stiffness: {
    array: 'stiffness',
    dataType: 'float32',
    components: 3,
    unit: 'N m-1',
    description: 'minus the slope of the force along x, y and z: positive where the particle is held',
    order: 3,
  },
  PressureMaximum: {
    array: 'pressure_maximum',
    dataType: 'float32',
    components: 1,
    unit: 'Pa',
    description: 'largest magnitude of the pressure: over the last period, or over all the time of a burst',
    order: 0,
  },
  PressureRMS: {
    array: 'pressure_rms',
    dataType: 'float32',
    components: 1,
    unit: 'Pa',
    description: 'root mean square of the pressure: over the last period, or over all the time of a burst',
    order: 0,
  },
};

/** What the formulas need to know of medium and particle. */
export interface Constants {
  /** rad/s times kg/m³ */
  readonly omegaRho: number;
  readonly gorkov: Gorkov;
}

export function arrayOf(quantity: StoredQuantity, volume: Volume): ArrayDescription {
  const { array, dataType, components, unit, description } = formats[quantity];
  const vector = components === 3;
  return {
    name: array,
    dataType,
    shape: vector ? [...volume.shape, 3] : volume.shape,
    chunk: vector ? [...volume.chunk, 3] : volume.chunk,
    dimensionNames: vector ? ['z', 'y', 'x', 'component'] : ['z', 'y', 'x'],
    attributes: { units: unit, description },
  };
}

/** Floats that one point takes. */
export function floatsPerPoint(quantity: StoredQuantity): number {
  const { dataType, components } = formats[quantity];
  return (dataType === 'complex64' ? 2 : 1) * components;
}

/** Complex numbers along a row, `step` floats from one to the next: 1 where real and imaginary parts lie apart, 2 else. */
export interface ComplexRow {
  readonly re: Float32Array;
  readonly im: Float32Array;
  readonly step: 1 | 2;
}

/**
 * Writes one row of `points` to `out` from float `at` on.
 * @param fields p and, as far as the quantity needs them, its derivatives in the order of `derivativeAxes`.
 */
export function writeRow(
  quantity: StoredQuantity,
  fields: readonly ComplexRow[],
  points: number,
  constants: Constants,
  out: Float32Array,
  at: number,
): void {
  const { re, im, step } = fields[0]!;
  switch (quantity) {
    case 'Pressure':
      if (step === 2 && im.buffer === re.buffer && im.byteOffset === re.byteOffset + 4) {
        out.set(re.subarray(0, 2 * points), at);
        return;
      }
      for (let i = 0; i < points; i++) {
        out[at + 2 * i] = re[i * step]!;
        out[at + 2 * i + 1] = im[i * step]!;
      }
      return;
    case 'Velocity':
      // v = ∇p/(iωρ)
      for (let axis = 0; axis < 3; axis++) {
        const slope = fields[1 + axis]!;
        for (let i = 0; i < points; i++) {
          out[at + 6 * i + 2 * axis] = slope.im[i * step]! / constants.omegaRho;
          out[at + 6 * i + 2 * axis + 1] = -slope.re[i * step]! / constants.omegaRho;
        }
      }
      return;
    case 'Intensity':
      // ½·Re(p·v*) = ½·Im(p*·∇p)/(ωρ)
      for (let axis = 0; axis < 3; axis++) {
        const slope = fields[1 + axis]!;
        for (let i = 0; i < points; i++) {
          const flow = re[i * step]! * slope.im[i * step]! - im[i * step]! * slope.re[i * step]!;
          out[at + 3 * i + axis] = flow / (2 * constants.omegaRho);
        }
      }
      return;
    case 'GorkovPotential':
      for (let i = 0; i < points; i++) {
        const n = i * step;
        let slope = 0;
        for (let axis = 1; axis < 4; axis++) slope += fields[axis]!.re[n]! ** 2 + fields[axis]!.im[n]! ** 2;
        out[at + i] = constants.gorkov.ofPressure * (re[n]! ** 2 + im[n]! ** 2) + constants.gorkov.ofGradient * slope;
      }
      return;
    case 'Force':
    case 'Stiffness': {
      const along = quantity === 'Force' ? forceOf : stiffnessOf;
      let n = 0;
      const here: DerivativesAtPoint = { re: (m) => fields[m]!.re[n]!, im: (m) => fields[m]!.im[n]! };
      for (let i = 0; i < points; i++) {
        n = i * step;
        for (let axis = 0; axis < 3; axis++) out[at + 3 * i + axis] = along(here, constants.gorkov, axis);
      }
    }
  }
}
