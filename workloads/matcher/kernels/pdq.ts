// PDQ in WebAssembly SIMD, after "The TMK+PDQF Video-Hashing Algorithm And The PDQ Image-Hashing Algorithm" (Facebook,
// 2019). Every lane does the reference's 32-bit operations in the reference's order, so hashes are equal bit for bit:
// running sums of rows run four rows at a time, those of columns four columns at a time, and what the decimation
// never reads is not divided or stored.

/** Edge of the decimated image, of the transform's output, and the order of coefficients in memory. */
const EDGE: i32 = 64;
const BLOCK: i32 = 16;

/** Luma of each component, rounded once to 32 bits. */
const RED: f64 = 0.299;
const GREEN: f64 = 0.587;
const BLUE: f64 = 0.114;

/** Memory: see `layout` in src/pdq/pdq.ts. */
let matrix: usize = 0;
let transposed: usize = 0;
let decimated: usize = 0;
let half: usize = 0;
let block: usize = 0;
let variant: usize = 0;
let scratch: usize = 0;
let hashes: usize = 0;

export function configure(base: usize): void {
  matrix = base;
  transposed = matrix + 4 * 16 * 64;
  decimated = transposed + 4 * 16 * 64;
  half = decimated + 4 * 64 * 64;
  block = half + 4 * 16 * 64;
  variant = block + 4 * 256;
  scratch = variant + 4 * 256;
  hashes = scratch + 4 * 256;
  for (let i = 0; i < BLOCK; i++) {
    for (let k = 0; k < EDGE; k++) {
      store<f32>(transposed + 4 * (k * BLOCK + i), load<f32>(matrix + 4 * (i * EDGE + k)));
    }
  }
}

/**
 * Hashes `rows` × `columns` pixels at `pixels` (1 or 3 bytes each) and returns the quality.
 * `work` holds (rows + 4) × max(columns, 64) floats twice; `lanes` (columns + 4) × 16 bytes twice; `sums` (columns + 4) floats.
 * Eight hashes of 32 bytes are written when `dihedral`, else one.
 */
export function hash(
  pixels: usize,
  rows: i32,
  columns: i32,
  channels: i32,
  work: usize,
  lanes: usize,
  sums: usize,
  dihedral: bool,
): i32 {
  if (rows == EDGE && columns == EDGE && !dihedral) {
    for (let row = 0; row < EDGE; row += 4) {
      luma(pixels, row, rows, columns, channels, lanes);
      for (let column = 0; column < EDGE; column++) {
        for (let lane = 0; lane < 4; lane++) {
          const value = load<f32>(lanes + 16 * column + 4 * lane);
          store<f32>(decimated + 4 * ((row + lane) * EDGE + column), value);
        }
      }
    }
  } else {
    const alongRows = (columns + 2 * EDGE - 1) / (2 * EDGE);
    const alongColumns = (rows + 2 * EDGE - 1) / (2 * EDGE);
    const second = lanes + 16 * (columns + 4);
    const filtered = work + 4 * (rows + 4) * max(columns, EDGE);
    for (let row = 0; row < rows; row += 4) {
      luma(pixels, row, rows, columns, channels, lanes);
      boxLanes(lanes, second, columns, alongRows);
      storeRows(second, work, row, rows, columns);
    }
    boxColumns(work, rows, columns, alongColumns, sums, filtered);
    for (let row = 0; row < rows; row += 4) {
      loadRows(filtered, row, rows, columns, lanes);
      boxLanes(lanes, second, columns, alongRows);
      // The last pass needs the sixty-four columns that the decimation reads, and no other.
      for (let j = 0; j < EDGE; j++) {
        const column = i32(((f64(j) + 0.5) * f64(columns)) / f64(EDGE));
        const value = v128.load(second + 16 * column);
        const out = work + 4 * (row * EDGE + j);
        store<f32>(out, f32x4.extract_lane(value, 0));
        store<f32>(out + 4 * EDGE, f32x4.extract_lane(value, 1));
        store<f32>(out + 8 * EDGE, f32x4.extract_lane(value, 2));
        store<f32>(out + 12 * EDGE, f32x4.extract_lane(value, 3));
      }
    }
    boxColumns(work, rows, EDGE, alongColumns, sums, filtered);
    for (let i = 0; i < EDGE; i++) {
      const row = i32(((f64(i) + 0.5) * f64(rows)) / f64(EDGE));
      memory.copy(decimated + 4 * i * EDGE, filtered + 4 * row * EDGE, 4 * EDGE);
    }
  }
  transform();
  toBits(block, hashes);
  if (dihedral) {
    for (let v = 1; v < 8; v++) {
      turn(v);
      toBits(variant, hashes + 32 * v);
    }
  }
  return quality();
}

/** Four rows of luma, one to a lane; rows past the last repeat it, and are never read again. */
function luma(pixels: usize, row: i32, rows: i32, columns: i32, channels: i32, lanes: usize): void {
  const last = rows - 1;
  const r0 = pixels + row * columns * channels;
  const r1 = pixels + min(row + 1, last) * columns * channels;
  const r2 = pixels + min(row + 2, last) * columns * channels;
  const r3 = pixels + min(row + 3, last) * columns * channels;
  if (channels == 1) {
    for (let column = 0; column < columns; column += 4) {
      transposeTo(
        grey(r0 + column),
        grey(r1 + column),
        grey(r2 + column),
        grey(r3 + column),
        lanes + 16 * column,
      );
    }
  } else {
    for (let column = 0; column < columns; column += 4) {
      const at = 3 * column;
      transposeTo(colour(r0 + at), colour(r1 + at), colour(r2 + at), colour(r3 + at), lanes + 16 * column);
    }
  }
}

// @ts-ignore: decorator
@inline
function grey(at: usize): v128 {
  return f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(at))));
}

// @ts-ignore: decorator
@inline
function colour(at: usize): v128 {
  const bytes = v128.load(at);
  const r = i8x16.swizzle(bytes, i8x16(0, -1, -1, -1, 3, -1, -1, -1, 6, -1, -1, -1, 9, -1, -1, -1));
  const g = i8x16.swizzle(bytes, i8x16(1, -1, -1, -1, 4, -1, -1, -1, 7, -1, -1, -1, 10, -1, -1, -1));
  const b = i8x16.swizzle(bytes, i8x16(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1));
  const low = f32x4.demote_f64x2_zero(weigh(r, g, b));
  const high = f32x4.demote_f64x2_zero(
    weigh(
      i8x16.shuffle(r, r, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7),
      i8x16.shuffle(g, g, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7),
      i8x16.shuffle(b, b, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7),
    ),
  );
  return i8x16.shuffle(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
}

// @ts-ignore: decorator
@inline
function weigh(r: v128, g: v128, b: v128): v128 {
  const red = f64x2.mul(f64x2.convert_low_i32x4_u(r), f64x2.splat(RED));
  const green = f64x2.mul(f64x2.convert_low_i32x4_u(g), f64x2.splat(GREEN));
  const blue = f64x2.mul(f64x2.convert_low_i32x4_u(b), f64x2.splat(BLUE));
  return f64x2.add(f64x2.add(red, green), blue);
}

// @ts-ignore: decorator
@inline
function transposeTo(a: v128, b: v128, c: v128, d: v128, out: usize): void {
  const ab0 = i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const ab1 = i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  const cd0 = i8x16.shuffle(c, d, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const cd1 = i8x16.shuffle(c, d, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  v128.store(out, i8x16.shuffle(ab0, cd0, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
  v128.store(out, i8x16.shuffle(ab0, cd0, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31), 16);
  v128.store(out, i8x16.shuffle(ab1, cd1, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23), 32);
  v128.store(out, i8x16.shuffle(ab1, cd1, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31), 48);
}

/** Four rows from memory to lanes. */
function loadRows(from: usize, row: i32, rows: i32, columns: i32, lanes: usize): void {
  const last = rows - 1;
  const r0 = from + 4 * row * columns;
  const r1 = from + 4 * min(row + 1, last) * columns;
  const r2 = from + 4 * min(row + 2, last) * columns;
  const r3 = from + 4 * min(row + 3, last) * columns;
  for (let column = 0; column < columns; column += 4) {
    const at = 4 * column;
    transposeTo(
      v128.load(r0 + at),
      v128.load(r1 + at),
      v128.load(r2 + at),
      v128.load(r3 + at),
      lanes + 16 * column,
    );
  }
}

/** Four rows from lanes to memory, the rows that exist. */
function storeRows(lanes: usize, to: usize, row: i32, rows: i32, columns: i32): void {
  const whole = columns & ~3;
  const at = to + 4 * row * columns;
  const stride = 4 * columns;
  const count = min(4, rows - row);
  if (count == 4) {
    for (let column = 0; column < whole; column += 4) {
      const from = lanes + 16 * column;
      transposeTo(v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48), scratch);
      const out = at + 4 * column;
      v128.store(out, v128.load(scratch));
      v128.store(out + stride, v128.load(scratch, 16));
      v128.store(out + 2 * stride, v128.load(scratch, 32));
      v128.store(out + 3 * stride, v128.load(scratch, 48));
    }
  }
  const first = count == 4 ? whole : 0;
  for (let lane = 0; lane < count; lane++) {
    for (let column = first; column < columns; column++) {
      store<f32>(at + lane * stride + 4 * column, load<f32>(lanes + 16 * column + 4 * lane));
    }
  }
}

/** Box filter of `count` vectors: the running sum and the growing and shrinking window of the reference. */
function boxLanes(from: usize, to: usize, count: i32, window: i32): void {
  const lead = (window + 2) / 2 - 1;
  let sum = f32x4.splat(0);
  let read = from;
  let write = to;
  let size = 0;
  for (let i = 0; i < lead; i++, read += 16, size++) sum = f32x4.add(sum, v128.load(read));
  for (let i = lead; i < window; i++, read += 16, write += 16) {
    sum = f32x4.add(sum, v128.load(read));
    size++;
    v128.store(write, f32x4.div(sum, f32x4.splat(f32(size))));
  }
  let drop = from;
  const full = f32x4.splat(f32(size));
  for (let i = window; i < count; i++, read += 16, write += 16, drop += 16) {
    sum = f32x4.sub(f32x4.add(sum, v128.load(read)), v128.load(drop));
    v128.store(write, f32x4.div(sum, full));
  }
  for (let i = 0; i < lead; i++, write += 16, drop += 16) {
    sum = f32x4.sub(sum, v128.load(drop));
    size--;
    v128.store(write, f32x4.div(sum, f32x4.splat(f32(size))));
  }
}

/** The same down the columns, row after row so that memory is read in order; `sums` is one row wide. */
function boxColumns(from: usize, rows: i32, columns: i32, window: i32, sums: usize, to: usize): void {
  const lead = (window + 2) / 2 - 1;
  const stride = 4 * columns;
  memory.fill(sums, 0, stride + 16);
  let size = 0;
  for (let i = 0; i < lead; i++) {
    step(from + i * stride, 0, sums, 0, 1, columns);
    size++;
  }
  let write = to;
  for (let i = lead; i < window; i++, write += stride) {
    size++;
    step(from + i * stride, 0, sums, write, f32(size), columns);
  }
  for (let i = window; i < rows; i++, write += stride) {
    step(from + i * stride, from + (i - window) * stride, sums, write, f32(size), columns);
  }
  for (let i = max(rows - window, 0); write < to + rows * stride; i++, write += stride) {
    size--;
    step(0, from + i * stride, sums, write, f32(size), columns);
  }
}

/** Adds the row at `add`, subtracts that at `drop`, writes the quotient to `write`; 0 leaves a step out. */
function step(add: usize, drop: usize, sums: usize, write: usize, size: f32, columns: i32): void {
  const divisor = f32x4.splat(size);
  const bytes = 4 * columns;
  let at: i32 = 0;
  for (; at + 16 <= bytes; at += 16) {
    let sum = v128.load(sums + at);
    if (add) sum = f32x4.add(sum, v128.load(add + at));
    if (drop) sum = f32x4.sub(sum, v128.load(drop + at));
    v128.store(sums + at, sum);
    if (write) v128.store(write + at, f32x4.div(sum, divisor));
  }
  for (; at < bytes; at += 4) {
    let sum = load<f32>(sums + at);
    if (add) sum += load<f32>(add + at);
    if (drop) sum -= load<f32>(drop + at);
    store<f32>(sums + at, sum);
    if (write) store<f32>(write + at, sum / size);
  }
}

/** Sum of significant gradients of the decimated image, scaled to 0..100. */
function quality(): i32 {
  let total = i32x4.splat(0);
  let edges: i32 = 0;
  for (let i = 0; i < EDGE; i++) {
    const row = decimated + 4 * i * EDGE;
    if (i < EDGE - 1) {
      for (let j = 0; j < EDGE; j += 4) {
        total = i32x4.add(total, gradient(v128.load(row + 4 * j), v128.load(row + 4 * (j + EDGE))));
      }
    }
    for (let j = 0; j < EDGE - 4; j += 4) {
      total = i32x4.add(total, gradient(v128.load(row + 4 * j), v128.load(row + 4 * j + 4)));
    }
    for (let j = EDGE - 4; j < EDGE - 1; j++) {
      const difference = load<f32>(row + 4 * j) - load<f32>(row + 4 * j + 4);
      const steps = i32((difference * 100) / 255);
      edges += steps < 0 ? -steps : steps;
    }
  }
  const sum =
    edges +
    i32x4.extract_lane(total, 0) +
    i32x4.extract_lane(total, 1) +
    i32x4.extract_lane(total, 2) +
    i32x4.extract_lane(total, 3);
  return min(sum / 90, 100);
}

// @ts-ignore: decorator
@inline
function gradient(u: v128, v: v128): v128 {
  const scaled = f32x4.div(f32x4.mul(f32x4.sub(u, v), f32x4.splat(100)), f32x4.splat(255));
  return i32x4.abs(i32x4.trunc_sat_f32x4_s(scaled));
}

/** Frequencies 1 to 16 of the cosine transform in both directions: half = D·A, block = half·Dᵀ. */
function transform(): void {
  for (let i = 0; i < BLOCK; i++) {
    for (let j = 0; j < EDGE; j += 16) {
      let s0 = f32x4.splat(0);
      let s1 = s0;
      let s2 = s0;
      let s3 = s0;
      for (let k = 0; k < EDGE; k++) {
        const d = v128.load32_splat(matrix + 4 * (i * EDGE + k));
        const a = decimated + 4 * (k * EDGE + j);
        s0 = f32x4.add(s0, f32x4.mul(d, v128.load(a)));
        s1 = f32x4.add(s1, f32x4.mul(d, v128.load(a, 16)));
        s2 = f32x4.add(s2, f32x4.mul(d, v128.load(a, 32)));
        s3 = f32x4.add(s3, f32x4.mul(d, v128.load(a, 48)));
      }
      const out = half + 4 * (i * EDGE + j);
      v128.store(out, s0);
      v128.store(out, s1, 16);
      v128.store(out, s2, 32);
      v128.store(out, s3, 48);
    }
  }
  for (let i = 0; i < BLOCK; i++) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (let k = 0; k < EDGE; k++) {
      const t = v128.load32_splat(half + 4 * (i * EDGE + k));
      const d = transposed + 4 * k * BLOCK;
      s0 = f32x4.add(s0, f32x4.mul(t, v128.load(d)));
      s1 = f32x4.add(s1, f32x4.mul(t, v128.load(d, 16)));
      s2 = f32x4.add(s2, f32x4.mul(t, v128.load(d, 32)));
      s3 = f32x4.add(s3, f32x4.mul(t, v128.load(d, 48)));
    }
    const out = block + 4 * i * BLOCK;
    v128.store(out, s0);
    v128.store(out, s1, 16);
    v128.store(out, s2, 32);
    v128.store(out, s3, 48);
  }
}

/**
 * The transform of the turned or mirrored image, from that of the image: signs change with the parity of a frequency,
 * and turns by a quarter transpose. 1..7: rotate 90, 180, 270, flip X, Y, main and other diagonal.
 */
function turn(which: i32): void {
  const transposes = which == 1 || which == 3 || which >= 6;
  for (let i = 0; i < BLOCK; i++) {
    for (let j = 0; j < BLOCK; j++) {
      const value = load<f32>(block + 4 * (i * BLOCK + j));
      const odd =
        which == 1 || which == 5
          ? !(j & 1)
          : which == 3 || which == 4
            ? !(i & 1)
            : which == 6
              ? false
              : !!((i + j) & 1);
      store<f32>(variant + 4 * (transposes ? j * BLOCK + i : i * BLOCK + j), odd ? -value : value);
    }
  }
}

/** One bit for each coefficient above the lower median, bit k in 16-bit word k / 16, words from the last to the first. */
function toBits(from: usize, out: usize): void {
  memory.copy(scratch, from, 4 * 256);
  const median = lowerMedian();
  for (let word = 0; word < 16; word++) {
    let bits: u32 = 0;
    for (let k = 0; k < 16; k++) {
      if (load<f32>(from + 4 * (16 * word + k)) > median) bits |= 1 << k;
    }
    // Big-endian, so that the bytes in hexadecimal are the hash as everybody writes it.
    store<u8>(out + 2 * (15 - word), u8(bits >> 8));
    store<u8>(out + 2 * (15 - word) + 1, u8(bits));
  }
}

/** The 128th smallest of 256 (Hoare's selection, in place). */
function lowerMedian(): f32 {
  let left = 0;
  let right = 255;
  while (left < right) {
    const pivot = load<f32>(scratch + 4 * ((left + right) >> 1));
    let i = left;
    let j = right;
    while (i <= j) {
      while (load<f32>(scratch + 4 * i) < pivot) i++;
      while (load<f32>(scratch + 4 * j) > pivot) j--;
      if (i <= j) {
        const a = load<f32>(scratch + 4 * i);
        store<f32>(scratch + 4 * i, load<f32>(scratch + 4 * j));
        store<f32>(scratch + 4 * j, a);
        i++;
        j--;
      }
    }
    if (j < 127) left = i;
    if (i > 127) right = j;
  }
  return load<f32>(scratch + 4 * 127);
}

/** Where the hashes are, eight of 32 bytes. */
export function output(): usize {
  return hashes;
}

/** The decimated image, 64 × 64 floats. */
export function thumbnail(): usize {
  return decimated;
}
