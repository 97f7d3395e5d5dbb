// One chunk of the volume: computed, checked, and put where it belongs.
import type { Lattice } from '../interpolation/design.ts';
import { Interpolator, type Layers } from '../interpolation/interpolator.ts';
import { ReferenceKernel, type RowKernel } from '../kernel/kernel.ts';
import { checkedKernel } from '../kernel/selfcheck.ts';
import { derivativeAxes, derivativeCounts } from '../physics/derivatives.ts';
import { directivityOf, type Pattern } from '../physics/directivity.ts';
import type { Sources } from '../physics/sources.ts';
import { SpectrumLayers } from '../spectrum/layers.ts';
import { type Block, coordinate } from '../volume/layout.ts';
import { type ComplexRow, type Constants, formats, type StoredQuantity, writeRow } from './quantities.ts';
import { type ChunkResult, ChunkStore, type Stored } from './store.ts';

/** All that a thread needs to compute chunks; plain data. */
export interface ChunkWork extends Stored {
  readonly sources: Omit<Sources, 'directivity'>;
  readonly pattern: Pattern;
  readonly constants: Constants;
  readonly backend: 'CPU' | 'Reference';
  readonly wavelength: number;
  /** Where it is given, chunks far from all sources are interpolated from it. */
  readonly lattice?: Lattice;
}

type Kerneled = Pick<ChunkWork, 'volume' | 'lattice' | 'backend' | 'sources' | 'pattern'>;

export class ChunkComputer {
  readonly #work: ChunkWork;
  readonly #kernel: RowKernel;
  readonly #interpolator: Interpolator | undefined;
  readonly #store: ChunkStore;
  #spectrum: SpectrumLayers | undefined;

  constructor(work: ChunkWork) {
    this.#work = work;
    this.#kernel = kernelFor(work);
    const { lattice, volume, wavelength } = work;
    this.#interpolator = lattice && new Interpolator(volume, lattice, wavelength, fieldsOf(work));
    this.#store = new ChunkStore(work);
  }

  /** What is stored of the chunk; undefined unless all of its files are there and whole. */
  find(chunk: number): ChunkResult | undefined {
    return this.#store.find(chunk);
  }

  /** Computes and stores the chunk: from the layers where they are given, else by summing at each point. @throws FieldError */
  compute(chunk: number, layers?: Layers): ChunkResult {
    return this.#store.write(chunk, (block) => {
      if (layers) this.#interpolate(block, layers);
      else this.#sum(block);
    });
  }

  /** Sums layer `index` of the lattice and brings its rows to the points of the volume along x. */
  layer(index: number, layers: Layers): void {
    const { lattice, volume } = this.#work;
    const interpolator = this.#interpolator!;
    const [, rows, columns] = lattice!.shape;
    const place = (axis: 0 | 1 | 2, i: number): number => lattice!.first[axis] + i * lattice!.step;
    const rowFloats = Interpolator.rowFloats(volume);
    const fields = fieldsOf(this.#work);
    const z = place(0, index);
    if (lattice!.planes) {
      this.#spectrum ??= new SpectrumLayers(sourcesOf(this.#work), lattice!, lattice!.planes, kernelsFor(this.#work));
      for (let field = 0; field < fields; field++) {
        const { re, im } = this.#spectrum.layer(z, derivativeAxes[field]!);
        for (let iy = 0; iy < rows; iy++) {
          const row = (part: Float64Array): Float32Array =>
            Float32Array.from(part.subarray(iy * columns, (iy + 1) * columns));
          const at = (((index - layers.from) * fields + field) * rows + iy) * rowFloats;
          interpolator.resample(row(re), row(im), layers.data, at);
        }
      }
      return;
    }
    this.#kernel.setRow(Float64Array.from({ length: columns }, (_, i) => place(2, i)));
    for (let iy = 0; iy < rows; iy++) {
      const y = place(1, iy);
      const parts = this.#parts(y, z);
      for (let field = 0; field < fields; field++) {
        const at = (((index - layers.from) * fields + field) * rows + iy) * rowFloats;
        interpolator.resample(parts[2 * field]!, parts[2 * field + 1]!, layers.data, at);
      }
    }
  }

  /** Brings the chunk's files to the disk. */
  sync(chunk: number): void {
    this.#store.sync(chunk);
  }

  /** The layers that come are of another list, though their numbers may be the same. */
  forget(): void {
    this.#interpolator?.forget();
  }

  #sum({ start, shape }: Block): void {
    const { volume } = this.#work;
    this.#kernel.setRow(Float64Array.from({ length: shape[2] }, (_, i) => coordinate(volume, 2, start[2] + i)));
    for (let iz = 0; iz < shape[0]; iz++) {
      const z = coordinate(volume, 0, start[0] + iz);
      for (let iy = 0; iy < shape[1]; iy++) {
        const y = coordinate(volume, 1, start[1] + iy);
        const parts = this.#parts(y, z);
        const fields: ComplexRow[] = [];
        for (let i = 0; i < parts.length; i += 2) fields.push({ re: parts[i]!, im: parts[i + 1]!, step: 1 });
        this.#writeRow(iz, iy, shape[2], fields);
      }
    }
  }

  #interpolate({ start, shape }: Block, layers: Layers): void {
    for (let iz = 0; iz < shape[0]; iz++) {
      this.#interpolator!.plane(layers, start[0] + iz, start[1], start[1] + shape[1], (y, rows) => {
        const fields = rows.map((row): ComplexRow => ({ re: row, im: row.subarray(1), step: 2 }));
        this.#writeRow(iz, y - start[1], shape[2], fields);
      });
    }
  }

  /** Real and imaginary parts along the row that is set, of pressure and as many derivatives as are needed. */
  #parts(y: number, z: number): Float32Array[] {
    const order = orderOf(this.#work);
    if (order === 0) return Object.values(this.#kernel.pressure(y, z));
    return order === 1 ? this.#kernel.gradient(y, z) : this.#kernel.derivatives(order, y, z);
  }

  #writeRow(iz: number, iy: number, points: number, fields: readonly ComplexRow[]): void {
    const { constants } = this.#work;
    this.#store.row(iz, iy, (quantity, out, at) => writeRow(quantity, fields, points, constants, out, at));
  }
}

/** Highest order of derivatives of the pressure that the quantities are made of. */
export function orderOf({ quantities }: { readonly quantities: readonly StoredQuantity[] }): 0 | 1 | 2 | 3 {
  return Math.max(...quantities.map((quantity) => formats[quantity].order)) as 0 | 1 | 2 | 3;
}

/** Complex numbers that each point of the sum gives: the pressure and its derivatives. */
export function fieldsOf(work: { readonly quantities: readonly StoredQuantity[] }): number {
  return derivativeCounts[orderOf(work)];
}

/** What sums at the points of a volume. @throws FieldError `KernelRefused` */
export function kernelFor(work: Kerneled): RowKernel {
  const { volume, lattice } = work;
  const half = volume.shape.map((n) => ((n - 1) / 2) * volume.spacing);
  const [z, y, x] = volume.first.map((first, i) => first + half[i]!) as [number, number, number];
  const around = lattice ? lattice.taps[0] * lattice.step : 0;
  return kernelsFor(work)(sourcesOf(work), [x, y, z], Math.hypot(...half) + around);
}

/** Kernels of some sources, for points within `reach` of the origin. */
function kernelsFor({
  backend,
}: Kerneled): (sources: Sources, origin: readonly [number, number, number], reach: number) => RowKernel {
  return backend === 'Reference' ? (sources) => new ReferenceKernel(sources) : checkedKernel;
}

function sourcesOf({ sources, pattern }: Kerneled): Sources {
  return { ...sources, directivity: directivityOf(pattern) };
}
