// The pressure of one drive at points anywhere, for queries that are answered at once: by a kernel of its own, held to the scalar
// reference before its first answer.
import { directivityPolynomial } from '../physics/directivity.ts';
import { pressureAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import { wasm } from './probekernel.ts';

/** Real and imaginary part of the pressure (Pa, peak) at points x, y, z after one another (metres). */
export type Probe = (points: Float64Array) => Float32Array;

/** By the reference where the pattern is too sharp for a polynomial, or where the kernel is wrong on this machine. */
export function probeOf(sources: Sources): Probe {
  const coefficients = directivityPolynomial(sources.directivity);
  if (!coefficients) return byReference(sources);
  const probe = byKernel(sources, coefficients);
  return agrees(probe, sources) ? probe : byReference(sources);
}

/** As much of the WebAssembly interface as is used here; the compiler's library has it only together with the DOM. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

interface Exports {
  memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  configure(
    sources: number,
    places: number,
    lanes: number,
    coefficients: number,
    degree: number,
    nearest: number,
    absorption: number,
  ): void;
  pressure(points: number, many: number, out: number): void;
}

/** One instance for all drives, and whose tables lie in it: each would reserve gigabytes of addresses for itself. */
let shared: { exports: Exports; holds: object | undefined } | undefined;
/** The kernel's own constants lie below. */
const firstFree = 4096;
/** Points of one call; more are asked for in turn. */
const mostPoints = 1024;
/** Nepers along a path up to which the kernel's polynomial of the absorption holds. */
const mostNepers = 2.4;

function byKernel(sources: Sources, coefficients: Float64Array): Probe {
  shared ??= {
    exports: new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(wasm, 'base64'))).exports as Exports,
    holds: undefined,
  };
  const instance = shared;
  const { memory } = instance.exports;
  const tables = tablesOf(sources, coefficients);
  const points = align(firstFree + tables.length);
  const out = points + 24 * mostPoints;
  memory.grow(Math.max(0, Math.ceil((out + 8 * mostPoints - memory.buffer.byteLength) / 65_536)));
  const count = Math.ceil(sources.count / 4) * 4;
  const scale = sources.wavenumber / Math.PI;
  const reference = byReference(sources);
  const reach = sources.attenuation > 0 ? mostNepers / sources.attenuation : Number.POSITIVE_INFINITY;
  const isHeard = within(sources, reach);
  const load = (): void => {
    if (instance.holds === tables) return;
    new Uint8Array(memory.buffer, firstFree, tables.length).set(tables);
    const lanes = firstFree + 32 * count;
    const { nearest, attenuation } = sources;
    const degree = coefficients.length - 1;
    instance.exports.configure(
      count,
      firstFree,
      lanes,
      lanes + 16 * count,
      degree,
      nearest * scale,
      attenuation / scale,
    );
    instance.holds = tables;
  };
  const some = (asked: Float64Array): Float32Array => {
    load();
    const given = new Float64Array(memory.buffer, points, asked.length);
    for (let i = 0; i < asked.length; i++) given[i] = asked[i]! * scale;
    instance.exports.pressure(points, asked.length / 3, out);
    return new Float32Array(memory.buffer, out, (2 * asked.length) / 3);
  };
  return (asked) => {
    if (!isHeard(asked)) return reference(asked);
    if (asked.length <= 3 * mostPoints) return some(asked).slice();
    const all = new Float32Array((2 * asked.length) / 3);
    for (let i = 0; i < asked.length; i += 3 * mostPoints)
      all.set(some(asked.subarray(i, i + 3 * mostPoints)), (2 * i) / 3);
    return all;
  };
}

function byReference(sources: Sources): Probe {
  const value = new Float64Array(2);
  return (points) => {
    const out = new Float32Array((2 * points.length) / 3);
    for (let i = 0; i < points.length / 3; i++) {
      pressureAt(sources, points[3 * i]!, points[3 * i + 1]!, points[3 * i + 2]!, value);
      out.set(value, 2 * i);
    }
    return out;
  };
}

/** As the kernel reads them: places and phases, normals and amplitudes, the directivity; in half wavelengths, for a multiple of four sources. */
function tablesOf(sources: Sources, coefficients: Float64Array): Uint8Array {
  const { positions, normals, amplitudes, phases, wavenumber } = sources;
  const scale = wavenumber / Math.PI;
  const count = Math.ceil(sources.count / 4) * 4;
  const bytes = new ArrayBuffer(48 * count + 4 * coefficients.length);
  const places = new Float64Array(bytes, 0, 4 * count);
  const lanes = new Float32Array(bytes, 32 * count, 4 * count);
  for (let s = 0; s < sources.count; s++) {
    for (let axis = 0; axis < 3; axis++) {
      places[axis * count + s] = positions[axis * sources.count + s]! * scale;
      lanes[axis * count + s] = normals[axis * sources.count + s]!;
    }
    places[3 * count + s] = phases[s]! / Math.PI;
    lanes[3 * count + s] = amplitudes[s]! * scale;
  }
  new Float32Array(bytes, 48 * count).set(coefficients);
  return new Uint8Array(bytes);
}

/** Whether every source reaches each of the points within `reach` metres. */
function within({ count, positions }: Sources, reach: number): (points: Float64Array) => boolean {
  const center = [0, 1, 2].map((axis) => mean(positions.subarray(axis * count, (axis + 1) * count)));
  const radius = largest(count, (s) =>
    Math.hypot(...center.map((middle, axis) => positions[axis * count + s]! - middle)),
  );
  const [x = 0, y = 0, z = 0] = center;
  return (points) => {
    if (reach === Number.POSITIVE_INFINITY) return true;
    for (let i = 0; i < points.length; i += 3) {
      if (Math.hypot(points[i]! - x, points[i + 1]! - y, points[i + 2]! - z) + radius > reach) return false;
    }
    return true;
  };
}

/** Largest difference over what all sources together could give. */
const allowed = 1e-5;

/** At some points in front of the sources. */
function agrees(probe: Probe, sources: Sources): boolean {
  const { count, positions, normals, amplitudes, wavenumber, nearest } = sources;
  const truth = new Float64Array(2);
  for (let i = 0; i < Math.min(count, 4); i++) {
    const s = Math.floor((i * count) / 4);
    const away = ((5 + 7 * i) * Math.PI) / wavenumber;
    const [x = 0, y = 0, z = 0] = [0, 1, 2].map(
      (axis) => positions[axis * count + s]! + away * normals[axis * count + s]!,
    );
    pressureAt(sources, x, y, z, truth);
    const [re = 0, im = 0] = probe(Float64Array.of(x, y, z));
    let loudness = 0;
    for (let n = 0; n < count; n++) {
      const path = Math.hypot(x - positions[n]!, y - positions[count + n]!, z - positions[2 * count + n]!);
      loudness += amplitudes[n]! / Math.max(path, nearest);
    }
    if (!(Math.hypot(re - truth[0]!, im - truth[1]!) <= allowed * loudness)) return false;
  }
  return true;
}

const align = (pointer: number): number => Math.ceil(pointer / 16) * 16;
const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value / values.length, 0);

function largest(count: number, of: (i: number) => number): number {
  let most = 0;
  for (let i = 0; i < count; i++) most = Math.max(most, of(i));
  return most;
}
