// Parquet, row group by row group: values come out as text, number, date or nothing.
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetRead, parquetSchema } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { EvolutionError, messageOf } from '../errors.ts';

export interface ParquetFile {
  readonly names: string[];
  readonly rows: number;
  /** Calls `each` with the cells of every row, in the order of `names`; `row` counts from 1. Waits for `between` now and then. */
  read: (each: (cells: string[], row: number) => void, between?: () => Promise<void>) => Promise<void>;
  close: () => Promise<void>;
}

const rowsBetween = 4096;

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
      read: (each, between) => readRows(file, metadata, each, between),
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
  between?: () => Promise<void>,
): Promise<void> {
  const names = parquetSchema(metadata).children.map((child) => child.element.name);
  let start = 0;
  for (const group of metadata.row_groups) {
    const end = start + Number(group.num_rows);
    const columns = names.map(() => new Array<unknown>(end - start));
    try {
      // A whole group at a time: any part of it would decode all of it.
      await parquetRead({
        file,
        metadata,
        rowStart: start,
        rowEnd: end,
        compressors,
        onChunk: ({ columnName, columnData, rowStart }) => {
          const column = columns[names.indexOf(columnName)]!;
          for (let i = 0; i < columnData.length; i++) column[rowStart - start + i] = columnData[i];
        },
      });
    } catch (cause) {
      throw new EvolutionError(
        'DataDamaged',
        `rows ${start + 1} to ${end} cannot be read (${messageOf(cause)})`,
        { row: start + 1, fix: 'the file may be damaged: upload it again' },
        cause,
      );
    }
    for (let i = 0; i < end - start; i++) {
      each(
        columns.map((column) => textOf(column[i])),
        start + i + 1,
      );
      if (between && (i + 1) % rowsBetween === 0) await between();
    }
    start = end;
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
