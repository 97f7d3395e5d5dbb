// Sound power of an array, and the heating it could cause in tissue.
import { bowlOf, farFieldOf } from './bowl.ts';
import { directivityOf } from './directivity.ts';
import type { Medium } from './medium.ts';
import type { Drive, Emitters } from './sources.ts';

const steps = 400;

/**
 * Watts that the elements radiate to their front, each as if it were alone: (A·D)²/(2ρc) integrated over the half sphere
 * in 1 m. (Kinsler et al., "Fundamentals of Acoustics", 4th ed., section 7.4.)
 */
export function radiatedPower(emitters: Emitters, { amplitudes }: Drive, { density, soundSpeed }: Medium): number {
  const { pressureAt1m, response } = emitters;
  const gain = farGainOf(emitters);
  // Over u = cos θ from 0 to 1, by the midpoint rule.
  let spread = 0;
  for (let i = 0; i < steps; i++) spread += gain((i + 0.5) / steps) ** 2 / steps;
  const loudness = amplitudes.reduce((sum, each, t) => sum + (each * (response?.amplitudes[t] ?? 1)) ** 2, 0);
  return (2 * Math.PI * spread * loudness * pressureAt1m ** 2) / (2 * density * soundSpeed);
}

/** Amplitude times distance, by the cosine of the angle to the axis. */
function farGainOf({ pattern, radius, wavenumber }: Emitters): (cosine: number) => number {
  if (pattern.type === 'Focused') {
    const points = bowlOf({ radius, focalLength: pattern.focalLength }, wavenumber);
    return (cosine) => farFieldOf(points, wavenumber, cosine);
  }
  const directivity = directivityOf(pattern);
  return (cosine) => directivity.gain(cosine ** 2);
}

/**
 * Soft-tissue thermal index at the surface: power times frequency over 210 mW·MHz. (IEC 62359:2017, TIS of scanned
 * apertures.) The standard takes the power through one square centimetre; that of the whole array is above it.
 */
export function thermalIndexOf(power: number, frequency: number): number {
  return (power * 1e3 * frequency) / 1e6 / 210;
}
