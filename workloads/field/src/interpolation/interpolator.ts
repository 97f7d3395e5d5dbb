// Points of the volume from layers of the lattice, by the WebAssembly kernel: rows along x first, once for each lattice
// layer, then along z and y for each plane of the volume.
import { instantiate } from '../kernel/kernel.ts';
import type { Volume } from '../volume/layout.ts';
import { type Lattice, type Stencil, stencilOf } from './design.ts';

/** Lattice layers whose rows are already those of the volume along x: [layer][field][lattice row][2·points]. */
export interface Layers {
  /** Number of the first layer. */
  readonly from: number;
  readonly data: Float32Array;
}

type Place = 'latticeRow' | 'weightsX' | 'startsX' | 'rows' | 'weights' | 'slots' | 'plane' | 'out';
const mostTaps = 64;

export class Interpolator {
  readonly #volume: Volume;
  readonly #lattice: Lattice;
  readonly #fields: number;
  readonly #x: Stencil;
  readonly #y: Stencil;
  readonly #z: Stencil;
  readonly #row: number;
  readonly #exports: ReturnType<typeof instantiate>;
  /** Places in the kernel's memory. */
  readonly #pointers: Record<Place, number>;
  /** Which layer each slot holds. */
  readonly #held: Int32Array;

  /** @param fields complex numbers at each point: 1 for pressure, more with its derivatives. */
  constructor(volume: Volume, lattice: Lattice, wavelength: number, fields: number) {
    this.#volume = volume;
    this.#lattice = lattice;
    this.#fields = fields;
    const stencil = (axis: 0 | 1 | 2): Stencil => stencilOf(volume, lattice, wavelength, axis, 0, volume.shape[axis]);
    [this.#z, this.#y, this.#x] = [stencil(0), stencil(1), stencil(2)];
    this.#row = Interpolator.rowFloats(volume);
    this.#exports = instantiate();

    const tapsX = Math.max(2, this.#x.taps);
    const slots = this.#z.taps + 1;
    const layer = fields * lattice.shape[1] * this.#row * 4;
    let end = 4096;
    const reserve = (bytes: number): number => {
      const from = end;
      end += Math.ceil(bytes / 16) * 16;
      return from;
    };
    this.#pointers = {
      latticeRow: reserve((lattice.shape[2] + 2) * 8),
      weightsX: reserve(volume.shape[2] * tapsX * 8),
      startsX: reserve(volume.shape[2] * 4),
      rows: reserve(mostTaps * 4),
      weights: reserve(mostTaps * 4),
      slots: reserve(slots * layer),
      plane: reserve(layer),
      out: reserve(fields * this.#row * 4),
    };
    const { memory } = this.#exports;
    memory.grow(Math.max(0, Math.ceil(end / 65_536) - memory.buffer.byteLength / 65_536));
    this.#held = new Int32Array(slots).fill(-1);
    this.#writeStencilX(tapsX);
  }

  /** Floats of one row of `Layers`: the complex numbers of a row of the volume, rounded up to what the kernel takes at once. */
  static rowFloats(volume: Volume): number {
    return Math.ceil((2 * volume.shape[2]) / 8) * 8;
  }

  /** Floats of one layer of `Layers`. */
  static layerFloats(volume: Volume, lattice: Lattice, fields: number): number {
    return fields * lattice.shape[1] * Interpolator.rowFloats(volume);
  }

  /** Brings one lattice row of one field to the points of the volume along x. */
  resample(re: Float32Array, im: Float32Array, out: Float32Array, at: number): void {
    const { latticeRow, weightsX, startsX, out: result } = this.#pointers;
    const { buffer } = this.#exports.memory;
    const row = new Float32Array(buffer, latticeRow, 2 * re.length);
    for (let i = 0; i < re.length; i++) {
      row[2 * i] = re[i]!;
      row[2 * i + 1] = im[i]!;
    }
    const points = this.#volume.shape[2];
    this.#exports.resample(latticeRow, weightsX, startsX, Math.max(2, this.#x.taps), points, result);
    out.set(new Float32Array(buffer, result, 2 * points), at);
  }

  /**
   * The rows `fromY` up to `toY` of plane `z`, one after the other.
   * @param each is given the row's number and, for each field, its complex numbers; valid until it returns.
   */
  plane(
    layers: Layers,
    z: number,
    fromY: number,
    toY: number,
    each: (y: number, fields: Float32Array[]) => void,
  ): void {
    const { rows, weights, plane, out } = this.#pointers;
    const { buffer } = this.#exports.memory;
    const row = this.#row;
    const pointers = new Uint32Array(buffer, rows, mostTaps);
    const factors = new Float32Array(buffer, weights, mostTaps);
    const held = this.#hold(layers, z);
    factors.set(this.#z.weights.subarray(z * this.#z.taps, (z + 1) * this.#z.taps));
    // Of each field, the lattice rows that these rows read.
    const firstRow = this.#y.starts[fromY]!;
    const lastRow = this.#y.starts[toY - 1]! + this.#y.taps;
    for (let field = 0; field < this.#fields; field++) {
      const skip = (field * this.#lattice.shape[1] + firstRow) * row * 4;
      held.forEach((pointer, k) => {
        pointers[k] = pointer + skip;
      });
      this.#exports.combine(rows, weights, this.#z.taps, plane + skip, (lastRow - firstRow) * row);
    }
    const results = Array.from(
      { length: this.#fields },
      (_, field) => new Float32Array(buffer, out + field * row * 4, 2 * this.#volume.shape[2]),
    );
    for (let y = fromY; y < toY; y++) {
      for (let k = 0; k < this.#y.taps; k++) factors[k] = this.#y.weights[y * this.#y.taps + k]!;
      for (let field = 0; field < this.#fields; field++) {
        const base = plane + (field * this.#lattice.shape[1] + this.#y.starts[y]!) * row * 4;
        for (let k = 0; k < this.#y.taps; k++) pointers[k] = base + k * row * 4;
        this.#exports.combine(rows, weights, this.#y.taps, out + field * row * 4, row);
      }
      each(y, results);
    }
  }

  /** Pointers to the layers that plane `z` reads, each copied here once. */
  #hold(layers: Layers, z: number): number[] {
    const layer = this.#fields * this.#lattice.shape[1] * this.#row;
    return Array.from({ length: this.#z.taps }, (_, k) => {
      const number = this.#z.starts[z]! + k;
      const slot = number % this.#held.length;
      const pointer = this.#pointers.slots + slot * layer * 4;
      if (this.#held[slot] !== number) {
        const from = (number - layers.from) * layer;
        if (from < 0 || from + layer > layers.data.length) {
          throw new RangeError(`plane ${z} reads layer ${number} of the lattice, which was not summed`);
        }
        new Float32Array(this.#exports.memory.buffer, pointer, layer).set(layers.data.subarray(from, from + layer));
        this.#held[slot] = number;
      }
      return pointer;
    });
  }

  /** Forgets the layers it holds: those that come next are others of the same numbers. */
  forget(): void {
    this.#held.fill(-1);
  }

  #writeStencilX(taps: number): void {
    const { buffer } = this.#exports.memory;
    const points = this.#volume.shape[2];
    const weights = new Float32Array(buffer, this.#pointers.weightsX, points * taps * 2);
    for (let i = 0; i < points; i++) {
      for (let k = 0; k < this.#x.taps; k++) {
        const weight = this.#x.weights[i * this.#x.taps + k]!;
        weights[2 * (i * taps + k)] = weight;
        weights[2 * (i * taps + k) + 1] = weight;
      }
    }
    new Uint32Array(buffer, this.#pointers.startsX, points).set(this.#x.starts);
  }
}
