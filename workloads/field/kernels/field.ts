// The direct sum over sources, several points of a row at a time, in 32-bit floats.
//
// Lengths are in half wavelengths, so that the phase of a wave is pi times its path. For each source s and point r,
// with d = |r - s|, c = n·(r - s) and q = (c/d)², the pressure is
//     amplitude / d · P(q - 1/2) · exp(-absorption·d) · exp(i·pi·(d + phase))
// where the polynomial P is the directivity. Closer than `nearest`, d in the amplitude stays `nearest`.
//
// What depends on the row alone (y and z) is prepared per source in 64-bit floats. Every operation is a plain rounded
// one, in a fixed order per point: the same bits on every machine and for every partition of a volume.

let count: i32 = 0; // sources
let position: usize = 0; // f64[6][count]: x, y, z, then the normal's x, y, z
let lane: usize = 0; // f32[8][count]: x, normal's x, phase, amplitude; then per row rho², h, y and z of the path
let normal: usize = 0; // f32[2][count]: the normal's y and z
let stride: usize = 0; // bytes of one f32 array
let directivity: usize = 0; // f32[degree + 1], lowest first
let degree: i32 = 0; // at least 5
let nearest: f32 = 0;
let absorption: f32 = 0; // nepers per half wavelength
let decay: usize = 0; // f32[6]: exp(-absorption·d/8) as a polynomial in d - middle, then the middle
let exact: bool = false; // paths in 64-bit floats, for more wavelengths than 32 bits tell apart

/** Sets what all rows share: pointers into this memory, counts, lengths in half wavelengths. */
export function configure(
  sources: i32, positions: usize, lanes: usize, coefficients: usize, highest: i32,
  nearestPath: f32, absorb: f32, decayCoefficients: usize, exactPaths: bool,
): void {
  count = sources;
  position = positions;
  lane = lanes;
  stride = <usize>sources << 2;
  normal = lanes + 8 * stride;
  directivity = coefficients;
  degree = highest;
  nearest = nearestPath;
  absorption = absorb;
  decay = decayCoefficients;
  exact = exactPaths;
}

// Constants live in memory: V8 rebuilds a vector literal at each use, while a loaded one stays on the stack.
// sin(pi·r) = r·S(r²) within 1.2e-6 and cos(pi·r) = C(r²) within 5e-8 on |r| ≤ 1/2, by interpolation at Chebyshev nodes.
const sinTable = memory.data<f32>([3.1415902567479046, -5.167405766362028, 2.5440002161871957, -0.5594350008334747]);
const cosTable = memory.data<f32>([
  0.9999999530275124, -4.934792802489462, 4.058410790762683, -1.3318729727880956, 0.21968242357666407,
]);
// Adding and subtracting 1.5·2^23 rounds to the nearest integer; the sum's lowest bit is then that integer's.
const numbers = memory.data<f32>([0.5, 1.0, 12582912.0, 3.1415926535897931]);

/**
 * Pressure at `points` points (a multiple of 8) of the row (x[i], y, z).
 * @param x32 f32[points] coordinates. @param x64 the same as f64, read only when paths are exact.
 * @param out f32[2][points]: real parts, imaginary parts.
 */
export function pressure(x32: usize, x64: usize, points: i32, y: f64, z: f64, out: usize): void {
  prepare(y, z, false);
  const outIm = out + (<usize>points << 2);
  const s0 = v128.load32_splat(sinTable);
  const s1 = v128.load32_splat(sinTable, 4);
  const s2 = v128.load32_splat(sinTable, 8);
  const s3 = v128.load32_splat(sinTable, 12);
  const c0 = v128.load32_splat(cosTable);
  const c1 = v128.load32_splat(cosTable, 4);
  const c2 = v128.load32_splat(cosTable, 8);
  const c3 = v128.load32_splat(cosTable, 12);
  const c4 = v128.load32_splat(cosTable, 16);
  const half = v128.load32_splat(numbers);
  const one = v128.load32_splat(numbers, 4);
  const round = v128.load32_splat(numbers, 8);
  const near = f32x4.splat(nearest);
  const p0 = v128.load32_splat(directivity);
  const p1 = v128.load32_splat(directivity, 4);
  const p2 = v128.load32_splat(directivity, 8);
  const p3 = v128.load32_splat(directivity, 12);
  const p4 = v128.load32_splat(directivity, 16);
  const p5 = v128.load32_splat(directivity, 20);
  const long = degree > 5;
  const absorbing = absorption != 0;
  const exactly = exact;
  const step = stride;
  const end = lane + step;
  for (let i = 0; i < points; i += 8) {
    const at = <usize>i << 2;
    const xA = v128.load(x32 + at);
    const xB = v128.load(x32 + at, 16);
    let reA = f32x4.splat(0);
    let imA = f32x4.splat(0);
    let reB = f32x4.splat(0);
    let imB = f32x4.splat(0);
    for (let p = lane; p < end; p += 4) {
      const sx = v128.load32_splat(p);
      const nx = v128.load32_splat(p + step);
      const phase = v128.load32_splat(p + 2 * step);
      const amplitude = v128.load32_splat(p + 3 * step);
      const rho2 = v128.load32_splat(p + 4 * step);
      const h = v128.load32_splat(p + 5 * step);
      const dxA = f32x4.sub(xA, sx);
      const dxB = f32x4.sub(xB, sx);
      const dA = f32x4.sqrt(mulAdd(dxA, dxA, rho2));
      const dB = f32x4.sqrt(mulAdd(dxB, dxB, rho2));
      const invA = f32x4.div(one, f32x4.pmax(dA, near));
      const invB = f32x4.div(one, f32x4.pmax(dB, near));
      const cosA = f32x4.mul(mulAdd(nx, dxA, h), invA);
      const cosB = f32x4.mul(mulAdd(nx, dxB, h), invB);
      const uA = f32x4.sub(f32x4.mul(cosA, cosA), half);
      const uB = f32x4.sub(f32x4.mul(cosB, cosB), half);
      let wA = p5;
      let wB = p5;
      if (long) {
        wA = highTerms(uA);
        wB = highTerms(uB);
      }
      wA = mulAdd(mulAdd(mulAdd(mulAdd(mulAdd(wA, uA, p4), uA, p3), uA, p2), uA, p1), uA, p0);
      wB = mulAdd(mulAdd(mulAdd(mulAdd(mulAdd(wB, uB, p4), uB, p3), uB, p2), uB, p1), uB, p0);
      wA = f32x4.mul(wA, f32x4.mul(amplitude, invA));
      wB = f32x4.mul(wB, f32x4.mul(amplitude, invB));
      if (absorbing) {
        wA = f32x4.mul(wA, decayed(dA));
        wB = f32x4.mul(wB, decayed(dB));
      }
      let tA = f32x4.add(dA, phase);
      let tB = f32x4.add(dB, phase);
      if (exactly) {
        const x = x64 + (<usize>i << 3);
        tA = exactPath((p - lane) >> 2, x, y, z);
        tB = exactPath((p - lane) >> 2, x + 32, y, z);
      }
      const mA = f32x4.add(tA, round);
      const mB = f32x4.add(tB, round);
      const rA = f32x4.sub(tA, f32x4.sub(mA, round));
      const rB = f32x4.sub(tB, f32x4.sub(mB, round));
      const qA = f32x4.mul(rA, rA);
      const qB = f32x4.mul(rB, rB);
      // An odd number of half waves turns the sign.
      wA = v128.xor(wA, i32x4.shl(mA, 31));
      wB = v128.xor(wB, i32x4.shl(mB, 31));
      reA = mulAdd(mulAdd(mulAdd(mulAdd(mulAdd(c4, qA, c3), qA, c2), qA, c1), qA, c0), wA, reA);
      reB = mulAdd(mulAdd(mulAdd(mulAdd(mulAdd(c4, qB, c3), qB, c2), qB, c1), qB, c0), wB, reB);
      imA = mulAdd(f32x4.mul(mulAdd(mulAdd(mulAdd(s3, qA, s2), qA, s1), qA, s0), rA), wA, imA);
      imB = mulAdd(f32x4.mul(mulAdd(mulAdd(mulAdd(s3, qB, s2), qB, s1), qB, s0), rB), wB, imB);
    }
    v128.store(out + at, reA);
    v128.store(out + at, reB, 16);
    v128.store(outIm + at, imA);
    v128.store(outIm + at, imB, 16);
  }
}

/**
 * Pressure and its gradient (per half wavelength) at `points` points (a multiple of 4) of the row (x[i], y, z).
 * @param out f32[8][points]: real and imaginary parts of p, ∂p/∂x, ∂p/∂y, ∂p/∂z.
 */
export function gradient(x32: usize, x64: usize, points: i32, y: f64, z: f64, out: usize): void {
  prepare(y, z, true);
  const row = <usize>points << 2;
  const step = stride;
  const half = v128.load32_splat(numbers);
  const one = v128.load32_splat(numbers, 4);
  const round = v128.load32_splat(numbers, 8);
  const pi = v128.load32_splat(numbers, 12);
  const near = f32x4.splat(nearest);
  const absorb = f32x4.splat(absorption);
  const absorbing = absorption != 0;
  const exactly = exact;
  for (let i = 0; i < points; i += 4) {
    const at = <usize>i << 2;
    const x = v128.load(x32 + at);
    let pRe = f32x4.splat(0);
    let pIm = f32x4.splat(0);
    let xRe = f32x4.splat(0);
    let xIm = f32x4.splat(0);
    let yRe = f32x4.splat(0);
    let yIm = f32x4.splat(0);
    let zRe = f32x4.splat(0);
    let zIm = f32x4.splat(0);
    for (let s: usize = 0; s < step; s += 4) {
      const p = lane + s;
      const nx = v128.load32_splat(p + step);
      const dx = f32x4.sub(x, v128.load32_splat(p));
      const d = f32x4.sqrt(mulAdd(dx, dx, v128.load32_splat(p + 4 * step)));
      const inv = f32x4.div(one, f32x4.pmax(d, near));
      const cos = f32x4.mul(mulAdd(nx, dx, v128.load32_splat(p + 5 * step)), inv);
      const q = f32x4.mul(cos, cos);
      const u = f32x4.sub(q, half);
      // P and P' side by side.
      let value = v128.load32_splat(directivity + (<usize>degree << 2));
      let slope = f32x4.splat(0);
      for (let k = degree - 1; k >= 0; k--) {
        slope = mulAdd(slope, u, value);
        value = mulAdd(value, u, v128.load32_splat(directivity + (<usize>k << 2)));
      }
      let w = f32x4.mul(v128.load32_splat(p + 3 * step), inv);
      if (absorbing) w = f32x4.mul(w, decayed(d));

      let t = f32x4.add(d, v128.load32_splat(p + 2 * step));
      if (exactly) t = exactPath(s >> 2, x64 + (<usize>i << 3), y, z);
      const m = f32x4.add(t, round);
      const r = f32x4.sub(t, f32x4.sub(m, round));
      w = v128.xor(w, i32x4.shl(m, 31));
      const waveRe = f32x4.mul(cosine(f32x4.mul(r, r)), w);
      const waveIm = f32x4.mul(f32x4.mul(sine(f32x4.mul(r, r)), r), w);
      pRe = mulAdd(waveRe, value, pRe);
      pIm = mulAdd(waveIm, value, pIm);

      // ∇p = wave·((a + i·b)·path + 2·P'·cos/d · normal): a from 1/d, absorption and directivity, b from the phase.
      const turn = f32x4.mul(f32x4.mul(slope, cos), f32x4.add(inv, inv));
      const inward = f32x4.mul(value, f32x4.add(inv, absorb));
      const a = f32x4.neg(f32x4.mul(f32x4.add(inward, f32x4.mul(turn, cos)), inv));
      const b = f32x4.mul(f32x4.mul(value, pi), inv);
      const alongRe = f32x4.sub(f32x4.mul(waveRe, a), f32x4.mul(waveIm, b));
      const alongIm = f32x4.add(f32x4.mul(waveRe, b), f32x4.mul(waveIm, a));
      const turnRe = f32x4.mul(waveRe, turn);
      const turnIm = f32x4.mul(waveIm, turn);
      const dy = v128.load32_splat(p + 6 * step);
      const dz = v128.load32_splat(p + 7 * step);
      const ny = v128.load32_splat(normal + s);
      const nz = v128.load32_splat(normal + step + s);
      xRe = mulAdd(alongRe, dx, mulAdd(turnRe, nx, xRe));
      xIm = mulAdd(alongIm, dx, mulAdd(turnIm, nx, xIm));
      yRe = mulAdd(alongRe, dy, mulAdd(turnRe, ny, yRe));
      yIm = mulAdd(alongIm, dy, mulAdd(turnIm, ny, yIm));
      zRe = mulAdd(alongRe, dz, mulAdd(turnRe, nz, zRe));
      zIm = mulAdd(alongIm, dz, mulAdd(turnIm, nz, zIm));
    }
    const to = out + at;
    v128.store(to, pRe);
    v128.store(to + row, pIm);
    v128.store(to + 2 * row, xRe);
    v128.store(to + 3 * row, xIm);
    v128.store(to + 4 * row, yRe);
    v128.store(to + 5 * row, yIm);
    v128.store(to + 6 * row, zRe);
    v128.store(to + 7 * row, zIm);
  }
}

/**
 * Weighted sum of rows: out[i] = Σ weights[k]·rows[k][i], k in rising order.
 * @param rows pointers to the rows, u32[taps]. @param weights f32[taps]. @param floats of a row, a multiple of 8.
 */
export function combine(rows: usize, weights: usize, taps: i32, out: usize, floats: i32): void {
  const end = <usize>floats << 2;
  for (let i: usize = 0; i < end; i += 32) {
    let low = f32x4.splat(0);
    let high = f32x4.splat(0);
    for (let k: usize = 0; k < <usize>taps << 2; k += 4) {
      const row = <usize>load<u32>(rows + k) + i;
      const weight = v128.load32_splat(weights + k);
      low = mulAdd(weight, v128.load(row), low);
      high = mulAdd(weight, v128.load(row, 16), high);
    }
    v128.store(out + i, low);
    v128.store(out + i, high, 16);
  }
}

/**
 * Interpolates a row of complex numbers: out[i] = Σ weights[i][k]·row[starts[i] + k].
 * @param weights f32[points][2·taps], each weight twice, `taps` even. @param starts u32[points]. @param out complex[points].
 */
export function resample(row: usize, weights: usize, starts: usize, taps: i32, points: i32, out: usize): void {
  const bytes = <usize>taps << 3;
  for (let i: usize = 0; i < <usize>points; i++) {
    const from = row + (<usize>load<u32>(starts + (i << 2)) << 3);
    let sum = f32x4.splat(0);
    for (let k: usize = 0; k < bytes; k += 16) sum = mulAdd(v128.load(weights + k), v128.load(from + k), sum);
    weights += bytes;
    v128.store64_lane(out + (i << 3), f32x4.add(sum, v128.shuffle<f32>(sum, sum, 2, 3, 0, 1)), 0);
  }
}

/** What every point of the row (·, y, z) shares; two sources at a time, one for an odd last. */
function prepare(y: f64, z: f64, paths: bool): void {
  const n = <usize>count << 3;
  const ys = f64x2.splat(y);
  const zs = f64x2.splat(z);
  let s: usize = 0;
  for (; s + 1 < <usize>count; s += 2) {
    const at = position + (s << 3);
    const to = lane + (s << 2);
    const dy = f64x2.sub(ys, v128.load(at + n));
    const dz = f64x2.sub(zs, v128.load(at + 2 * n));
    const rho2 = f64x2.add(f64x2.mul(dy, dy), f64x2.mul(dz, dz));
    const h = f64x2.add(f64x2.mul(v128.load(at + 4 * n), dy), f64x2.mul(v128.load(at + 5 * n), dz));
    v128.store64_lane(to + 4 * stride, f32x4.demote_f64x2_zero(rho2), 0);
    v128.store64_lane(to + 5 * stride, f32x4.demote_f64x2_zero(h), 0);
    if (paths) {
      v128.store64_lane(to + 6 * stride, f32x4.demote_f64x2_zero(dy), 0);
      v128.store64_lane(to + 7 * stride, f32x4.demote_f64x2_zero(dz), 0);
    }
  }
  if (s < <usize>count) {
    const at = position + (s << 3);
    const to = lane + (s << 2);
    const dy = y - load<f64>(at + n);
    const dz = z - load<f64>(at + 2 * n);
    store<f32>(to + 4 * stride, <f32>(dy * dy + dz * dz));
    store<f32>(to + 5 * stride, <f32>(load<f64>(at + 4 * n) * dy + load<f64>(at + 5 * n) * dz));
    store<f32>(to + 6 * stride, <f32>dy);
    store<f32>(to + 7 * stride, <f32>dz);
  }
}

/** P(u) without its five lowest terms, by Horner. */
function highTerms(u: v128): v128 {
  let p = v128.load32_splat(directivity + (<usize>degree << 2));
  for (let k = degree - 1; k >= 5; k--) p = mulAdd(p, u, v128.load32_splat(directivity + (<usize>k << 2)));
  return p;
}

function decayed(d: v128): v128 {
  const u = f32x4.sub(d, v128.load32_splat(decay, 20));
  let p = mulAdd(v128.load32_splat(decay, 16), u, v128.load32_splat(decay, 12));
  p = mulAdd(p, u, v128.load32_splat(decay, 8));
  p = mulAdd(p, u, v128.load32_splat(decay, 4));
  p = mulAdd(p, u, v128.load32_splat(decay));
  p = f32x4.mul(p, p);
  p = f32x4.mul(p, p);
  return f32x4.mul(p, p);
}

/** Path plus phase from source s to four points in 64-bit floats, less the nearest even number. */
function exactPath(s: usize, x: usize, y: f64, z: f64): v128 {
  const n = <usize>count << 3;
  const at = position + (s << 3);
  const dy = y - load<f64>(at + n);
  const dz = z - load<f64>(at + 2 * n);
  const rho2 = f64x2.splat(dy * dy + dz * dz);
  const sx = f64x2.splat(load<f64>(at));
  const phase = f64x2.splat(<f64>load<f32>(lane + 2 * stride + (s << 2)));
  const low = exactPathOfTwo(f64x2.sub(v128.load(x), sx), rho2, phase);
  const high = exactPathOfTwo(f64x2.sub(v128.load(x, 16), sx), rho2, phase);
  return v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}

function exactPathOfTwo(dx: v128, rho2: v128, phase: v128): v128 {
  const t = f64x2.add(f64x2.sqrt(f64x2.add(f64x2.mul(dx, dx), rho2)), phase);
  const pairs = f64x2.nearest(f64x2.mul(t, f64x2.splat(0.5)));
  return f64x2.sub(t, f64x2.add(pairs, pairs));
}

// @ts-ignore: decorator
@inline
function mulAdd(a: v128, b: v128, c: v128): v128 {
  return f32x4.add(f32x4.mul(a, b), c);
}

// @ts-ignore: decorator
@inline
function cosine(q: v128): v128 {
  let p = mulAdd(v128.load32_splat(cosTable, 16), q, v128.load32_splat(cosTable, 12));
  p = mulAdd(p, q, v128.load32_splat(cosTable, 8));
  p = mulAdd(p, q, v128.load32_splat(cosTable, 4));
  return mulAdd(p, q, v128.load32_splat(cosTable));
}

/** sin(pi·r)/r from r². */
// @ts-ignore: decorator
@inline
function sine(q: v128): v128 {
  let p = mulAdd(v128.load32_splat(sinTable, 12), q, v128.load32_splat(sinTable, 8));
  p = mulAdd(p, q, v128.load32_splat(sinTable, 4));
  return mulAdd(p, q, v128.load32_splat(sinTable));
}
