// Rounds between elements and foci, four elements at a time: what the iterations of Gerchberg and Saxton spend their time on.

let rows: i32 = 0; // foci, an even number: the last one may be silent
let width: usize = 0; // bytes of one f32 for each element, a multiple of 32: the last ones may be silent
let matrix: usize = 0; // f32[2][rows][elements]: real parts of all rows, imaginary parts of all
let drive: usize = 0; // f32[2][elements]
let foci: usize = 0; // f32[2][rows]

export function configure(count: i32, bytes: usize, matrices: usize, drives: usize, pressures: usize): void {
  rows = count;
  width = bytes;
  matrix = matrices;
  drive = drives;
  foci = pressures;
}

/** Leaves of the drive the phases alone; an element that is silent gets phase zero. */
export function normalize(): void {
  const one = f32x4.splat(1);
  const zero = f32x4.splat(0);
  for (let t: usize = 0; t < width; t += 16) {
    const at = drive + t;
    const re = v128.load(at);
    const im = v128.load(at + width);
    const size = f32x4.sqrt(f32x4.add(f32x4.mul(re, re), f32x4.mul(im, im)));
    const silent = f32x4.eq(size, zero);
    v128.store(at, v128.bitselect(one, f32x4.div(re, size), silent));
    v128.store(at + width, v128.bitselect(zero, f32x4.div(im, size), silent));
  }
}

/** Pressures at the foci from the drive. */
export function forward(): void {
  const part = <usize>rows * width;
  const imaginary = <usize>rows << 2;
  for (let j: i32 = 0; j < rows; j += 2) {
    let a = matrix + <usize>j * width;
    let x = drive;
    let firstRe = f32x4.splat(0);
    let firstIm = f32x4.splat(0);
    let nextRe = f32x4.splat(0);
    let nextIm = f32x4.splat(0);
    for (let t: usize = 0; t < width; t += 16) {
      const xRe = v128.load(x);
      const xIm = v128.load(x + width);
      let re = v128.load(a);
      let im = v128.load(a + part);
      firstRe = f32x4.add(firstRe, f32x4.sub(f32x4.mul(re, xRe), f32x4.mul(im, xIm)));
      firstIm = f32x4.add(firstIm, f32x4.add(f32x4.mul(re, xIm), f32x4.mul(im, xRe)));
      re = v128.load(a + width);
      im = v128.load(a + width + part);
      nextRe = f32x4.add(nextRe, f32x4.sub(f32x4.mul(re, xRe), f32x4.mul(im, xIm)));
      nextIm = f32x4.add(nextIm, f32x4.add(f32x4.mul(re, xIm), f32x4.mul(im, xRe)));
      a += 16;
      x += 16;
    }
    const out = foci + (<usize>j << 2);
    store<f32>(out, total(firstRe));
    store<f32>(out, total(nextRe), 4);
    store<f32>(out + imaginary, total(firstIm));
    store<f32>(out + imaginary, total(nextIm), 4);
  }
}

/** The drive that the foci send back, by the adjoint. */
export function backward(): void {
  const part = <usize>rows * width;
  const imaginary = <usize>rows << 2;
  for (let t: usize = 0; t < width; t += 32) {
    let a = matrix + t;
    let y = foci;
    let re0 = f32x4.splat(0);
    let im0 = f32x4.splat(0);
    let re1 = f32x4.splat(0);
    let im1 = f32x4.splat(0);
    for (let j: i32 = 0; j < rows; j++) {
      const yRe = v128.load32_splat(y);
      const yIm = v128.load32_splat(y + imaginary);
      let re = v128.load(a);
      let im = v128.load(a + part);
      re0 = f32x4.add(re0, f32x4.add(f32x4.mul(re, yRe), f32x4.mul(im, yIm)));
      im0 = f32x4.add(im0, f32x4.sub(f32x4.mul(re, yIm), f32x4.mul(im, yRe)));
      re = v128.load(a, 16);
      im = v128.load(a + part, 16);
      re1 = f32x4.add(re1, f32x4.add(f32x4.mul(re, yRe), f32x4.mul(im, yIm)));
      im1 = f32x4.add(im1, f32x4.sub(f32x4.mul(re, yIm), f32x4.mul(im, yRe)));
      a += width;
      y += 4;
    }
    const out = drive + t;
    v128.store(out, re0);
    v128.store(out, re1, 16);
    v128.store(out + width, im0);
    v128.store(out + width, im1, 16);
  }
}

// @ts-ignore: decorator
@inline
function total(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3);
}
