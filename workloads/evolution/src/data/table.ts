// A file as a table: one pass finds the types of whole columns, a second fills typed arrays of the exact size.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { EvolutionError, messageOf } from '../errors.ts';
import { type Column, type ColumnType, isMissing, type Note, numberIn, secondsIn, type Table } from './columns.ts';
import { readCsv } from './csv.ts';
import { ColumnProfile } from './infer.ts';
import { openParquet } from './parquet.ts';

export interface TableOptions {
  readonly format: 'CSV' | 'Parquet';
  /** Types instead of the inferred ones. */
  readonly types?: Readonly<Record<string, ColumnType>>;
  /** Columns whose values stay categories though they look like numbers: the target of a classification, groups. */
  readonly categorical?: readonly string[];
  /** Bytes; larger files are refused. */
  readonly maxSize?: number;
}

/** Calls `header` once, then `each` with the cells of every row; `row` is the line of a CSV, counted from 1 in Parquet. */
type Read = (header: (names: string[]) => void, each: (cells: string[], row: number) => void) => Promise<void>;

/**
 * Reads a file in two passes; besides the columns themselves, memory holds one chunk.
 * @throws EvolutionError naming column and row
 */
export async function readTable(path: string, options: TableOptions): Promise<Table> {
  await checkFile(path, options.maxSize);
  const read: Read = options.format === 'CSV' ? (h, e) => csvRows(path, h, e) : (h, e) => parquetRows(path, h, e);
  return tableOf(read, options);
}

/** The same for text in memory, such as a key of a ConfigMap. */
export function readTableText(text: string, options: Omit<TableOptions, 'format' | 'maxSize'>): Promise<Table> {
  const bytes = new TextEncoder().encode(text);
  return tableOf((header, each) => csvCells([bytes], header, each), options);
}

async function tableOf(read: Read, options: Omit<TableOptions, 'format'>): Promise<Table> {
  let profiles: ColumnProfile[] = [];
  let rows = 0;
  await read(
    (names) => (profiles = checkedNames(names).map((name) => new ColumnProfile(name))),
    (cells, row) => {
      rows++;
      for (const [i, profile] of profiles.entries()) profile.see(cells[i]!, row);
    },
  );
  if (profiles.length === 0) throw new EvolutionError('DataInvalid', 'the file is empty');
  if (rows === 0) throw new EvolutionError('DataInvalid', 'the file has a header and no rows');
  const notes: Note[] = [];
  const unknown = Object.keys(options.types ?? {}).find((name) => !profiles.some((profile) => profile.name === name));
  if (unknown !== undefined) {
    throw new EvolutionError('DataInvalid', `dataset.columns names ${unknown}, which the file does not have`, {
      column: unknown,
      field: 'spec.dataset.columns',
    });
  }
  const fillers = profiles.map((profile) => fillerOf(profile, typeOf(profile, options, notes), rows, notes));
  let at = 0;
  await read(
    () => undefined,
    (cells, row) => {
      for (const [i, filler] of fillers.entries()) filler?.set(at, cells[i]!, row);
      at++;
    },
  );
  return { rows, columns: fillers.flatMap((filler) => (filler ? [filler.column()] : [])), notes };
}

function typeOf(profile: ColumnProfile, options: Omit<TableOptions, 'format'>, notes: Note[]): ColumnType {
  const told = options.types?.[profile.name];
  if (told !== undefined) return told;
  if (options.categorical?.includes(profile.name)) return 'Categorical';
  const { mixed } = profile;
  if (mixed) {
    notes.push({
      column: profile.name,
      row: mixed.row,
      text: `taken as categories because ${mixed.cells} of ${profile.rows} cells are no numbers, such as “${mixed.text}”`,
    });
  }
  return profile.type;
}

interface Filler {
  set: (at: number, text: string, row: number) => void;
  column: () => Column;
}

function fillerOf(profile: ColumnProfile, type: ColumnType, rows: number, notes: Note[]): Filler | undefined {
  const { name } = profile;
  if (type === 'Ignore') return undefined;
  if (type === 'Categorical' || type === 'Text') return categories(name, type, rows);
  const values = new Float64Array(rows);
  const parse = type === 'DateTime' ? (text: string) => secondsIn(text) ?? numberIn(text) : numberIn;
  let infinite: Note | undefined;
  return {
    set: (at, text, row) => {
      if (isMissing(text)) {
        values[at] = Number.NaN;
        return;
      }
      const value = parse(text);
      if (value === undefined) {
        throw new EvolutionError(
          'DataInvalid',
          `column ${name}, row ${row}: “${text.slice(0, 80)}” is no ${type === 'DateTime' ? 'date' : 'number'}`,
          {
            column: name,
            row,
            field: 'spec.dataset.columns',
            fix: 'correct the cell, or declare the column Categorical',
          },
        );
      }
      // Features have single precision: what is too large for it is as good as infinite.
      if (Number.isFinite(Math.fround(value))) values[at] = value;
      else {
        values[at] = Number.NaN;
        infinite ??= { column: name, row, text: 'infinite values are taken as missing' };
      }
    },
    column: () => {
      if (infinite) notes.push(infinite);
      return { name, type, values };
    },
  };
}

function categories(name: string, type: 'Categorical' | 'Text', rows: number): Filler {
  const codes = new Int32Array(rows);
  const places = new Map<string, number>();
  return {
    set: (at, text) => {
      if (isMissing(text)) {
        codes[at] = -1;
        return;
      }
      let place = places.get(text);
      if (place === undefined) places.set(text, (place = places.size));
      codes[at] = place;
    },
    column: () => ({ name, type, codes, levels: [...places.keys()] }),
  };
}

function checkedNames(names: string[]): string[] {
  const seen = new Map<string, number>();
  for (const [i, name] of names.entries()) {
    if (name === '') {
      throw new EvolutionError('DataInvalid', `header: column ${i + 1} has no name`, { row: 1 });
    }
    const before = seen.get(name);
    if (before !== undefined) {
      throw new EvolutionError('DataInvalid', `header: columns ${before + 1} and ${i + 1} are both called ${name}`, {
        column: name,
        row: 1,
        fix: 'give each its own name',
      });
    }
    seen.set(name, i);
  }
  return names;
}

async function checkFile(path: string, maxSize = Number.POSITIVE_INFINITY): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new EvolutionError(
      'DataUnreadable',
      `${path} cannot be read: ${messageOf(cause)}`,
      { field: 'spec.dataset.source' },
      cause,
    );
  });
  if (!found.isFile())
    throw new EvolutionError('DataUnreadable', `${path} is no file`, { field: 'spec.dataset.source' });
  if (found.size > maxSize) {
    throw new EvolutionError('DataTooLarge', `the file has ${found.size} bytes, more than ${maxSize}`, {
      field: 'spec.dataset.maxSize',
      fix: 'raise maxSize, or use fewer rows',
    });
  }
}

function csvRows(path: string, header: (names: string[]) => void, each: (cells: string[], row: number) => void) {
  return csvCells(createReadStream(path, { highWaterMark: 1 << 20 }), header, each);
}

async function csvCells(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  header: (names: string[]) => void,
  each: (cells: string[], row: number) => void,
): Promise<void> {
  let names: string[] | undefined;
  await readCsv(chunks, ({ fields, line }) => {
    if (!names) {
      names = fields;
      header(fields);
      return;
    }
    if (fields.length !== names.length) {
      throw new EvolutionError(
        'DataInvalid',
        `row ${line}: ${fields.length} fields where the header has ${names.length}`,
        {
          row: line,
          fix: 'quote fields that contain the delimiter',
        },
      );
    }
    each(fields, line);
  });
}

async function parquetRows(
  path: string,
  header: (names: string[]) => void,
  each: (cells: string[], row: number) => void,
) {
  const file = await openParquet(path);
  try {
    header(file.names);
    await file.read(each);
  } finally {
    await file.close();
  }
}
