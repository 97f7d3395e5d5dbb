// The WebAssembly kernel, ready to sum one set of sources: rows of points at a time, in 32-bit floats.
import { setFlagsFromString } from 'node:v8';
import { FieldError } from '../errors.ts';
import { derivativeCounts, derivativesAt } from '../physics/derivatives.ts';
import { directivityPolynomial } from '../physics/directivity.ts';
import { gradientAt, pressureAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import { wasm } from './module.ts';

/** The longest row that is summed at once; longer ones are split by the caller. */
export const longestRow = 4096;

/** As much of the WebAssembly interface as is used here; the compiler's library has it only together with the DOM. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

export interface Exports {
  memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  configure(
    sources: number,
    positions: number,
    lanes: number,
    coefficients: number,
    degree: number,
    nearest: number,
    absorption: number,
    decay: number,
    exact: boolean,
  ): void;
  pressure(x32: number, x64: number, points: number, y: number, z: number, out: number): void;
  gradient(x32: number, x64: number, points: number, y: number, z: number, out: number): void;
  combine(rows: number, weights: number, taps: number, out: number, floats: number): void;
  resample(row: number, weights: number, starts: number, taps: number, points: number, out: number): void;
}

let compiled: object | undefined;

/** Paths longer than so many half wavelengths keep too little of their phase in 32 bits. */
export const longest32 = 128;
/** The kernel's own constants lie below. */
const firstFree = 4096;
const degreesOfDecay = 5;

/** Nepers over the longest path up to which the polynomial for absorption holds. */
const mostDecay = 2.4;

export interface RowKernel {
  setRow(x: Float64Array): void;
  pressure(y: number, z: number): { re: Float32Array; im: Float32Array };
  gradient(y: number, z: number): Float32Array[];
  /** Pressure and its derivatives up to `order`, real and imaginary parts, in the order of `derivativeAxes`. */
  derivatives(order: 2 | 3, y: number, z: number): Float32Array[];
}

export class FieldKernel implements RowKernel {
  /** Half wavelengths per metre: the unit of length inside. */
  readonly scale: number;
  readonly #exports: Exports;
  readonly #origin: readonly number[];
  readonly #x64: Float64Array;
  readonly #x32: Float32Array;
  readonly #out: Float32Array;
  readonly #pointers: { x32: number; x64: number; out: number };
  readonly #lane: Float32Array;
  #sources: Sources;
  #row: Float64Array | undefined;

  /**
   * @param origin near the points that will be asked for: coordinates are rounded relative to it.
   * @param reach largest distance of such a point from `origin`, metres.
   * @throws FieldError `KernelRefused` when directivity or absorption have no accurate polynomial.
   */
  constructor(sources: Sources, origin: readonly [number, number, number], reach: number) {
    const coefficients = directivityPolynomial(sources.directivity);
    if (!coefficients) {
      throw new FieldError(
        'KernelRefused',
        'the directivity is too sharp for the kernel; use backend Reference',
        'spec.array.transducer',
      );
    }
    this.#sources = sources;
    this.#exports = instantiate();
    this.scale = sources.wavenumber / Math.PI;
    this.#origin = origin;

    const { count } = sources;
    const positions = firstFree;
    const x64 = positions + 6 * 8 * count;
    const lanes = x64 + 8 * longestRow;
    const directivity = lanes + 10 * 4 * count;
    const decay = directivity + 4 * coefficients.length;
    const x32 = align(decay + 4 * (degreesOfDecay + 1));
    const out = x32 + 4 * longestRow;
    const { memory } = this.#exports;
    const pages = Math.ceil((out + 8 * 4 * longestRow) / 65_536);
    memory.grow(Math.max(0, pages - memory.buffer.byteLength / 65_536));

    const table = new Float64Array(memory.buffer, positions, 6 * count);
    const lane = new Float32Array(memory.buffer, lanes, 10 * count);
    let longest = 0;
    for (let s = 0; s < count; s++) {
      let squared = 0;
      for (let axis = 0; axis < 3; axis++) {
        const offset = sources.positions[axis * count + s]! - origin[axis]!;
        squared += offset * offset;
        table[axis * count + s] = offset * this.scale;
        table[(3 + axis) * count + s] = sources.normals[axis * count + s]!;
      }
      longest = Math.max(longest, Math.sqrt(squared));
      lane[s] = table[s]!;
      lane[count + s] = sources.normals[s]!;
      lane[8 * count + s] = sources.normals[count + s]!;
      lane[9 * count + s] = sources.normals[2 * count + s]!;
    }
    this.#lane = lane;
    this.redrive(sources);
    longest = (longest + reach) * this.scale;
    new Float32Array(memory.buffer, directivity, coefficients.length).set(coefficients);
    const absorption = sources.attenuation / this.scale;
    new Float32Array(memory.buffer, decay, degreesOfDecay + 1).set(decayPolynomial(absorption, longest));
    this.#exports.configure(
      count,
      positions,
      lanes,
      directivity,
      coefficients.length - 1,
      sources.nearest * this.scale,
      absorption,
      decay,
      longest > longest32,
    );
    this.#x64 = new Float64Array(memory.buffer, x64, longestRow);
    this.#x32 = new Float32Array(memory.buffer, x32, longestRow);
    this.#out = new Float32Array(memory.buffer, out, 8 * longestRow);
    this.#pointers = { x32, x64, out };
  }

  /** Whether its sources are those of these places, in this order. */
  isAt(positions: Float64Array): boolean {
    const own = this.#sources.positions;
    return own.length === positions.length && own.every((value, i) => value === positions[i]);
  }

  /** As many sources in the same places, with other amplitudes and phases. */
  redrive(sources: Sources): void {
    const { count, phases, amplitudes } = sources;
    for (let s = 0; s < count; s++) {
      const halfTurns = phases[s]! / Math.PI;
      this.#lane[2 * count + s] = halfTurns - 2 * Math.round(halfTurns / 2);
      this.#lane[3 * count + s] = amplitudes[s]! * this.scale;
    }
    this.#sources = sources;
  }

  /** Sets the x coordinates (metres) of the rows to come, at most `longestRow`. */
  setRow(x: Float64Array): void {
    const padded = Math.ceil(x.length / 8) * 8;
    for (let i = 0; i < padded; i++) {
      this.#x64[i] = (x[Math.min(i, x.length - 1)]! - this.#origin[0]!) * this.scale;
      this.#x32[i] = this.#x64[i]!;
    }
    this.#row = x;
  }

  /** Pressure along the row at (y, z): views of real and imaginary parts, valid until the next call. */
  pressure(y: number, z: number): { re: Float32Array; im: Float32Array } {
    const { points, padded } = this.#lengths();
    const { x32, x64, out } = this.#pointers;
    this.#exports.pressure(x32, x64, padded, this.#local(1, y), this.#local(2, z), out);
    return { re: this.#out.subarray(0, points), im: this.#out.subarray(padded, padded + points) };
  }

  /** Pressure and gradient (Pa, Pa/m): real and imaginary parts of p, ∂p/∂x, ∂p/∂y, ∂p/∂z, as eight views. */
  gradient(y: number, z: number): Float32Array[] {
    const { points, padded } = this.#lengths();
    const { x32, x64, out } = this.#pointers;
    this.#exports.gradient(x32, x64, padded, this.#local(1, y), this.#local(2, z), out);
    const parts = Array.from({ length: 8 }, (_, i) => this.#out.subarray(i * padded, i * padded + points));
    for (const part of parts.slice(2)) {
      for (let i = 0; i < points; i++) part[i]! *= this.scale;
    }
    return parts;
  }

  /** In 64-bit floats, point by point: third derivatives of short waves leave 32 bits too little. */
  derivatives(order: 2 | 3, y: number, z: number): Float32Array[] {
    return derivativesOf(this.#sources, this.#row ?? new Float64Array(0), order, y, z);
  }

  #local(axis: number, value: number): number {
    return (value - this.#origin[axis]!) * this.scale;
  }

  #lengths(): { points: number; padded: number } {
    const points = this.#row?.length ?? 0;
    return { points, padded: Math.ceil(points / 8) * 8 };
  }
}

/** Same shape as FieldKernel, computed by the reference. */
export class ReferenceKernel implements RowKernel {
  readonly #sources: Sources;
  readonly #value: Float64Array = new Float64Array(8);
  #x: Float64Array = new Float64Array(0);

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  setRow(x: Float64Array): void {
    this.#x = x;
  }

  pressure(y: number, z: number): { re: Float32Array; im: Float32Array } {
    const re = new Float32Array(this.#x.length);
    const im = new Float32Array(this.#x.length);
    this.#x.forEach((x, i) => {
      pressureAt(this.#sources, x, y, z, this.#value);
      re[i] = this.#value[0]!;
      im[i] = this.#value[1]!;
    });
    return { re, im };
  }

  gradient(y: number, z: number): Float32Array[] {
    const parts = Array.from({ length: 8 }, () => new Float32Array(this.#x.length));
    this.#x.forEach((x, i) => {
      gradientAt(this.#sources, x, y, z, this.#value);
      parts.forEach((part, n) => {
        part[i] = this.#value[n]!;
      });
    });
    return parts;
  }

  derivatives(order: 2 | 3, y: number, z: number): Float32Array[] {
    return derivativesOf(this.#sources, this.#x, order, y, z);
  }
}

function derivativesOf(sources: Sources, row: Float64Array, order: 2 | 3, y: number, z: number): Float32Array[] {
  const value = new Float64Array(2 * derivativeCounts[order]);
  const parts = Array.from(value, () => new Float32Array(row.length));
  row.forEach((x, i) => {
    derivativesAt(sources, order, x, y, z, value);
    parts.forEach((part, n) => {
      part[i] = value[n]!;
    });
  });
  return parts;
}

/** A new instance with a memory of its own; constants of its own lie below 4096. */
export function instantiate(): Exports {
  compiled ??= compile();
  return new WebAssembly.Instance(compiled).exports as Exports;
}

/** By the optimizing compiler at once: threads that live for a second would spend it in the baseline one's code. */
function compile(): object {
  setFlagsFromString('--no-liftoff');
  const module = new WebAssembly.Module(Buffer.from(wasm, 'base64'));
  setFlagsFromString('--liftoff');
  return module;
}

/** Taylor polynomial of exp(-absorption·d/8) around the middle of the paths, then the middle; the kernel takes the power. */
function decayPolynomial(total: number, longest: number): number[] {
  if (total * longest > mostDecay) {
    throw new FieldError('KernelRefused', 'absorption is too strong for the kernel', 'spec.medium');
  }
  const absorption = total / 8;
  const middle = longest / 2;
  const coefficients: number[] = [];
  let c = Math.exp(-absorption * middle);
  for (let i = 0; i < degreesOfDecay; i++) {
    coefficients.push(c);
    c *= -absorption / (i + 1);
  }
  return [...coefficients, middle];
}

function align(pointer: number): number {
  return Math.ceil(pointer / 16) * 16;
}
