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
    const rows = Number(group.num_rows);
    const columns = await groupOf(file, metadata, names, start, rows);
    for (let i = 0; i < rows; i++) {
      const row = start + i + 1;
      each(
        columns.map((column, j) => textOf(column.at(i), names[j]!, row)),
        row,
      );
      if (between && (i + 1) % rowsBetween === 0) await between();
    }
    start += rows;
  }
}

/** All columns of a row group: any part of it would decode all of it. */
async function groupOf(
  file: AsyncBuffer,
  metadata: FileMetaData,
  names: readonly string[],
  start: number,
  rows: number,
): Promise<GroupColumn[]> {
  const columns = names.map(() => new GroupColumn());
  const damaged = (what: string, cause?: unknown) =>
    new EvolutionError(
      'DataDamaged',
      `rows ${start + 1} to ${start + rows} cannot be read (${what})`,
      { row: start + 1, fix: 'the file may be damaged: upload it again' },
      cause,
    );
  try {
    await parquetRead({
      file,
      metadata,
      rowStart: start,
      rowEnd: start + rows,
      compressors,
      onChunk: ({ columnName, columnData }) => columns[names.indexOf(columnName)]!.push(columnData),
    });
  } catch (cause) {
    throw damaged(messageOf(cause), cause);
  }
  const short = columns.findIndex((column) => column.length !== rows);
  if (short >= 0) throw damaged(`column ${names[short]} has ${columns[short]!.length} cells`);
  return columns;
}

/** Cells as they were decoded, page after page; asked for in their order. */
class GroupColumn {
  readonly #pages: ArrayLike<unknown>[] = [];
  #page = 0;
  #before = 0;
  length = 0;

  push(page: ArrayLike<unknown>): void {
    this.#pages.push(page);
    this.length += page.length;
  }

  at(row: number): unknown {
    while (row - this.#before >= this.#pages[this.#page]!.length) this.#before += this.#pages[this.#page++]!.length;
    return this.#pages[this.#page]![row - this.#before];
  }
}

function textOf(value: unknown, column: string, row: number): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') {
    if (!value.includes('\0')) return value;
    throw new EvolutionError('DataInvalid', `column ${column}, row ${row}: a NUL byte`, { column, row });
  }
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return JSON.stringify(value);
}
