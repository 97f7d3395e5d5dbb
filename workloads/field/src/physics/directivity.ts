// How loud an element is off its axis, as an even function of the angle: exact for the reference, a polynomial for kernels.

/** What a pattern is made of: plain data, which other threads take. */
export type Pattern =
  | { readonly type: 'Piston'; readonly ka: number }
  | { readonly type: 'Omnidirectional' }
  /** Of each of the points that stand for a bowl. */
  | { readonly type: 'Focused'; readonly focalLength: number }
  | { readonly type: 'Measured'; readonly angles: readonly number[]; readonly gains: readonly number[] };

/** Gain from cos² of the angle to the element's normal, with its slope. */
export interface Directivity {
  gain(cosSquared: number): number;
  /** Derivative of `gain` by cosSquared. */
  slope(cosSquared: number): number;
  /** Second derivative. */
  curvature(cosSquared: number): number;
  /** Third derivative. */
  third(cosSquared: number): number;
}

export function directivityOf(pattern: Pattern): Directivity {
  switch (pattern.type) {
    case 'Piston':
      return piston(pattern.ka);
    case 'Measured':
      return measured(pattern.angles, pattern.gains);
    default:
      return omnidirectional;
  }
}

/**
 * Baffled circular piston, 2·J1(x)/x with x = ka·sin θ.
 * (Kinsler et al., Fundamentals of Acoustics, 4th ed., eq. 7.4.17.)
 */
export function piston(ka: number): Directivity {
  const quarter = (ka * ka) / 4;
  return {
    gain: (cosSquared) => besselQuotient(quarter * (1 - cosSquared), 1),
    slope: (cosSquared) => quarter * besselQuotient(quarter * (1 - cosSquared), 2),
    curvature: (cosSquared) => quarter ** 2 * besselQuotient(quarter * (1 - cosSquared), 3),
    third: (cosSquared) => quarter ** 3 * besselQuotient(quarter * (1 - cosSquared), 4),
  };
}

export const omnidirectional: Directivity = {
  gain: () => 1,
  slope: () => 0,
  curvature: () => 0,
  third: () => 0,
};

/** Through measured gains, smoothed to a polynomial of degree 8 in cos²; angles in radians, rising from 0. Beyond the last, its gain. */
export function measured(angles: readonly number[], gains: readonly number[]): Directivity {
  const gain = (cosSquared: number): number => {
    const angle = Math.acos(Math.sqrt(Math.min(1, Math.max(0, cosSquared))));
    const above = angles.findIndex((each) => each >= angle);
    if (above === -1) return gains.at(-1) ?? 1;
    const low = angles[above - 1];
    const high = angles[above] ?? 0;
    if (low === undefined) return gains[above] ?? 1;
    const part = (angle - low) / (high - low);
    return (gains[above - 1] ?? 1) * (1 - part) + (gains[above] ?? 1) * part;
  };
  const smooth = fitPolynomial(gain, 8);
  const slope = derivative(smooth);
  const curvature = derivative(slope);
  const third = derivative(curvature);
  // The polynomial is what is computed with everywhere, so that value and slope belong together.
  return {
    gain: (cosSquared) => horner(smooth, cosSquared - 0.5),
    slope: (cosSquared) => horner(slope, cosSquared - 0.5),
    curvature: (cosSquared) => horner(curvature, cosSquared - 0.5),
    third: (cosSquared) => horner(third, cosSquared - 0.5),
  };
}

/** Degrees that the kernels take, lowest first; the lowest that is accurate is used. */
const degrees = [5, 8, 11, 15, 23, 31] as const;

/**
 * Coefficients in powers of cos²θ - 1/2, lowest first, within `tolerance` of the gain everywhere.
 * Undefined when no degree is: then only the reference computes it.
 */
export function directivityPolynomial(directivity: Directivity, tolerance = 1e-6): Float64Array | undefined {
  for (const degree of degrees) {
    const coefficients = fitPolynomial((q) => directivity.gain(q), degree);
    // In 32 bits the sum of magnitudes bounds what rounding does to the result.
    const magnitude = coefficients.reduce((sum, c, i) => sum + Math.abs(c) * 0.5 ** i, 0);
    if (magnitude * 2 ** -23 > 20 * tolerance) continue;
    let worst = 0;
    for (let i = 0; i <= 400; i++) {
      worst = Math.max(worst, Math.abs(horner(coefficients, i / 400 - 0.5) - directivity.gain(i / 400)));
    }
    if (worst <= tolerance) return coefficients;
  }
  return undefined;
}

/**
 * J_n(2√u)/u^(n/2) = Σ (-u)^m / (m!·(m+n)!), the power series where it does not cancel, Bessel functions beyond. Its
 * derivative by u is minus that of n + 1; for n = 1 it is the piston's 2·J1(x)/x at x = 2√u.
 */
function besselQuotient(u: number, n: 1 | 2 | 3 | 4): number {
  if (u > 30) return besselJ(n, 2 * Math.sqrt(u)) / u ** (n / 2);
  let term = [1, 1 / 2, 1 / 6, 1 / 24][n - 1]!;
  let sum = term;
  for (let m = 1; m < 60 && Math.abs(term) > 1e-18; m++) {
    term *= -u / (m * (m + n));
    sum += term;
  }
  return sum;
}

/** From where Hankel's expansion leaves less than rounding does, for n up to 4. */
const farArgument = 30;

/** In at most some 60 terms at any x. */
function besselJ(n: number, x: number): number {
  return x > farArgument ? besselFar(n, x) : besselIntegral(n, x);
}

/** (1/π)∫ cos(nτ - x·sin τ) dτ over 0…π by the trapezoid rule, which converges exponentially for periodic functions. */
function besselIntegral(n: number, x: number): number {
  const steps = 32 + Math.ceil(x);
  let sum = (1 + Math.cos(n * Math.PI)) / 2;
  for (let i = 1; i < steps; i++) {
    const tau = (i * Math.PI) / steps;
    sum += Math.cos(n * tau - x * Math.sin(tau));
  }
  return sum / steps;
}

/** √(2/πx)·(P·cos χ - Q·sin χ) with χ = x - (n/2 + 1/4)π. (Abramowitz & Stegun, 9.2.5, 9.2.9 and 9.2.10.) */
function besselFar(n: number, x: number): number {
  const chi = x - (n / 2 + 0.25) * Math.PI;
  let p = 1;
  let q = 0;
  let term = 1;
  for (let k = 1; k < 2 * farArgument && Math.abs(term) > 1e-17; k++) {
    term *= (4 * n * n - (2 * k - 1) ** 2) / (8 * k * x);
    // The signs of the terms go + + - -, by turns to P and Q.
    const signed = k % 4 < 2 ? term : -term;
    if (k % 2 === 0) p += signed;
    else q += signed;
  }
  return Math.sqrt(2 / (Math.PI * x)) * (p * Math.cos(chi) - q * Math.sin(chi));
}

/** Interpolation at Chebyshev nodes of [0, 1], in powers of q - 1/2. */
function fitPolynomial(f: (q: number) => number, degree: number): Float64Array {
  const n = degree + 1;
  const values = Array.from({ length: n }, (_, k) => f(0.5 + 0.5 * Math.cos((Math.PI * (k + 0.5)) / n)));
  const chebyshev = Array.from({ length: n }, (_, j) => {
    const sum = values.reduce((total, value, k) => total + value * Math.cos((Math.PI * j * (k + 0.5)) / n), 0);
    return ((j === 0 ? 1 : 2) * sum) / n;
  });
  // T_j in powers of v, then v = 2u.
  const powers = new Float64Array(n);
  let previous = new Float64Array(n);
  let current = new Float64Array(n);
  previous[0] = 1;
  if (n > 1) current[1] = 1;
  for (let j = 0; j < n; j++) {
    const basis = j === 0 ? previous : current;
    for (let i = 0; i < n; i++) powers[i] = powers[i]! + chebyshev[j]! * basis[i]!;
    if (j > 0) {
      const next = new Float64Array(n);
      for (let i = 0; i < n; i++) next[i] = 2 * (i > 0 ? current[i - 1]! : 0) - previous[i]!;
      previous = current;
      current = next;
    }
  }
  return powers.map((c, i) => c * 2 ** i);
}

export function horner(coefficients: Float64Array, u: number): number {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * u + coefficients[i]!;
  return sum;
}

function derivative(coefficients: Float64Array): Float64Array {
  return coefficients.slice(1).map((c, i) => c * (i + 1));
}
