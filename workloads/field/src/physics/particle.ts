// What small spheres feel in a field: Gor'kov's potential, and the intensity and velocity of the medium itself.
import type { Medium } from './medium.ts';

export interface Particle {
  /** Metres; the formulas hold for spheres much smaller than the wavelength. */
  readonly radius: number;
  /** kg/m³ */
  readonly density: number;
  /** m/s */
  readonly soundSpeed: number;
}

/** Weights of |p|² and |∇p|² (peak amplitudes) in the potential. */
export interface Gorkov {
  readonly ofPressure: number;
  readonly ofGradient: number;
}

/**
 * U = V·[f1·κ/2·⟨p²⟩ - 3/4·f2·ρ·⟨v²⟩], joules, with ⟨p²⟩ = |p|²/2 and v = ∇p/(iωρ).
 * (Bruus, "Acoustofluidics 7", Lab on a Chip 12 (2012) 1014, eqs. 24 to 26.)
 */
export function gorkov(particle: Particle, medium: Medium, frequency: number): Gorkov {
  const volume = (4 / 3) * Math.PI * particle.radius ** 3;
  const compressibility = 1 / (medium.density * medium.soundSpeed ** 2);
  const own = 1 / (particle.density * particle.soundSpeed ** 2);
  const f1 = 1 - own / compressibility;
  const ratio = particle.density / medium.density;
  const f2 = (2 * (ratio - 1)) / (2 * ratio + 1);
  const omega = 2 * Math.PI * frequency;
  return {
    ofPressure: (volume * f1 * compressibility) / 4,
    ofGradient: (-3 * volume * f2) / (8 * medium.density * omega ** 2),
  };
}
