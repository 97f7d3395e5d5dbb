// A learning problem: features, target, weights, and what rows must not be parted or mixed.
import { createHash } from 'node:crypto';
import { EvolutionError } from '../errors.ts';
import { type FrozenModel, refuseLarge } from '../frozen/model.ts';
import type { Column, Note, Table } from './columns.ts';
import { type Feature, featuresOf } from './features.ts';
import { isIdentifier } from './identifier.ts';
import { affirmativeOf, rarerOf } from './positive.ts';

export type Task = 'Binary' | 'Multiclass' | 'Regression';

export interface Problem {
  readonly task: Task;
  readonly target: string;
  readonly rows: number;
  readonly features: readonly Feature[];
  /** Regression: the value. Otherwise the place in `classes`; Binary: 1 is the positive class. */
  readonly y: Float64Array;
  readonly classes: readonly string[];
  readonly weights?: Float64Array;
  readonly groups?: Int32Array;
  /** Seconds, or whatever unit the time column has. */
  readonly times?: Float64Array;
  /** Models that join the ensemble as they are. */
  readonly frozen?: readonly FrozenModel[];
  /** Columns of numbers that name a row, found before features take single precision; for the audit alone. */
  readonly identifiers?: readonly string[];
  /** SHA-256 of what is learned from: what caches are keyed by. */
  readonly hash: string;
}

export interface ProblemOptions {
  readonly target: string;
  readonly task: Task;
  readonly positiveClass?: string;
  readonly weight?: string;
  readonly groupColumn?: string;
  readonly timeColumn?: string;
  /** Columns whose type the user gave: these are kept whatever they look like. */
  readonly told?: readonly string[];
}

const mostClasses = 1000;
const fewestRows = 10;

/** @throws EvolutionError TargetInvalid or DataInvalid, naming the column and what to do */
export function problemOf(table: Table, options: ProblemOptions): { problem: Problem; notes: Note[] } {
  const notes: Note[] = [...table.notes];
  const target = columnOf(table, options.target, 'spec.dataset.target');
  const rows = presentRows(target, table.placeOf, notes);
  if (rows.length < fewestRows) {
    throw new EvolutionError(
      'DataInvalid',
      `${rows.length} rows with a target are too few: at least ${fewestRows} are needed`,
    );
  }
  const { y, classes } =
    options.task === 'Regression'
      ? valuesOf(target, rows)
      : classesOf(target, rows, notes, options.task, options.positiveClass);
  const weights =
    options.weight === undefined
      ? undefined
      : weightsOf(columnOf(table, options.weight, 'spec.dataset.weight'), rows, table.placeOf);
  const groups =
    options.groupColumn === undefined
      ? undefined
      : groupsOf(columnOf(table, options.groupColumn, 'spec.validation.groupColumn'), rows, table.placeOf);
  const times =
    options.timeColumn === undefined
      ? undefined
      : timesOf(columnOf(table, options.timeColumn, 'spec.validation.timeColumn'), rows, table.placeOf);
  const apart = new Set([options.target, options.weight, options.groupColumn]);
  const columns = table.columns
    .filter((column) => !apart.has(column.name))
    .map((column) => taken(column, rows))
    .filter((column) => useful(column, rows.length, options.told ?? [], notes));
  const features = columns.flatMap(featuresOf);
  if (features.length === 0) {
    throw new EvolutionError('DataInvalid', `no column besides ${options.target} holds anything to learn from`, {
      fix: notes.map((note) => `${note.column}: ${note.text}`).join(', ') || 'add columns to predict it from',
    });
  }
  const problem = {
    task: options.task,
    target: options.target,
    rows: rows.length,
    features,
    y,
    classes,
    identifiers: columns.flatMap((column) => (column.type === 'Numeric' && isIdentifier(column) ? [column.name] : [])),
    ...(weights ? { weights } : {}),
    ...(groups ? { groups } : {}),
    ...(times ? { times } : {}),
  };
  return { problem: { ...problem, hash: hashOf(problem) }, notes };
}

/**
 * The same with models that join the ensemble as they are: another problem, for another hash.
 * @throws EvolutionError DataTooLarge where the models are
 */
export function withFrozen(problem: Problem, frozen: readonly FrozenModel[]): Problem {
  if (frozen.length === 0) return problem;
  refuseLarge(frozen);
  const { hash: _, ...rest } = problem;
  return { ...rest, frozen, hash: hashOf({ ...rest, frozen }) };
}

/** Hash of the table alone: the same with other models beside it. */
export function tableHashOf({ hash, frozen, ...table }: Problem): string {
  return frozen ? hashOf(table) : hash;
}

/** Classes that the model tells apart; 1 for a regression. */
export function outputsOf(problem: { task: Task; classes: readonly string[] }): number {
  return problem.task === 'Multiclass' ? problem.classes.length : 1;
}

function columnOf(table: Table, name: string, field: string): Column {
  const column = table.columns.find((each) => each.name === name);
  if (column) return column;
  const names = table.columns.map((each) => each.name);
  throw new EvolutionError('DataInvalid', `the file has no column ${name}`, {
    column: name,
    field,
    fix: `its columns are ${names.slice(0, 20).join(', ')}${names.length > 20 ? ' …' : ''}`,
  });
}

/** Rows that have a target: others cannot teach. */
function presentRows(target: Column, placeOf: Table['placeOf'], notes: Note[]): Int32Array {
  const missing = gapsOf(target);
  const { length } = cellsOf(target);
  const rows = Int32Array.from({ length }, (_, i) => i).filter((i) => !missing(i));
  if (rows.length === 0) {
    const why = notes.find(({ column }) => column === target.name)?.text;
    throw new EvolutionError(
      'TargetInvalid',
      `the target ${target.name} is empty in every row${why === undefined ? '' : `: ${why}`}`,
      { column: target.name },
    );
  }
  if (rows.length < length) {
    let first = 0;
    while (!missing(first)) first++;
    notes.push({
      column: target.name,
      row: placeOf(first),
      text: `${length - rows.length} rows without a target are left out`,
    });
  }
  return rows;
}

function valuesOf(target: Column, rows: Int32Array): { y: Float64Array; classes: string[] } {
  if (!('values' in target)) {
    throw new EvolutionError(
      'TargetInvalid',
      `the target ${target.name} holds words such as “${'levels' in target ? (target.levels[0] ?? '') : ''}”, which a regression cannot predict`,
      {
        column: target.name,
        field: 'spec.dataset.task',
        fix: 'set task: Binary or Multiclass, or correct the cells',
      },
    );
  }
  const y = Float64Array.from(rows, (row) => target.values[row]!);
  if (y.every((value) => value === y[0])) {
    throw new EvolutionError('TargetInvalid', `the target ${target.name} is ${y[0]} in every row`, {
      column: target.name,
    });
  }
  return { y, classes: [] };
}

function classesOf(
  target: Column,
  rows: Int32Array,
  notes: Note[],
  task: Task,
  positive?: string,
): { y: Float64Array; classes: string[] } {
  if (!('codes' in target)) throw new TypeError('a class target is read as categories');
  const counts = new Map<number, number>();
  for (const row of rows) counts.set(target.codes[row]!, (counts.get(target.codes[row]!) ?? 0) + 1);
  const levels = [...counts.keys()].map((code) => target.levels[code]!);
  const refuse = (text: string, fix: string, field = 'spec.dataset.task') => {
    throw new EvolutionError('TargetInvalid', `the target ${target.name} ${text}`, { column: target.name, field, fix });
  };
  if (levels.length === 1)
    refuse(`has one class, ${levels[0]}`, 'nothing can be learned from it', 'spec.dataset.target');
  if (task === 'Binary' && levels.length > 2) refuse(`has ${levels.length} classes`, 'set task: Multiclass');
  if (levels.length > mostClasses)
    refuse(`has ${levels.length} classes, more than ${mostClasses}`, 'set task: Regression if it is a number');
  const single = levels.filter((level) => counts.get(target.levels.indexOf(level)) === 1);
  if (single.length === levels.length)
    refuse(
      `has ${levels.length} classes, each in one row: none is met twice`,
      'choose a column whose values repeat',
      'spec.dataset.target',
    );
  if (single.length > 0) {
    const what =
      single.length === 1 ? `the class “${single[0]}” has` : `${single.length} classes, such as “${single[0]}”, have`;
    notes.push({ column: target.name, text: `${what} one row: either to learn from, or to be judged by` });
  }
  if (positive !== undefined && !levels.includes(positive)) {
    refuse(`has no class ${positive}`, `its classes are ${levels.join(', ')}`, 'spec.dataset.positiveClass');
  }
  const classes = levels.sort(byNumberOrText);
  if (task === 'Binary') {
    const count = (level: string) => counts.get(target.levels.indexOf(level))!;
    const chosen = positive ?? affirmativeOf(classes) ?? rarerOf(classes, count, target.name, notes);
    if (chosen === classes[0]) classes.reverse();
  }
  const places = new Map(classes.map((level, i) => [target.levels.indexOf(level), i]));
  return { y: Float64Array.from(rows, (row) => places.get(target.codes[row]!)!), classes };
}

/** The order of classes, as most libraries have it. */
export function byNumberOrText(a: string, b: string): number {
  const difference = Number(a) - Number(b);
  if (!Number.isNaN(difference)) return difference;
  return a < b ? -1 : a > b ? 1 : 0;
}

function weightsOf(column: Column, rows: Int32Array, placeOf: Table['placeOf']): Float64Array {
  if (!('values' in column))
    throw new EvolutionError('DataInvalid', `the weights in ${column.name} are no numbers`, { column: column.name });
  const weights = Float64Array.from(rows, (row) => column.values[row]!);
  const wrong = weights.findIndex((weight) => !(weight >= 0));
  if (wrong >= 0) {
    const row = placeOf(rows[wrong]!);
    throw new EvolutionError(
      'DataInvalid',
      `column ${column.name}, row ${row}: a weight must be a number of at least 0`,
      { column: column.name, row },
    );
  }
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (sum === 0)
    throw new EvolutionError('DataInvalid', `all weights in ${column.name} are 0`, { column: column.name });
  return weights.map((weight) => (weight * weights.length) / sum);
}

function groupsOf(column: Column, rows: Int32Array, placeOf: Table['placeOf']): Int32Array {
  const places = new Map<number, number>();
  const cells = cellsOf(column);
  const missing = gapsOf(column);
  return Int32Array.from(rows, (row) => {
    const value = cells[row]!;
    if (missing(row)) {
      throw new EvolutionError('SplitInvalid', `column ${column.name}, row ${placeOf(row)}: the group is missing`, {
        column: column.name,
        row: placeOf(row),
      });
    }
    let place = places.get(value);
    if (place === undefined) places.set(value, (place = places.size));
    return place;
  });
}

function timesOf(column: Column, rows: Int32Array, placeOf: Table['placeOf']): Float64Array {
  if (!('values' in column)) {
    throw new EvolutionError('SplitInvalid', `the times in ${column.name} are neither ISO dates nor numbers`, {
      column: column.name,
      field: 'spec.validation.timeColumn',
    });
  }
  return Float64Array.from(rows, (row) => {
    const value = column.values[row]!;
    if (Number.isNaN(value))
      throw new EvolutionError('SplitInvalid', `column ${column.name}, row ${placeOf(row)}: the time is missing`, {
        column: column.name,
        row: placeOf(row),
      });
    return value;
  });
}

function taken(column: Column, rows: Int32Array): Column {
  if (cellsOf(column).length === rows.length) return column;
  const numbers = (from: Float32Array) => Float32Array.from(rows, (row) => from[row]!);
  if ('codes' in column) return { ...column, codes: Int32Array.from(rows, (row) => column.codes[row]!) };
  if (column.type === 'Text')
    return { ...column, characters: numbers(column.characters), words: numbers(column.words) };
  const { values } = column;
  if (values instanceof Float32Array) return { ...column, values: numbers(values) };
  return { ...column, values: Float64Array.from(rows, (row) => values[row]!) };
}

/** One number for each row, by which its cells are told apart. */
function cellsOf(column: Column): Int32Array | Float32Array | Float64Array {
  if ('codes' in column) return column.codes;
  return column.type === 'Text' ? column.characters : column.values;
}

function gapsOf(column: Column): (row: number) => boolean {
  const cells = cellsOf(column);
  return 'codes' in column ? (row) => cells[row]! < 0 : (row) => Number.isNaN(cells[row]!);
}

/** Columns from which nothing can be learned are left out, and the notes say why. */
function useful(column: Column, rows: number, told: readonly string[], notes: Note[]): boolean {
  const leave = (text: string) => {
    notes.push({ column: column.name, text });
    return false;
  };
  const cells = cellsOf(column);
  const missing = gapsOf(column);
  let first = 0;
  while (first < rows && missing(first)) first++;
  if (first === rows) return leave('left out: every cell is missing');
  // A column that is there or not says something even when it says always the same.
  if (column.type !== 'Text' && cells.every((cell) => cell === cells[first]))
    return leave('left out: always the same value');
  if (column.type === 'Categorical' && !told.includes(column.name) && column.levels.length > Math.max(50, 0.9 * rows)) {
    return leave(`left out as an identifier: ${column.levels.length} different values in ${rows} rows`);
  }
  return true;
}

export function hashOf(problem: Omit<Problem, 'hash'>): string {
  const hash = createHash('sha256').update(
    `${problem.task} ${problem.target} ${problem.rows} ${JSON.stringify(problem.classes)}`,
  );
  for (const { values, codes, ...spec } of problem.features) hash.update(JSON.stringify(spec)).update(values ?? codes!);
  for (const each of [problem.y, problem.weights, problem.groups, problem.times]) if (each) hash.update(each);
  for (const { sha256 } of problem.frozen ?? []) hash.update(sha256);
  return hash.digest('hex');
}
