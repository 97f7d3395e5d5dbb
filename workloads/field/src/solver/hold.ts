// Stiffness as an objective: how firmly traps hold a particle, and how that changes with the field.
import { derivativeCounts, stiffnessOf, stiffnessSlope } from '../physics/derivatives.ts';
import { type ComplexVector, complexVector, multiply, multiplyAdjoint } from './matrix.ts';
import type { Hold } from './targets.ts';

/** How far the stiffest axes are looked past: with infinity the weakest alone would count. */
const sharpness = 6;

/**
 * Minus the smallest stiffness along any axis of any hold over its weight, softly, in units of their mean at the first call; its
 * slope by the drive (as `multiplyAdjoint` gives one) is added to `back`. Marzo et al. (Nature Communications 6 (2015) 8661,
 * eq. 1) maximise the weighted sum of the three instead, which lets one of them go.
 */
export function holdObjective(
  holds: readonly Hold[],
  columns: number,
): (x: ComplexVector, back: ComplexVector) => number {
  const here = holds.map(() => complexVector(derivativeCounts[3]));
  const pull = complexVector(derivativeCounts[3]);
  const share = complexVector(columns);
  let unit = 0;
  return (x, back) => {
    const stiffness = holds.flatMap(({ derivatives, gorkov, weight }, n) => {
      const values = here[n]!;
      multiply(derivatives, x, values);
      const at = { re: (m: number) => values.re[m]!, im: (m: number) => values.im[m]! };
      return [0, 1, 2].map((axis) => stiffnessOf(at, gorkov, axis) / weight);
    });
    unit ||= stiffness.reduce((sum, each) => sum + Math.abs(each), 0) / stiffness.length || 1;
    const least = Math.min(...stiffness);
    const shares = stiffness.map((each) => Math.exp((-sharpness * (each - least)) / unit));
    const whole = shares.reduce((sum, each) => sum + each, 0);
    holds.forEach(({ derivatives, gorkov, weight }, n) => {
      pull.re.fill(0);
      pull.im.fill(0);
      for (let axis = 0; axis < 3; axis++) {
        stiffnessSlope(here[n]!, gorkov, axis, -shares[3 * n + axis]! / whole / weight / unit, pull);
      }
      multiplyAdjoint(derivatives, pull, share);
      for (let t = 0; t < columns; t++) {
        back.re[t]! += share.re[t]!;
        back.im[t]! += share.im[t]!;
      }
    });
    return -least / unit + Math.log(whole) / sharpness;
  };
}
