// Chunks as they are stored: filled row by row, sealed and written, or found whole.
import { FieldError } from '../errors.ts';
import { type Block, chunkBlock, chunkIndexes, type Volume } from '../volume/layout.ts';
import { chunkBytes, chunkPath, seal, verified } from '../zarr/array.ts';
import { readInto, syncFile, writeUnsynced } from './files.ts';
import { type FieldMaxima, maximaOf, type ZoneSphere } from './maxima.ts';
import { arrayOf, floatsPerPoint, formats, type StoredQuantity } from './quantities.ts';

export interface Stored {
  readonly volume: Volume;
  /** The pressure first: maxima are told from it. */
  readonly quantities: readonly StoredQuantity[];
  readonly zones: readonly ZoneSphere[];
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
}

/** Writes one row of a quantity to `out` from float `at` on. */
export type RowWriter = (quantity: StoredQuantity, out: Float32Array, at: number) => void;

/** Holds one chunk at a time. */
export class ChunkStore {
  readonly #stored: Stored;
  readonly #buffers: Uint8Array[];

  constructor(stored: Stored) {
    this.#stored = stored;
    this.#buffers = stored.quantities.map((quantity) => new Uint8Array(chunkBytes(arrayOf(quantity, stored.volume))));
  }

  /** What is stored of the chunk; undefined unless all of its files are there and whole. */
  find(chunk: number): ChunkResult | undefined {
    const checksums: number[] = [];
    for (const [i, path] of this.#paths(chunk).entries()) {
      const buffer = this.#buffers[i]!;
      const checksum = readInto(this.#stored.folder, path, buffer) ? verified(buffer) : undefined;
      if (checksum === undefined) return undefined;
      checksums.push(checksum);
    }
    return this.#result(chunk, checksums, false);
  }

  /** Fills and writes the chunk. @throws FieldError `KernelRefused` for numbers that are none. */
  write(chunk: number, fill: (block: Block) => void): ChunkResult {
    for (let i = 0; i < this.#buffers.length; i++) this.#floats(i).fill(0);
    fill(chunkBlock(this.#stored.volume, chunk));
    const checksums = this.#buffers.map((buffer) => seal(buffer));
    const result = this.#result(chunk, checksums, true);
    if (!Number.isFinite(result.maxima.anywhere)) throw new FieldError('KernelRefused', `chunk ${chunk} is not finite`);
    this.#paths(chunk).forEach((path, i) => writeUnsynced(this.#stored.folder, path, this.#buffers[i]!));
    return result;
  }

  /** Row `iy` of plane `iz` of the chunk that is being filled. */
  row(iz: number, iy: number, write: RowWriter): void {
    const { volume, quantities } = this.#stored;
    const row = (iz * volume.chunk[1] + iy) * volume.chunk[2];
    quantities.forEach((quantity, i) => write(quantity, this.#floats(i), row * floatsPerPoint(quantity)));
  }

  /** Brings the chunk's files to the disk. */
  sync(chunk: number): void {
    for (const path of this.#paths(chunk)) syncFile(this.#stored.folder, path);
  }

  #result(chunk: number, checksums: number[], computed: boolean): ChunkResult {
    const { volume, zones } = this.#stored;
    const block = chunkBlock(volume, chunk);
    const points = block.shape[0] * block.shape[1] * block.shape[2];
    return { chunk, checksums, maxima: maximaOf(this.#floats(0), volume, block, zones), points, computed };
  }

  #floats(i: number): Float32Array {
    const buffer = this.#buffers[i]!;
    return new Float32Array(buffer.buffer, 0, (buffer.length - 4) / 4);
  }

  #paths(chunk: number): string[] {
    const indexes = chunkIndexes(this.#stored.volume, chunk);
    return this.#stored.quantities.map((quantity) => {
      const { array, components } = formats[quantity];
      return chunkPath(array, components === 3 ? [...indexes, 0] : indexes);
    });
  }
}
