// Pressure with all its spatial derivatives up to the third order, analytic, and what a small sphere feels by them.
import type { Gorkov } from './particle.ts';
import type { Sources } from './sources.ts';

/** Complex numbers up to each order of derivatives: p; x, y, z; xx, yy, zz, xy, xz, yz; and the third ones. */
export const derivativeCounts = [1, 4, 10, 20] as const;

/** Axes of each derivative, in the order in which they are written. */
export const derivativeAxes: readonly (readonly number[])[] = [
  [],
  [0],
  [1],
  [2],
  [0, 0],
  [1, 1],
  [2, 2],
  [0, 1],
  [0, 2],
  [1, 2],
  [0, 0, 0],
  [1, 1, 1],
  [2, 2, 2],
  [0, 0, 1],
  [0, 0, 2],
  [0, 1, 1],
  [1, 1, 2],
  [0, 2, 2],
  [1, 2, 2],
  [0, 1, 2],
];

/** Place of ∂²p/∂i∂j. */
const second: readonly (readonly number[])[] = [
  [4, 7, 8],
  [7, 5, 9],
  [8, 9, 6],
];

/** Place of ∂³p/∂i∂j². */
const third: readonly (readonly number[])[] = [
  [10, 15, 17],
  [13, 11, 18],
  [14, 16, 12],
];

/**
 * Real and imaginary parts of the pressure (Pa) and its derivatives (Pa/mⁿ) at (x, y, z) metres, to `out`.
 *
 * A source's wave depends on its path r by σ = r²/2 and h = n·r alone: G(σ, h) = f(σ)·P(h²/2σ), with f the spherical
 * wave and P the directivity. So ∂ᵢ = rᵢ·∂σ + nᵢ·∂h, and the higher ones by the product rule. Exact for paths longer than
 * `nearest`.
 * @param order 1 to 3. @param out twice `derivativeCounts[order]` numbers.
 */
export function derivativesAt(
  sources: Sources,
  order: 1 | 2 | 3,
  x: number,
  y: number,
  z: number,
  out: Float64Array,
): void {
  const { count, positions, normals, amplitudes, phases, directivity, wavenumber, attenuation, nearest } = sources;
  const numbers = derivativeCounts[order];
  out.fill(0, 0, 2 * numbers);
  const r = new Float64Array(3);
  const n = new Float64Array(3);
  for (let s = 0; s < count; s++) {
    for (let axis = 0; axis < 3; axis++) n[axis] = normals[axis * count + s]!;
    r[0] = x - positions[s]!;
    r[1] = y - positions[count + s]!;
    r[2] = z - positions[2 * count + s]!;
    const d = Math.sqrt(r[0] ** 2 + r[1] ** 2 + r[2] ** 2);
    const far = Math.max(d, nearest);
    const h = n[0]! * r[0] + n[1]! * r[1] + n[2]! * r[2];
    const square = far * far;
    const inverse = 1 / square;
    const q = h * h * inverse;
    const size = (amplitudes[s]! / far) * Math.exp(-attenuation * d);
    const angle = wavenumber * d + phases[s]!;
    const fRe = size * Math.cos(angle);
    const fIm = size * Math.sin(angle);

    // f' = f·(w - 1)/r², f'' = f·(w² - 3w + 3)/r⁴, f''' = f·(w³ - 6w² + 15w - 15)/r⁶ by σ, where w = (i·k - α)·r.
    const wRe = -attenuation * far;
    const wIm = wavenumber * far;
    const w2Re = wRe * wRe - wIm * wIm;
    const w2Im = 2 * wRe * wIm;
    const g1 = inverse;
    const a1Re = (wRe - 1) * g1;
    const a1Im = wIm * g1;
    const g2 = inverse * inverse;
    const a2Re = (w2Re - 3 * wRe + 3) * g2;
    const a2Im = (w2Im - 3 * wIm) * g2;

    const p0 = directivity.gain(q);
    const p1 = directivity.slope(q);
    const qh = 2 * h * inverse;
    const qs = -2 * q * inverse;
    const dh = p1 * qh;
    const ds = p1 * qs;
    const sRe = a1Re * p0 + ds;
    const sIm = a1Im * p0;
    add(out, 0, fRe, fIm, p0, 0);
    for (let i = 0; i < 3; i++) add(out, 1 + i, fRe, fIm, r[i]! * sRe + n[i]! * dh, r[i]! * sIm);
    if (order === 1) continue;

    const p2 = directivity.curvature(q);
    const qhh = 2 * inverse;
    const qsh = -4 * h * g2;
    const qss = 8 * q * g2;
    const dhh = p2 * qh * qh + p1 * qhh;
    const dsh = p2 * qs * qh + p1 * qsh;
    const dss = p2 * qs * qs + p1 * qss;
    const shRe = a1Re * dh + dsh;
    const shIm = a1Im * dh;
    const ssRe = a2Re * p0 + 2 * a1Re * ds + dss;
    const ssIm = a2Im * p0 + 2 * a1Im * ds;
    for (let m = 4; m < 10; m++) {
      const axes = derivativeAxes[m]!;
      const i = axes[0]!;
      const j = axes[1]!;
      const rr = r[i]! * r[j]!;
      const rn = r[i]! * n[j]! + n[i]! * r[j]!;
      const same = i === j ? 1 : 0;
      add(
        out,
        m,
        fRe,
        fIm,
        rr * ssRe + rn * shRe + n[i]! * n[j]! * dhh + same * sRe,
        rr * ssIm + rn * shIm + same * sIm,
      );
    }
    if (order === 2) continue;

    const p3 = directivity.third(q);
    const w3Re = w2Re * wRe - w2Im * wIm;
    const w3Im = w2Re * wIm + w2Im * wRe;
    const g3 = g2 * inverse;
    const a3Re = (w3Re - 6 * w2Re + 15 * wRe - 15) * g3;
    const a3Im = (w3Im - 6 * w2Im + 15 * wIm) * g3;
    const dhhh = p3 * qh ** 3 + 3 * p2 * qh * qhh;
    const dshh = p3 * qs * qh * qh + p2 * (qs * qhh + 2 * qh * qsh) - 4 * p1 * g2;
    const dssh = p3 * qs * qs * qh + p2 * (qh * qss + 2 * qs * qsh) + 16 * p1 * h * g3;
    const dsss = p3 * qs ** 3 + 3 * p2 * qs * qss - 48 * p1 * q * g3;
    const shhRe = a1Re * dhh + dshh;
    const shhIm = a1Im * dhh;
    const sshRe = a2Re * dh + 2 * a1Re * dsh + dssh;
    const sshIm = a2Im * dh + 2 * a1Im * dsh;
    const sssRe = a3Re * p0 + 3 * a2Re * ds + 3 * a1Re * dss + dsss;
    const sssIm = a3Im * p0 + 3 * a2Im * ds + 3 * a1Im * dss;
    for (let m = 10; m < 20; m++) {
      const axes = derivativeAxes[m]!;
      const i = axes[0]!;
      const j = axes[1]!;
      const k = axes[2]!;
      const rrr = r[i]! * r[j]! * r[k]!;
      const rrn = r[i]! * r[j]! * n[k]! + r[i]! * n[j]! * r[k]! + n[i]! * r[j]! * r[k]!;
      const rnn = r[i]! * n[j]! * n[k]! + n[i]! * r[j]! * n[k]! + n[i]! * n[j]! * r[k]!;
      const ij = i === j ? 1 : 0;
      const ik = i === k ? 1 : 0;
      const jk = j === k ? 1 : 0;
      const dr = ij * r[k]! + ik * r[j]! + jk * r[i]!;
      const dn = ij * n[k]! + ik * n[j]! + jk * n[i]!;
      add(
        out,
        m,
        fRe,
        fIm,
        rrr * sssRe + rrn * sshRe + rnn * shhRe + n[i]! * n[j]! * n[k]! * dhhh + dr * ssRe + dn * shRe,
        rrr * sssIm + rrn * sshIm + rnn * shhIm + dr * ssIm + dn * shIm,
      );
    }
  }
}

/** out[m] += f·g */
function add(out: Float64Array, m: number, fRe: number, fIm: number, gRe: number, gIm: number): void {
  out[2 * m]! += fRe * gRe - fIm * gIm;
  out[2 * m + 1]! += fRe * gIm + fIm * gRe;
}

/** One of the derivatives at a place: real and imaginary part of number `m`. */
export interface DerivativesAtPoint {
  re(m: number): number;
  im(m: number): number;
}

/** Force along `axis`, newtons: minus the slope of Gor'kov's potential. Needs the second derivatives. */
export function forceOf(at: DerivativesAtPoint, { ofPressure, ofGradient }: Gorkov, axis: number): number {
  const both = (a: number, b: number): number => at.re(a) * at.re(b) + at.im(a) * at.im(b);
  let slopes = 0;
  for (let k = 0; k < 3; k++) slopes += both(1 + k, second[k]![axis]!);
  return -2 * (ofPressure * both(0, 1 + axis) + ofGradient * slopes);
}

/**
 * How `stiffnessOf` changes with the derivatives it is made of, times `by`, added to `out`: a change d of them changes it by the
 * real part of Σ out*·d.
 */
export function stiffnessSlope(
  { re, im }: { readonly re: Float64Array; readonly im: Float64Array },
  { ofPressure, ofGradient }: Gorkov,
  axis: number,
  by: number,
  out: { readonly re: Float64Array; readonly im: Float64Array },
): void {
  const product = (a: number, b: number, weight: number): void => {
    for (const [to, from] of [
      [a, b],
      [b, a],
    ] as const) {
      out.re[to]! += weight * re[from]!;
      out.im[to]! += weight * im[from]!;
    }
  };
  product(1 + axis, 1 + axis, 2 * by * ofPressure);
  product(0, second[axis]![axis]!, 2 * by * ofPressure);
  for (let k = 0; k < 3; k++) {
    const mixed = second[k]![axis]!;
    product(mixed, mixed, 2 * by * ofGradient);
    product(1 + k, third[k]![axis]!, 2 * by * ofGradient);
  }
}

/** Stiffness along `axis`, N/m: the second derivative of Gor'kov's potential, positive where it holds. Needs the third derivatives. */
export function stiffnessOf(at: DerivativesAtPoint, { ofPressure, ofGradient }: Gorkov, axis: number): number {
  const both = (a: number, b: number): number => at.re(a) * at.re(b) + at.im(a) * at.im(b);
  const own = second[axis]![axis]!;
  let slopes = 0;
  for (let k = 0; k < 3; k++) {
    const mixed = second[k]![axis]!;
    slopes += both(mixed, mixed) + both(1 + k, third[k]![axis]!);
  }
  return 2 * (ofPressure * (both(1 + axis, 1 + axis) + both(0, own)) + ofGradient * slopes);
}
