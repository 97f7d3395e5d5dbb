// Local features: corners by FAST-9 (Rosten, Drummond 2006) ranked by Harris's measure over a pyramid of scales,
// oriented by the intensity centroid (Rosin 1999), described by 256 comparisons of smoothed pairs (Calonder et al.
// 2010, steered as in Rublee et al. 2011; the pairs are drawn anew here).

/** Corners nearer to an edge than this have no whole patch. */
export const border: i32 = 20;
/** Radius of the patch whose centroid gives the direction. */
const RADIUS: i32 = 13;
/** Half edge of the box that smooths each compared point. */
const BOX: i32 = 2;
const LEVELS: i32 = 12;

const WIDTHS: usize = 1024;
const HEIGHTS: usize = 1088;
const IMAGES: usize = 1152;
const SUMS: usize = 1216;
const CIRCLE: usize = 1280;
const PATTERN: usize = 4096;
const DESCRIPTOR: usize = 8192;
const CORNERS: usize = 65536;
export const mostCorners: i32 = 20000;
const FREE: usize = 65536 + 20000 * 8;

let scores: usize = 0;

export function pattern(): usize {
  return PATTERN;
}
export function descriptor(): usize {
  return DESCRIPTOR;
}
export function corners(): usize {
  return CORNERS;
}
export function image(): usize {
  return FREE;
}
export function widthOf(level: i32): i32 {
  return load<i32>(WIDTHS + 4 * level);
}
export function heightOf(level: i32): i32 {
  return load<i32>(HEIGHTS + 4 * level);
}

/** Bytes that an image of this size needs, all its levels included. */
export function plan(width: i32, height: i32): usize {
  return FREE + 20 * usize(width + 1) * usize(height + 1) + 65536;
}

/** Builds the levels, each 0.8 of the one before, from the grey image at `image()`; returns how many there are. */
export function pyramid(width: i32, height: i32): i32 {
  let at = FREE;
  let level = 0;
  let w = width;
  let h = height;
  while (level < LEVELS && w > 2 * border + 8 && h > 2 * border + 8) {
    store<i32>(WIDTHS + 4 * level, w);
    store<i32>(HEIGHTS + 4 * level, h);
    store<usize>(IMAGES + 4 * level, at);
    if (level > 0) shrink(level);
    const sums = (at + usize(w * h) + 15) & ~15;
    store<usize>(SUMS + 4 * level, sums);
    integrate(at, sums, w, h);
    at = sums + 4 * usize((w + 1) * (h + 1));
    level++;
    w = i32(f64(w) * 0.8 + 0.5);
    h = i32(f64(h) * 0.8 + 0.5);
  }
  scores = (at + 15) & ~15;
  return level;
}

/** Each pixel from the four around its centre in the level before. */
function shrink(level: i32): void {
  const w = widthOf(level);
  const h = heightOf(level);
  const pw = widthOf(level - 1);
  const ph = heightOf(level - 1);
  const from = load<usize>(IMAGES + 4 * (level - 1));
  const to = load<usize>(IMAGES + 4 * level);
  const dx = f32(pw) / f32(w);
  const dy = f32(ph) / f32(h);
  for (let y = 0; y < h; y++) {
    const sy = max<f32>(0, (f32(y) + 0.5) * dy - 0.5);
    const y0 = min(i32(sy), ph - 2);
    const fy = sy - f32(y0);
    const row = from + y0 * pw;
    for (let x = 0; x < w; x++) {
      const sx = max<f32>(0, (f32(x) + 0.5) * dx - 0.5);
      const x0 = min(i32(sx), pw - 2);
      const fx = sx - f32(x0);
      const at = row + x0;
      const upper = f32(load<u8>(at)) * (1 - fx) + f32(load<u8>(at, 1)) * fx;
      const lower = f32(load<u8>(at + pw)) * (1 - fx) + f32(load<u8>(at + pw, 1)) * fx;
      store<u8>(to + y * w + x, u8(upper * (1 - fy) + lower * fy + 0.5));
    }
  }
}

function integrate(from: usize, to: usize, w: i32, h: i32): void {
  const stride = 4 * (w + 1);
  memory.fill(to, 0, stride);
  for (let y = 0; y < h; y++) {
    let sum: u32 = 0;
    const out = to + (y + 1) * stride;
    store<u32>(out, 0);
    for (let x = 0; x < w; x++) {
      sum += load<u8>(from + y * w + x);
      store<u32>(out + 4 * (x + 1), sum + load<u32>(out - stride + 4 * (x + 1)));
    }
  }
}

/** Corners of a level that beat their neighbours: x, y (16 bits each) and Harris's measure (32-bit float) each. */
export function detect(level: i32, threshold: i32): i32 {
  const w = widthOf(level);
  const h = heightOf(level);
  const from = load<usize>(IMAGES + 4 * level);
  circle(w);
  memory.fill(scores, 0, 4 * usize(w) * usize(h));
  let found = 0;
  for (let y = border; y < h - border; y++) {
    for (let x = border; x < w - border; x++) {
      const at = from + y * w + x;
      if (!isCorner(at, threshold)) continue;
      const score = harris(at, w);
      if (score <= 0) continue;
      store<f32>(scores + 4 * (y * w + x), score);
      if (found == mostCorners) continue;
      store<u16>(CORNERS + 8 * found, u16(x));
      store<u16>(CORNERS + 8 * found, u16(y), 2);
      store<f32>(CORNERS + 8 * found, score, 4);
      found++;
    }
  }
  let kept = 0;
  for (let i = 0; i < found; i++) {
    const corner = load<u64>(CORNERS + 8 * i);
    const x = i32(corner & 0xffff);
    const y = i32((corner >> 16) & 0xffff);
    if (!isPeak(scores + 4 * (y * w + x), 4 * w)) continue;
    store<u64>(CORNERS + 8 * kept, corner);
    kept++;
  }
  return kept;
}

/** Offsets of the sixteen pixels at distance three. */
function circle(w: i32): void {
  const xs = memory.data<i32>([0, 1, 2, 3, 3, 3, 2, 1, 0, -1, -2, -3, -3, -3, -2, -1]);
  const ys = memory.data<i32>([-3, -3, -2, -1, 0, 1, 2, 3, 3, 3, 2, 1, 0, -1, -2, -3]);
  for (let i = 0; i < 16; i++) store<i32>(CIRCLE + 4 * i, load<i32>(ys + 4 * i) * w + load<i32>(xs + 4 * i));
}

/** Nine neighbouring pixels of the circle that are all brighter, or all darker. */
function isCorner(at: usize, threshold: i32): bool {
  const centre = i32(load<u8>(at));
  const high = centre + threshold;
  const low = centre - threshold;
  // Of any nine in a row, two neighbouring compass points at least are in.
  let brighter = 0;
  let darker = 0;
  for (let i = 0; i < 16; i += 4) {
    const value = i32(load<u8>(at + load<i32>(CIRCLE + 4 * i)));
    brighter += i32(value > high);
    darker += i32(value < low);
  }
  if (brighter < 2 && darker < 2) return false;
  let up: u32 = 0;
  let down: u32 = 0;
  for (let i = 0; i < 16; i++) {
    const value = i32(load<u8>(at + load<i32>(CIRCLE + 4 * i)));
    up |= u32(value > high) << i;
    down |= u32(value < low) << i;
  }
  return nineInARow(up) || nineInARow(down);
}

// @ts-ignore: decorator
@inline
function nineInARow(mask: u32): bool {
  const ring = mask | (mask << 16);
  let run = ring & (ring >> 1);
  run &= run >> 2;
  run &= run >> 4;
  return (run & (ring >> 8)) != 0;
}

/** Harris's measure with k = 0.04 over seven by seven pixels. */
function harris(at: usize, w: i32): f32 {
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let dy = -3; dy <= 3; dy++) {
    for (let dx = -3; dx <= 3; dx++) {
      const here = at + dy * w + dx;
      const gx = i32(load<u8>(here + 1)) - i32(load<u8>(here - 1));
      const gy = i32(load<u8>(here + w)) - i32(load<u8>(here - w));
      xx += gx * gx;
      yy += gy * gy;
      xy += gx * gy;
    }
  }
  const trace = f32(xx) + f32(yy);
  return f32(xx) * f32(yy) - f32(xy) * f32(xy) - <f32>0.04 * trace * trace;
}

function isPeak(at: usize, stride: i32): bool {
  const score = load<f32>(at);
  for (let dy = -stride; dy <= stride; dy += stride) {
    for (let dx = -4; dx <= 4; dx += 4) {
      const other = load<f32>(at + dy + dx);
      if (other > score || (other == score && dy + dx < 0)) return false;
    }
  }
  return true;
}

let cosine: f32 = 1;
let sine: f32 = 0;

/** Describes the corner at (x, y): 32 bytes at `descriptor()`, and its direction in 256ths of a turn. */
export function describe(level: i32, x: i32, y: i32): void {
  const w = widthOf(level);
  const sums = load<usize>(SUMS + 4 * level);
  orient(load<usize>(IMAGES + 4 * level) + y * w + x, w);
  for (let byte = 0; byte < 32; byte++) {
    let bits: u32 = 0;
    for (let bit = 0; bit < 8; bit++) {
      const pair = PATTERN + 4 * (8 * byte + bit);
      const first = smooth(sums, w, x, y, load<i8>(pair), load<i8>(pair, 1));
      const second = smooth(sums, w, x, y, load<i8>(pair, 2), load<i8>(pair, 3));
      bits |= u32(first < second) << bit;
    }
    store<u8>(DESCRIPTOR + byte, u8(bits));
  }
}

export function directionX(): f32 {
  return cosine;
}
export function directionY(): f32 {
  return sine;
}

function orient(at: usize, w: i32): void {
  let mx = 0;
  let my = 0;
  for (let dy = -RADIUS; dy <= RADIUS; dy++) {
    for (let dx = -RADIUS; dx <= RADIUS; dx++) {
      if (dx * dx + dy * dy > RADIUS * RADIUS) continue;
      const value = i32(load<u8>(at + dy * w + dx));
      mx += dx * value;
      my += dy * value;
    }
  }
  const length = sqrt(f32(mx) * f32(mx) + f32(my) * f32(my));
  cosine = length > 0 ? f32(mx) / length : 1;
  sine = length > 0 ? f32(my) / length : 0;
}

// @ts-ignore: decorator
@inline
function smooth(sums: usize, w: i32, x: i32, y: i32, px: i32, py: i32): i32 {
  const dx = i32(nearest(f32(px) * cosine - f32(py) * sine));
  const dy = i32(nearest(f32(px) * sine + f32(py) * cosine));
  const stride = 4 * (w + 1);
  const upper = sums + (y + dy - BOX) * stride + 4 * (x + dx - BOX);
  const lower = upper + (2 * BOX + 1) * stride;
  return load<i32>(lower, 4 * (2 * BOX + 1)) - load<i32>(lower) - load<i32>(upper, 4 * (2 * BOX + 1)) + load<i32>(upper);
}
