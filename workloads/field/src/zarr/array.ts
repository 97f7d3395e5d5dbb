// Zarr v3: a group of arrays with one file per chunk, each ending in its checksum. Read by zarr-python, xarray and others.
import { join } from 'node:path';
import { crc32c } from './crc32c.ts';

/** Element types written here, with their size in bytes. */
export const dataTypes = { complex64: 8, float32: 4, float64: 8 } as const;

export interface ArrayDescription {
  readonly name: string;
  readonly dataType: keyof typeof dataTypes;
  readonly shape: readonly number[];
  readonly chunk: readonly number[];
  readonly dimensionNames: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** `zarr.json` of a group (Zarr v3 core specification). */
export function groupMetadata(attributes: Readonly<Record<string, unknown>>): string {
  return toJson({ zarr_format: 3, node_type: 'group', attributes });
}

/** `zarr.json` of an array. */
export function arrayMetadata({ dataType, shape, chunk, dimensionNames, attributes }: ArrayDescription): string {
  return toJson({
    zarr_format: 3,
    node_type: 'array',
    shape,
    data_type: dataType,
    chunk_grid: { name: 'regular', configuration: { chunk_shape: chunk } },
    chunk_key_encoding: { name: 'default', configuration: { separator: '/' } },
    fill_value: dataType === 'complex64' ? ['NaN', 'NaN'] : 'NaN',
    codecs: [{ name: 'bytes', configuration: { endian: 'little' } }, { name: 'crc32c' }],
    dimension_names: dimensionNames,
    attributes,
  });
}

/** Path of a chunk below the group. */
export function chunkPath(array: string, indexes: readonly number[]): string {
  return join(array, 'c', ...indexes.map(String));
}

export const checksumBytes = 4;

/** Bytes of a chunk's file; chunks at the ends of an array are as long as the others. */
export function chunkBytes({ dataType, chunk }: Pick<ArrayDescription, 'dataType' | 'chunk'>): number {
  return chunk.reduce((product, n) => product * n, dataTypes[dataType]) + checksumBytes;
}

/** Writes the checksum of all before it to the last four bytes. Returns it. */
export function seal(chunk: Uint8Array): number {
  const end = chunk.length - checksumBytes;
  const sum = crc32c(chunk.subarray(0, end));
  new DataView(chunk.buffer, chunk.byteOffset).setUint32(end, sum, true);
  return sum;
}

/** The checksum of a chunk's file, or undefined when the bytes do not agree with it. */
export function verified(chunk: Uint8Array): number | undefined {
  if (chunk.length < checksumBytes) return undefined;
  const end = chunk.length - checksumBytes;
  const stored = new DataView(chunk.buffer, chunk.byteOffset).getUint32(end, true);
  return crc32c(chunk.subarray(0, end)) === stored ? stored : undefined;
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
