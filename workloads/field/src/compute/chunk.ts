// One chunk of the volume: computed, checked, and put where it belongs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FieldError } from '../errors.ts';
import { FieldKernel, ReferenceKernel, type RowKernel } from '../kernel/kernel.ts';
import { directivityOf, type Pattern } from '../physics/directivity.ts';
import type { Sources } from '../physics/sources.ts';
import { type Block, chunkBlock, chunkIndexes, coordinate, type Volume } from '../volume/layout.ts';
import { chunkBytes, chunkPath, seal, verified } from '../zarr/array.ts';
import { writeWhole } from './files.ts';
import { type FieldMaxima, maximaOf, type ZoneSphere } from './maxima.ts';
import { arrayOf, type Constants, floatsPerPoint, formats, type StoredQuantity, writeRow } from './quantities.ts';

/** All that a thread needs to compute chunks; plain data. */
export interface ChunkWork {
  readonly sources: Omit<Sources, 'directivity'>;
  readonly pattern: Pattern;
  readonly volume: Volume;
  readonly quantities: readonly StoredQuantity[];
  readonly constants: Constants;
  readonly zones: readonly ZoneSphere[];
  readonly backend: 'CPU' | 'Reference';
  /** Folder of the Zarr group. */
  readonly folder: string;
}

export interface ChunkResult {
  readonly chunk: number;
  /** Checksums in the order of the quantities. */
  readonly checksums: readonly number[];
  readonly maxima: FieldMaxima;
  readonly points: number;
  /** False when the files were there and whole. */
  readonly computed: boolean;
  /** Time spent in summing alone. */
  readonly seconds: number;
}

export class ChunkComputer {
  readonly #work: ChunkWork;
  readonly #kernel: RowKernel;
  readonly #buffers: Uint8Array[];

  constructor(work: ChunkWork) {
    this.#work = work;
    this.#kernel = kernelFor(work);
    this.#buffers = work.quantities.map((quantity) => new Uint8Array(chunkBytes(arrayOf(quantity, work.volume))));
  }

  /** Computes the chunk's files unless all of them are there and whole. @throws FieldError on a failing output. */
  ensure(chunk: number): ChunkResult {
    const { volume, zones } = this.#work;
    const block = chunkBlock(volume, chunk);
    const points = block.shape[0] * block.shape[1] * block.shape[2];
    const found = this.#find(chunk);
    if (found) {
      const maxima = maximaOf(this.#floats(0), volume, block, zones);
      return { chunk, checksums: found, maxima, points, computed: false, seconds: 0 };
    }
    const start = performance.now();
    this.#sum(block);
    const seconds = (performance.now() - start) / 1000;
    const maxima = maximaOf(this.#floats(0), volume, block, zones);
    if (!Number.isFinite(maxima.anywhere)) throw new FieldError('KernelRefused', `chunk ${chunk} is not finite`);
    const checksums = this.#buffers.map((buffer) => seal(buffer));
    this.#paths(chunk).forEach((path, i) => writeWhole(this.#work.folder, path, this.#buffers[i]!));
    return { chunk, checksums, maxima, points, computed: true, seconds };
  }

  /** Reads what is stored into the buffers; its checksums when everything is whole. */
  #find(chunk: number): number[] | undefined {
    const checksums: number[] = [];
    for (const [i, path] of this.#paths(chunk).entries()) {
      let stored: Uint8Array;
      try {
        stored = readFileSync(join(this.#work.folder, path));
      } catch {
        return undefined;
      }
      const checksum = stored.length === this.#buffers[i]!.length ? verified(stored) : undefined;
      if (checksum === undefined) return undefined;
      this.#buffers[i]!.set(stored);
      checksums.push(checksum);
    }
    return checksums;
  }

  #sum({ start, shape }: Block): void {
    const { volume, quantities, constants } = this.#work;
    const gradient = quantities.some((quantity) => formats[quantity].needsGradient);
    const outputs = quantities.map((quantity, i) => ({ quantity, floats: this.#floats(i).fill(0) }));
    this.#kernel.setRow(Float64Array.from({ length: shape[2] }, (_, i) => coordinate(volume, 2, start[2] + i)));
    for (let iz = 0; iz < shape[0]; iz++) {
      const z = coordinate(volume, 0, start[0] + iz);
      for (let iy = 0; iy < shape[1]; iy++) {
        const y = coordinate(volume, 1, start[1] + iy);
        const parts = gradient ? this.#kernel.gradient(y, z) : Object.values(this.#kernel.pressure(y, z));
        const row = (iz * volume.chunk[1] + iy) * volume.chunk[2];
        for (const { quantity, floats } of outputs) {
          writeRow(quantity, parts, constants, floats, row * floatsPerPoint(quantity));
        }
      }
    }
  }

  #floats(i: number): Float32Array {
    const buffer = this.#buffers[i]!;
    return new Float32Array(buffer.buffer, 0, (buffer.length - 4) / 4);
  }

  #paths(chunk: number): string[] {
    const indexes = chunkIndexes(this.#work.volume, chunk);
    return this.#work.quantities.map((quantity) => {
      const { array, components } = formats[quantity];
      return chunkPath(array, components === 3 ? [...indexes, 0] : indexes);
    });
  }
}

function kernelFor({ sources: plain, pattern, volume, backend }: ChunkWork): RowKernel {
  const sources: Sources = { ...plain, directivity: directivityOf(pattern) };
  if (backend === 'Reference') return new ReferenceKernel(sources);
  const half = volume.shape.map((n) => ((n - 1) / 2) * volume.spacing);
  const [z, y, x] = volume.first.map((first, i) => first + half[i]!) as [number, number, number];
  return new FieldKernel(sources, [x, y, z], Math.hypot(...half));
}
