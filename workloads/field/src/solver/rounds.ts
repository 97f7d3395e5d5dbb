// Rounds between the drive of all elements, phases alone, and the pressures at the foci: by plain 64-bit matrices, or by a kernel
// in 32 bits that is several times as fast.
import { rowNorms } from './iterations.ts';
import { type ComplexMatrix, type ComplexVector, complexVector, multiply, multiplyAdjoint } from './matrix.ts';
import { wasm } from './roundskernel.ts';

export interface Rounds {
  start(x: ComplexVector): void;
  /** Pressures at the foci from the phases of the drive. */
  forward(b: ComplexVector): void;
  /** The drive that the foci send back. */
  backward(y: ComplexVector): void;
  /** As the last of them has left it: after `forward` phases alone. */
  drive(): ComplexVector;
  /** Part of the mean within which two pressures are alike. */
  readonly precision: number;
}

/** Precision in 64 bits: what ends an iteration. */
export const exact = 1e-6;

/** The power of two that brings a magnitude between 1 and 2: what is multiplied by it keeps all its digits. */
export const towardsOne = (size: number): number => 2 ** Math.min(1000, -Math.floor(Math.log2(size)));

/** @param hush Takes out of a drive what shall not be heard. */
export function plainRounds(loud: ComplexMatrix, hush: (x: ComplexVector) => void): Rounds {
  let x = complexVector(loud.columns);
  return {
    start(drive) {
      x = { re: Float64Array.from(drive.re), im: Float64Array.from(drive.im) };
    },
    forward(b) {
      hush(x);
      toPhaseOnly(x);
      multiply(loud, x, b);
    },
    backward: (y) => multiplyAdjoint(loud, y, x),
    drive: () => x,
    precision: exact,
  };
}

function toPhaseOnly(x: ComplexVector): void {
  for (let t = 0; t < x.re.length; t++) {
    const [re, im] = [x.re[t]!, x.im[t]!];
    const size = Math.sqrt(re * re + im * im);
    x.re[t] = size > 0 ? re / size : 1;
    x.im[t] = size > 0 ? im / size : 0;
  }
}

/** As much of the WebAssembly interface as is used here; the compiler's library has it only together with the DOM. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

interface Exports {
  memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  configure(rows: number, width: number, matrix: number, drive: number, foci: number): void;
  normalize(): void;
  forward(): void;
  backward(): void;
}

/** The kernel's own constants lie below. */
const firstFree = 4096;
/** Numbers of a matrix beyond which 32 bits more of each would count as memory. */
const mostNumbers = 2 ** 20;

/** One instance for all; undefined before the first use, and for ever where it is wrong on this machine. */
let shared: Exports | 'wrong' | undefined;

/** Undefined where the matrix is too large, or the kernel wrong on this machine. Another call takes the memory of the one before. */
export function kernelRounds(loud: ComplexMatrix): Rounds | undefined {
  if (loud.rows * loud.columns > mostNumbers || shared === 'wrong') return undefined;
  if (shared) return roundsIn(shared, loud);
  const made = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(wasm, 'base64'))).exports as Exports;
  shared = agrees(roundsIn(made, checked), checked) ? made : 'wrong';
  return shared === 'wrong' ? undefined : roundsIn(shared, loud);
}

function roundsIn({ memory, ...kernel }: Exports, loud: ComplexMatrix): Rounds {
  const { rows, columns, re, im } = loud;
  const [count, width] = [rows + (rows % 2), Math.ceil(columns / 8) * 8];
  const drive = firstFree + 8 * count * width;
  const foci = drive + 8 * width;
  memory.grow(Math.max(0, Math.ceil((foci + 8 * count - memory.buffer.byteLength) / 65_536)));
  const floats = (from: number, length: number): Float32Array => new Float32Array(memory.buffer, from, length);
  const table = floats(firstFree, 2 * count * width).fill(0);
  // Rows alike in size, for 32 bits reach no further than 1e38 and 1e-38, and squares half as far.
  const scales = rowNorms(loud).map(towardsOne);
  for (let j = 0; j < rows; j++) {
    for (let t = 0; t < columns; t++) {
      table[j * width + t] = re[j * columns + t]! * scales[j]!;
      table[(count + j) * width + t] = im[j * columns + t]! * scales[j]!;
    }
  }
  const x = floats(drive, 2 * width).fill(0);
  const at = floats(foci, 2 * count).fill(0);
  kernel.configure(count, 4 * width, firstFree, drive, foci);
  return {
    start(from) {
      x.set(from.re);
      x.set(from.im, width);
    },
    forward(b) {
      kernel.normalize();
      kernel.forward();
      for (let j = 0; j < rows; j++) {
        b.re[j] = at[j]! / scales[j]!;
        b.im[j] = at[count + j]! / scales[j]!;
      }
    },
    backward(y) {
      for (let j = 0; j < rows; j++) {
        at[j] = y.re[j]! / scales[j]!;
        at[count + j] = y.im[j]! / scales[j]!;
      }
      kernel.backward();
    },
    drive: () => ({
      re: Float64Array.from(x.subarray(0, columns)),
      im: Float64Array.from(x.subarray(width, width + columns)),
    }),
    precision: 1e-5,
  };
}

/** Rows and columns that fill no whole vectors, and an element that no focus hears. */
const checked: ComplexMatrix = {
  rows: 3,
  columns: 13,
  re: Float64Array.from({ length: 39 }, (_, i) => (i % 13 === 5 ? 0 : Math.cos(i * i))),
  im: Float64Array.from({ length: 39 }, (_, i) => (i % 13 === 5 ? 0 : Math.sin(i * i))),
};

/** Two rounds beside the plain ones. */
function agrees(kernel: Rounds, loud: ComplexMatrix): boolean {
  const plain = plainRounds(loud, () => {});
  const y = { re: Float64Array.of(1, 0.5, -0.25), im: Float64Array.of(0, 1, 0.75) };
  const both = [kernel, plain].map((rounds) => {
    const b = complexVector(loud.rows);
    rounds.start(complexVector(loud.columns));
    rounds.forward(b);
    const first = [...b.re, ...b.im];
    rounds.backward(y);
    rounds.forward(b);
    const { re, im } = rounds.drive();
    return [...first, ...b.re, ...b.im, ...re, ...im];
  });
  return both[0]!.every((each, i) => Math.abs(each - both[1]![i]!) < 1e-4);
}
