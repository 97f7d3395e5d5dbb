// The direct sum at single points anywhere, four sources at a time: for queries that ask here and there, where no row is shared.
//
// Lengths are in half wavelengths, and the formula is that of field.ts. Paths and phases are taken in 64-bit floats, so that no
// distance is too long for them; amplitudes and what is left of a phase after whole turns in 32 bits.

let count: i32 = 0; // sources, a multiple of 4: the last ones may be silent
let place: usize = 0; // f64[4][count]: x, y, z, and the phase
let lane: usize = 0; // f32[4][count]: the normal's x, y, z, and the amplitude
let directivity: usize = 0; // f32[degree + 1], lowest first
let degree: i32 = 0; // at least 5
let nearest: f32 = 0;
let absorption: f32 = 0; // nepers per half wavelength

export function configure(
  sources: i32, places: usize, lanes: usize, coefficients: usize, highest: i32, nearestPath: f32, absorb: f32,
): void {
  count = sources;
  place = places;
  lane = lanes;
  directivity = coefficients;
  degree = highest;
  nearest = nearestPath;
  absorption = absorb;
}

// As in field.ts: constants of memory stay in registers. sin(pi·r)/r, cos(pi·r) and exp(-x) by polynomials in r² and x.
const sinTable = memory.data<f32>([3.1415902567479046, -5.167405766362028, 2.5440002161871957, -0.5594350008334747]);
const cosTable = memory.data<f32>([
  0.9999999530275124, -4.934792802489462, 4.058410790762683, -1.3318729727880956, 0.21968242357666407,
]);
const expTable = memory.data<f32>([1.0, -1.0, 0.5, -0.16666667, 0.041666667, -0.008333333]);

/** @param points f64[points][3]: x, y, z of each. @param out f32[points][2]: real and imaginary part of each. */
export function pressure(points: usize, many: i32, out: usize): void {
  const s0 = v128.load32_splat(sinTable);
  const s1 = v128.load32_splat(sinTable, 4);
  const s2 = v128.load32_splat(sinTable, 8);
  const s3 = v128.load32_splat(sinTable, 12);
  const c0 = v128.load32_splat(cosTable);
  const c1 = v128.load32_splat(cosTable, 4);
  const c2 = v128.load32_splat(cosTable, 8);
  const c3 = v128.load32_splat(cosTable, 12);
  const c4 = v128.load32_splat(cosTable, 16);
  const one = f32x4.splat(1);
  const half = f32x4.splat(0.5);
  const near = f32x4.splat(nearest);
  const p0 = v128.load32_splat(directivity);
  const p1 = v128.load32_splat(directivity, 4);
  const p2 = v128.load32_splat(directivity, 8);
  const p3 = v128.load32_splat(directivity, 12);
  const p4 = v128.load32_splat(directivity, 16);
  const p5 = v128.load32_splat(directivity, 20);
  const long = degree > 5;
  const absorbing = absorption != 0;
  const wide = <usize>count << 3;
  const narrow = <usize>count << 2;
  for (let i = 0; i < many; i++) {
    const x = v128.load64_splat(points);
    const y = v128.load64_splat(points, 8);
    const z = v128.load64_splat(points, 16);
    let re = f32x4.splat(0);
    let im = f32x4.splat(0);
    for (let s: usize = 0; s < narrow; s += 16) {
      const p = place + 2 * s;
      const xA = f64x2.sub(x, v128.load(p));
      const xB = f64x2.sub(x, v128.load(p, 16));
      const yA = f64x2.sub(y, v128.load(p + wide));
      const yB = f64x2.sub(y, v128.load(p + wide, 16));
      const zA = f64x2.sub(z, v128.load(p + 2 * wide));
      const zB = f64x2.sub(z, v128.load(p + 2 * wide, 16));
      const dA = f64x2.sqrt(squares(xA, yA, zA));
      const dB = f64x2.sqrt(squares(xB, yB, zB));
      const t = narrowed(
        withoutTurns(f64x2.add(dA, v128.load(p + 3 * wide))),
        withoutTurns(f64x2.add(dB, v128.load(p + 3 * wide, 16))),
      );
      const d = narrowed(dA, dB);
      const l = lane + s;
      const inv = f32x4.div(one, f32x4.pmax(d, near));
      let cos = f32x4.mul(v128.load(l), narrowed(xA, xB));
      cos = mulAdd(v128.load(l + narrow), narrowed(yA, yB), cos);
      cos = f32x4.mul(mulAdd(v128.load(l + 2 * narrow), narrowed(zA, zB), cos), inv);
      const u = f32x4.sub(f32x4.mul(cos, cos), half);
      let w = long ? highTerms(u) : p5;
      w = mulAdd(mulAdd(mulAdd(mulAdd(mulAdd(w, u, p4), u, p3), u, p2), u, p1), u, p0);
      w = f32x4.mul(w, f32x4.mul(v128.load(l + 3 * narrow), inv));
      if (absorbing) w = f32x4.mul(w, decayed(d));
      // Half a turn turns the sign.
      const m = f32x4.nearest(t);
      const r = f32x4.sub(t, m);
      w = v128.xor(w, i32x4.shl(i32x4.trunc_sat_f32x4_s(m), 31));
      const q = f32x4.mul(r, r);
      re = mulAdd(mulAdd(mulAdd(mulAdd(mulAdd(c4, q, c3), q, c2), q, c1), q, c0), w, re);
      im = mulAdd(f32x4.mul(mulAdd(mulAdd(mulAdd(s3, q, s2), q, s1), q, s0), r), w, im);
    }
    store<f32>(out, total(re));
    store<f32>(out, total(im), 4);
    points += 24;
    out += 8;
  }
}

// @ts-ignore: decorator
@inline
function squares(x: v128, y: v128, z: v128): v128 {
  return f64x2.add(f64x2.add(f64x2.mul(x, x), f64x2.mul(y, y)), f64x2.mul(z, z));
}

/** Less the nearest even number: -1 to 1. */
// @ts-ignore: decorator
@inline
function withoutTurns(t: v128): v128 {
  const turns = f64x2.nearest(f64x2.mul(t, f64x2.splat(0.5)));
  return f64x2.sub(t, f64x2.add(turns, turns));
}

// @ts-ignore: decorator
@inline
function narrowed(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(f32x4.demote_f64x2_zero(a), f32x4.demote_f64x2_zero(b), 0, 1, 4, 5);
}

// @ts-ignore: decorator
@inline
function mulAdd(a: v128, b: v128, c: v128): v128 {
  return f32x4.add(f32x4.mul(a, b), c);
}

/** P(u) without its five lowest terms, by Horner. */
function highTerms(u: v128): v128 {
  let p = v128.load32_splat(directivity + (<usize>degree << 2));
  for (let k = degree - 1; k >= 5; k--) p = mulAdd(p, u, v128.load32_splat(directivity + (<usize>k << 2)));
  return p;
}

/** exp(-absorption·d), by the eighth power of that of an eighth. */
function decayed(d: v128): v128 {
  const x = f32x4.mul(d, f32x4.splat(absorption * 0.125));
  let p = v128.load32_splat(expTable, 20);
  for (let k: usize = 20; k > 0; k -= 4) p = mulAdd(p, x, v128.load32_splat(expTable + k - 4));
  p = f32x4.mul(p, p);
  p = f32x4.mul(p, p);
  return f32x4.mul(p, p);
}

// @ts-ignore: decorator
@inline
function total(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3);
}
