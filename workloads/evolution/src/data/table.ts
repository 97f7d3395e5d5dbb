// A file as a table: one pass finds the types of whole columns, a second fills typed arrays of the exact size.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { EvolutionError, messageOf } from '../errors.ts';
import type { ColumnType, Note, Table } from './columns.ts';
import { readCsv } from './csv.ts';
import { fillerOf, type WordRoom } from './fill.ts';
import { ColumnProfile } from './infer.ts';
import { openParquet } from './parquet.ts';
import { RowPlaces } from './places.ts';
import { mebibytes } from './size.ts';

export interface TableOptions {
  readonly format: 'CSV' | 'Parquet';
  /** Types instead of the inferred ones. */
  readonly types?: Readonly<Record<string, ColumnType>>;
  /** Columns whose values stay categories though they look like numbers: the target of a classification, groups. */
  readonly categorical?: readonly string[];
  /** Columns of numbers that keep double precision: target, weights, times. */
  readonly exact?: readonly string[];
  /** Bytes; larger files are refused. */
  readonly maxSize?: number;
  /** Bytes that this process may have. */
  readonly memory?: number;
  /** Ends the reading with its reason. */
  readonly signal?: AbortSignal;
}

/** Calls `header` once, then `each` with the cells of every row; `row` is the line of a CSV, counted from 1 in Parquet. */
type Read = (header: (names: string[]) => void, each: (cells: string[], row: number) => void) => Promise<void>;

const columnLimit = 20_000;

/** By its name. */
export function formatOf(path: string): TableOptions['format'] {
  return /\.(parquet|pq)$/i.test(path) ? 'Parquet' : 'CSV';
}

/**
 * The cells of a file, row by row; waits for `between` now and then, so that rows need not pile up.
 * @throws EvolutionError naming the row
 */
export function readCells(
  path: string,
  format: TableOptions['format'],
  header: (names: string[]) => void,
  each: (cells: string[], row: number) => void,
  between?: () => Promise<void>,
): Promise<void> {
  return format === 'CSV' ? csvRows(path, header, each, between) : parquetRows(path, header, each, between);
}

/**
 * Reads a file in two passes; besides the columns themselves, memory holds one chunk.
 * @throws EvolutionError naming column and row
 */
export async function readTable(path: string, options: TableOptions): Promise<Table> {
  await checkFile(path, options.maxSize);
  const { format, signal } = options;
  const goOn = async (): Promise<void> => signal?.throwIfAborted();
  return tableOf((header, each) => readCells(path, format, header, each, goOn), options);
}

/** The same for text in memory, such as a key of a ConfigMap. */
export function readTableText(text: string, options: Omit<TableOptions, 'format' | 'maxSize'>): Promise<Table> {
  const bytes = new TextEncoder().encode(text);
  return tableOf((header, each) => csvCells([bytes], header, each), options);
}

async function tableOf(read: Read, options: Omit<TableOptions, 'format'>): Promise<Table> {
  let profiles: ColumnProfile[] = [];
  let rows = 0;
  let header: string[] = [];
  await read(
    (names) => {
      header = names;
      profiles = allNamed(names).map((name) => new ColumnProfile(name));
    },
    (cells, row) => {
      rows++;
      for (const [i, profile] of profiles.entries()) profile.see(cells[i]!, row);
    },
  );
  if (rows === 0) throw new EvolutionError('DataInvalid', 'the file has a header and no rows');
  const notes: Note[] = [];
  const unknown = Object.keys(options.types ?? {}).find((name) => !profiles.some((profile) => profile.name === name));
  if (unknown !== undefined) {
    throw new EvolutionError('DataInvalid', `dataset.columns names ${unknown}, which the file does not have`, {
      column: unknown,
      field: 'spec.dataset.columns',
    });
  }
  const types = profiles.map((profile, i) =>
    header[i] === '' ? withoutIndex(notes) : typeOf(profile, options, notes),
  );
  const wide = profiles.filter((profile, i) => types[i] === 'Numeric' && profile.wide).map(({ name }) => name);
  const filling = { ...options, exact: [...(options.exact ?? []), ...wide] };
  const room = roomForWords(profiles, types, rows, filling);
  const fillers = profiles.map((profile, i) => fillerOf(profile.name, types[i]!, { rows, room, notes, ...filling }));
  const places = new RowPlaces();
  let at = 0;
  await read(
    () => undefined,
    (cells, row) => {
      places.see(at, row);
      for (const [i, filler] of fillers.entries()) filler?.set(at, cells[i]!, row);
      at++;
    },
  );
  const columns = fillers.flatMap((filler) => filler?.column() ?? []);
  return { rows, columns, notes, placeOf: (row) => places.of(row) };
}

/** The table itself, what is sent to those who evaluate, and as much again for whoever else lives here. */
export const copies = 3;

/** @throws EvolutionError DataTooLarge before anything is made that would not fit */
function roomForWords(
  profiles: readonly ColumnProfile[],
  types: readonly ColumnType[],
  rows: number,
  { memory = Number.POSITIVE_INFINITY, exact = [] }: Omit<TableOptions, 'format'>,
): WordRoom {
  const bytesOf = (profile: ColumnProfile, type: ColumnType): number => {
    if (type === 'Ignore') return 0;
    return type === 'DateTime' || type === 'Text' || exact.includes(profile.name) ? 8 : 4;
  };
  const bytes = rows * profiles.reduce((sum, profile, i) => sum + bytesOf(profile, types[i]!), 0);
  if (copies * bytes <= memory) return { bytes: memory / copies - bytes, taken: 0 };
  throw new EvolutionError(
    'DataTooLarge',
    `${rows} rows of ${profiles.length} columns take ${mebibytes(bytes)}, and working with them ${mebibytes(copies * bytes)}; there are ${mebibytes(memory)}`,
    { field: 'spec.resources.limits.memory', fix: 'raise it, use fewer rows, or declare columns Ignore' },
  );
}

/** What pandas calls a first column without a name, which is how it and R write a table's index. */
const indexName = 'Unnamed: 0';

function withoutIndex(notes: Note[]): ColumnType {
  notes.push({
    column: indexName,
    row: 1,
    text: 'left out: a first column without a name is an index; name it to learn from it',
  });
  return 'Ignore';
}

function typeOf(profile: ColumnProfile, options: Omit<TableOptions, 'format'>, notes: Note[]): ColumnType {
  const needed = options.exact?.includes(profile.name);
  // A column may be called like what every object has, such as constructor.
  const told = Object.hasOwn(options.types ?? {}, profile.name) ? options.types![profile.name] : undefined;
  if (told !== undefined) return told === 'Text' && needed ? 'Categorical' : told;
  if (options.categorical?.includes(profile.name)) return 'Categorical';
  const { mixed, commas } = profile;
  if (commas) {
    notes.push({
      column: profile.name,
      row: commas.row,
      text: `taken as categories because its numbers have commas, such as “${commas.text}”; write them as 1234.56`,
    });
  } else if (mixed) {
    notes.push({
      column: profile.name,
      row: mixed.row,
      text: `taken as categories because ${mixed.cells} of ${profile.rows} cells are no numbers, such as “${mixed.text}”`,
    });
  }
  return profile.type === 'Text' && needed ? 'Categorical' : profile.type;
}

/** A first column without a name gets one, unless another has it. */
function allNamed([first = '', ...others]: string[]): string[] {
  const names = [first === '' && !others.includes(indexName) ? indexName : first, ...others];
  const nameless = names.indexOf('');
  if (nameless < 0) return names;
  throw new EvolutionError('DataInvalid', `header: column ${nameless + 1} has no name`, {
    row: 1,
    fix: 'give it one, or leave the column out',
  });
}

/** What a header must be whatever it is read for. */
function checkedNames(names: string[]): string[] {
  if (names.some((name) => name.includes('\r'))) {
    throw new EvolutionError('DataInvalid', 'header: lines end in carriage returns alone', {
      row: 1,
      fix: 'save the file with line feeds',
    });
  }
  if (names.length > columnLimit) {
    throw new EvolutionError('DataInvalid', `header: ${names.length} columns are more than ${columnLimit}`, {
      row: 1,
      fix: 'leave some out',
    });
  }
  const seen = new Map<string, number>();
  for (const [i, name] of names.entries()) {
    const before = seen.get(name);
    if (name !== '' && before !== undefined) {
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

function csvRows(
  path: string,
  header: (names: string[]) => void,
  each: (cells: string[], row: number) => void,
  between?: () => Promise<void>,
) {
  const chunks = createReadStream(path, { highWaterMark: 1 << 20 });
  return csvCells(between ? withPauses(chunks, between) : chunks, header, each);
}

/** Calls `between` when a chunk has been used, before the next is read. */
async function* withPauses(chunks: AsyncIterable<Uint8Array>, between: () => Promise<void>): AsyncIterable<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk;
    await between();
  }
}

async function csvCells(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  header: (names: string[]) => void,
  each: (cells: string[], row: number) => void,
): Promise<void> {
  let names: string[] | undefined;
  await readCsv(chunks, ({ fields, line }) => {
    if (!names) {
      names = checkedNames(fields);
      header(names);
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
  if (!names) throw new EvolutionError('DataInvalid', 'the file is empty');
}

async function parquetRows(
  path: string,
  header: (names: string[]) => void,
  each: (cells: string[], row: number) => void,
  between?: () => Promise<void>,
) {
  const file = await openParquet(path);
  try {
    header(checkedNames(file.names));
    await file.read(each, between);
  } finally {
    await file.close();
  }
}
