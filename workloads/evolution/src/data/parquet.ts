// Parquet, row group by row group: values come out as text, number, date or nothing.
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { EvolutionError, messageOf } from '../errors.ts';

export interface ParquetFile {
  readonly names: string[];
  readonly rows: number;
  /** Calls `each` with the cells of every row, in the order of `names`; `row` counts from 1. */
  read: (each: (cells: string[], row: number) => void) => Promise<void>;
  close: () => Promise<void>;
}

/** Rows that are in memory at once. */
const rowsAtOnce = 16_384;

/** @throws EvolutionError DataDamaged for a file that is cut off or no Parquet, naming the row where reading stopped. */
export async function openParquet(path: string): Promise<ParquetFile> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const file = asyncBufferOf(handle, size);
    const metadata = await metadataOf(file, size);
    const root = parquetSchema(metadata);
    const nested = root.children.find((child) => child.children.length > 0);
    if (nested) {
      throw new EvolutionError('DataInvalid', `column ${nested.element.name} is nested`, {
        column: nested.element.name,
        fix: 'flatten it before',
      });
    }
    return {
      names: root.children.map((child) => child.element.name),
      rows: Number(metadata.num_rows),
      read: (each) => readRows(file, metadata, each),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function asyncBufferOf(handle: FileHandle, size: number): AsyncBuffer {
  return {
    byteLength: size,
    slice: async (start, end = size) => {
      const bytes = new Uint8Array(end - start);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
      if (bytesRead < bytes.length) throw new Error('the file ends too early');
      return bytes.buffer;
    },
  };
}

async function metadataOf(file: AsyncBuffer, size: number): Promise<FileMetaData> {
  if (size < 12) throw new EvolutionError('DataDamaged', `the file has ${size} bytes, too few for Parquet`);
  try {
    return await parquetMetadataAsync(file);
  } catch (cause) {
    throw new EvolutionError(
      'DataDamaged',
      `the Parquet file has no readable footer (${messageOf(cause)})`,
      { fix: 'it may be cut off: upload it again' },
      cause,
    );
  }
}

async function readRows(
  file: AsyncBuffer,
  metadata: FileMetaData,
  each: (cells: string[], row: number) => void,
): Promise<void> {
  const names = parquetSchema(metadata).children.map((child) => child.element.name);
  const total = Number(metadata.num_rows);
  for (let start = 0; start < total; start += rowsAtOnce) {
    const end = Math.min(total, start + rowsAtOnce);
    let rows: Record<string, unknown>[];
    try {
      rows = await parquetReadObjects({ file, metadata, rowStart: start, rowEnd: end, compressors });
    } catch (cause) {
      throw new EvolutionError(
        'DataDamaged',
        `rows ${start + 1} to ${end} cannot be read (${messageOf(cause)})`,
        { row: start + 1, fix: 'the file may be damaged: upload it again' },
        cause,
      );
    }
    for (const [i, row] of rows.entries()) {
      each(
        names.map((name) => textOf(row[name])),
        start + i + 1,
      );
    }
  }
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return JSON.stringify(value);
}
