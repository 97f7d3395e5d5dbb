// From pressure and gradient along a row to the quantities that are stored.

import type { Volume } from '../volume/layout.ts';
import type { ArrayDescription } from '../zarr/array.ts';

export type StoredQuantity = 'Pressure' | 'Intensity' | 'Velocity' | 'GorkovPotential';

interface QuantityFormat {
  readonly array: string;
  readonly dataType: 'complex64' | 'float32';
  /** 3 for a vector along x, y, z. */
  readonly components: 1 | 3;
  readonly unit: string;
  readonly description: string;
  readonly needsGradient: boolean;
}

export const formats: Readonly<Record<StoredQuantity, QuantityFormat>> = {
  Pressure: {
    array: 'pressure',
    dataType: 'complex64',
    components: 1,
    unit: 'Pa',
    description: 'complex peak pressure; the wave is its real part times exp(-i·omega·t)',
    needsGradient: false,
  },
  Intensity: {
    array: 'intensity',
    dataType: 'float32',
    components: 3,
    unit: 'W m-2',
    description: 'active intensity',
    needsGradient: true,
  },
  Velocity: {
    array: 'velocity',
    dataType: 'complex64',
    components: 3,
    unit: 'm s-1',
    description: 'complex peak particle velocity',
    needsGradient: true,
  },
  GorkovPotential: {
    array: 'gorkov_potential',
    dataType: 'float32',
    components: 1,
    unit: 'J',
    description: "Gor'kov potential of the particle",
    needsGradient: true,
  },
};

/** What the formulas need to know of medium and particle. */
export interface Constants {
  /** rad/s times kg/m³ */
  readonly omegaRho: number;
  readonly gorkovOfPressure: number;
  readonly gorkovOfGradient: number;
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

/**
 * Writes `points` points of one row to `out` from float `at` on.
 * @param parts real and imaginary parts of p and, when the quantity needs them, of ∂p/∂x, ∂p/∂y, ∂p/∂z.
 */
export function writeRow(
  quantity: StoredQuantity,
  parts: readonly Float32Array[],
  constants: Constants,
  out: Float32Array,
  at: number,
): void {
  const [re, im] = parts as [Float32Array, Float32Array];
  switch (quantity) {
    case 'Pressure':
      for (let i = 0; i < re.length; i++) {
        out[at + 2 * i] = re[i]!;
        out[at + 2 * i + 1] = im[i]!;
      }
      return;
    case 'Velocity':
      // v = ∇p/(iωρ)
      for (let axis = 0; axis < 3; axis++) {
        const slopeRe = parts[2 + 2 * axis]!;
        const slopeIm = parts[3 + 2 * axis]!;
        for (let i = 0; i < re.length; i++) {
          out[at + 6 * i + 2 * axis] = slopeIm[i]! / constants.omegaRho;
          out[at + 6 * i + 2 * axis + 1] = -slopeRe[i]! / constants.omegaRho;
        }
      }
      return;
    case 'Intensity':
      // ½·Re(p·v*) = ½·Im(p*·∇p)/(ωρ)
      for (let axis = 0; axis < 3; axis++) {
        const slopeRe = parts[2 + 2 * axis]!;
        const slopeIm = parts[3 + 2 * axis]!;
        for (let i = 0; i < re.length; i++) {
          out[at + 3 * i + axis] = (re[i]! * slopeIm[i]! - im[i]! * slopeRe[i]!) / (2 * constants.omegaRho);
        }
      }
      return;
    case 'GorkovPotential':
      for (let i = 0; i < re.length; i++) {
        let slope = 0;
        for (let part = 2; part < 8; part++) slope += parts[part]![i]! ** 2;
        out[at + i] = constants.gorkovOfPressure * (re[i]! ** 2 + im[i]! ** 2) + constants.gorkovOfGradient * slope;
      }
  }
}
