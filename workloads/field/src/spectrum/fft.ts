// Fourier transforms of complex arrays along any of their axes, each of a power of two: in place, in 64 bits.

/** Complex numbers, real and imaginary parts apart. */
export interface ComplexArray {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** The least power of two that is not below `n`. */
export function powerOfTwoFrom(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, n)));
}

/** Cycles per sample of each of the `n` numbers of a transform: 0 up, then the negative ones. */
export function frequenciesOf(n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => (i < n / 2 ? i : i - n) / n);
}

/**
 * Transforms of arrays of one shape, the last axis running fastest. Forward sums x·exp(-2πi·jk/n) as it stands, backward is its
 * inverse.
 */
export class FourierTransform {
  readonly shape: readonly number[];
  readonly #lines: readonly Line[];

  /** @throws RangeError unless each length is a power of two. */
  constructor(shape: readonly number[]) {
    this.shape = shape;
    const known = new Map<number, Line>();
    this.#lines = shape.map((n) => {
      const line = known.get(n) ?? lineOf(n);
      known.set(n, line);
      return line;
    });
  }

  forward(data: ComplexArray): void {
    for (let axis = 0; axis < this.shape.length; axis++) this.along(axis, data.re, data.im);
  }

  backward(data: ComplexArray): void {
    const { re, im } = data;
    // The inverse is the transform with real and imaginary parts exchanged.
    for (let axis = 0; axis < this.shape.length; axis++) this.along(axis, im, re);
    const by = 1 / this.shape.reduce((product, n) => product * n, 1);
    for (let i = 0; i < re.length; i++) {
      re[i]! *= by;
      im[i]! *= by;
    }
  }

  /** Forward along one axis alone. */
  along(axis: number, re: Float64Array, im: Float64Array): void {
    const line = this.#lines[axis]!;
    const { n } = line;
    if (n === 1) return;
    const step = this.shape.slice(axis + 1).reduce((product, each) => product * each, 1);
    const total = this.shape.reduce((product, each) => product * each, 1);
    for (let block = 0; block < total; block += n * step) {
      for (let at = block; at < block + step; at++) transformLine(line, re, im, at, step);
    }
  }
}

interface Line {
  readonly n: number;
  readonly reversed: Uint32Array;
  readonly cos: Float64Array;
  readonly sin: Float64Array;
  readonly re: Float64Array;
  readonly im: Float64Array;
}

function lineOf(n: number): Line {
  const bits = Math.log2(n);
  if (!Number.isInteger(bits)) throw new RangeError(`a transform of ${n} numbers: only powers of two`);
  const reversed = new Uint32Array(n);
  for (let i = 0; i < n; i++) reversed[i] = (reversed[i >> 1]! >> 1) | ((i & 1) * (n >> 1));
  const turns = Array.from({ length: n / 2 }, (_, i) => (-2 * Math.PI * i) / n);
  return {
    n,
    reversed,
    cos: Float64Array.from(turns, Math.cos),
    sin: Float64Array.from(turns, Math.sin),
    re: new Float64Array(n),
    im: new Float64Array(n),
  };
}

/** Radix 2, decimated in time: gathered in bit-reversed order, so that butterflies run in place. */
function transformLine(
  { n, reversed, cos, sin, re, im }: Line,
  dataRe: Float64Array,
  dataIm: Float64Array,
  from: number,
  step: number,
): void {
  for (let i = 0; i < n; i++) {
    const at = from + reversed[i]! * step;
    re[i] = dataRe[at]!;
    im[i] = dataIm[at]!;
  }
  for (let half = 1, turn = n >> 1; half < n; half <<= 1, turn >>= 1) {
    for (let start = 0; start < n; start += 2 * half) {
      for (let i = start, t = 0; i < start + half; i++, t += turn) {
        const c = cos[t]!;
        const s = sin[t]!;
        const j = i + half;
        const xRe = c * re[j]! - s * im[j]!;
        const xIm = c * im[j]! + s * re[j]!;
        re[j] = re[i]! - xRe;
        im[j] = im[i]! - xIm;
        re[i] = re[i]! + xRe;
        im[i] = im[i]! + xIm;
      }
    }
  }
  for (let i = 0, at = from; i < n; i++, at += step) {
    dataRe[at] = re[i]!;
    dataIm[at] = im[i]!;
  }
}
