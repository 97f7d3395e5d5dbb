// What pipelines see of a row: numbers and categories derived from its cells without any fitting.
import { startOf } from '../text.ts';
import type { Column, ColumnType } from './columns.ts';
import { isMissing, numberIn, secondsIn } from './columns.ts';

/** A DateTime gives four numbers and a Text two, each plain arithmetic on the cell. */
export type FeatureKind = 'Value' | 'Category' | TimeKind | 'Characters' | 'Words';
export type TimeKind = 'Days' | 'HourOfDay' | 'DayOfWeek' | 'YearFraction';

export interface FeatureSpec {
  readonly name: string;
  /** Column it is derived from. */
  readonly column: string;
  readonly type: ColumnType;
  readonly kind: FeatureKind;
  /** Category: value of each code. */
  readonly levels?: readonly string[];
}

/** Numbers as `values`, NaN where missing; categories as `codes`, -1 where missing, `unseen` where training had no such level. */
export type Feature = FeatureSpec & { readonly values?: Float32Array; readonly codes?: Int32Array };

/** Code of a level that training did not have. */
const unseen = -2;

/** Seconds. */
export const day = 86_400;
/** Mean Gregorian year. */
export const year = 31_556_952;

/** Seconds since 1970 → the number of that kind. The ONNX export repeats these formulas. */
const timeKinds: Readonly<Record<TimeKind, (seconds: number) => number>> = {
  Days: (seconds) => seconds / day,
  HourOfDay: (seconds) => (seconds - Math.floor(seconds / day) * day) / 3600,
  DayOfWeek: (seconds) => {
    const days = Math.floor(seconds / day) + 4;
    return days - Math.floor(days / 7) * 7;
  },
  YearFraction: (seconds) => seconds / year - Math.floor(seconds / year),
};

export function isTime(kind: FeatureKind): kind is TimeKind {
  return kind in timeKinds;
}

/** The number of that kind in a text. */
export const textKinds = {
  Characters: (text: string) => text.length,
  Words: (text: string) => text.trim().split(/\s+/).length,
} as const;

/** The features of a column. Numbers are rounded to single precision here, once, as every runtime of the exported model does. */
export function featuresOf(column: Column): Feature[] {
  const { name, type } = column;
  const base = { column: name, type } as const;
  if ('values' in column && column.type === 'Numeric')
    return [{ ...base, name, kind: 'Value', values: single(column.values) }];
  if ('values' in column) {
    return Object.entries(timeKinds).map(([kind, of]) => ({
      ...base,
      name: `${name} ${kind}`,
      kind: kind as TimeKind,
      values: Float32Array.from(column.values, of),
    }));
  }
  if (column.type === 'Text') {
    const { characters, words } = column;
    return [
      { ...base, name: `${name} Characters`, kind: 'Characters', values: characters },
      { ...base, name: `${name} Words`, kind: 'Words', values: words },
    ];
  }
  return [{ ...base, name, kind: 'Category', codes: column.codes, levels: column.levels }];
}

function single(values: Float32Array | Float64Array): Float32Array {
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

/** A cell that arrives at prediction: text as in a file, or a JSON value. */
export type Cell = string | number | boolean | null | undefined;

/** The features of new rows, by the schema of training. `problem` hears of each cell that is not what its column held. */
export function featuresOfRows(
  specs: readonly FeatureSpec[],
  rows: readonly Readonly<Record<string, Cell>>[],
  problem: (row: number, column: string, text: string) => void,
): Feature[] {
  const told = new Set<string>();
  return specs.map((spec) => {
    // What is wrong with a cell is wrong for every feature of its column.
    const again = told.has(spec.column);
    told.add(spec.column);
    if (spec.kind === 'Category') {
      const places = placesOf(spec.levels ?? []);
      const codes = Int32Array.from(rows, (row, i) => {
        const text = String(cellOf(row, spec.column) ?? '');
        if (isMissing(text)) return -1;
        const code = places.get(text);
        if (code === undefined && !again) problem(i, spec.column, `“${startOf(text, 80)}” was not there in training`);
        return code ?? unseen;
      });
      return { ...spec, codes };
    }
    const values = Float32Array.from(rows, (row, i) => {
      const cell = cellOf(row, spec.column);
      const value = numberOfCell(spec, cell);
      if (value === undefined && !again)
        problem(
          i,
          spec.column,
          `“${startOf(String(cell), 80)}” ${infinite(cell) ? 'is infinite' : `is no ${spec.type}`}`,
        );
      return value ?? Number.NaN;
    });
    return { ...spec, values };
  });
}

/** A row without the column has no cell, whatever every object has by that name. */
function cellOf(row: Readonly<Record<string, Cell>>, column: string): Cell {
  return Object.hasOwn(row, column) ? row[column] : undefined;
}

const known = new WeakMap<readonly string[], ReadonlyMap<string, number>>();

/** Made once: of a million levels it takes longer than the predictions of many rows. */
function placesOf(levels: readonly string[]): ReadonlyMap<string, number> {
  const made = known.get(levels) ?? new Map(levels.map((level, i) => [level, i]));
  known.set(levels, made);
  return made;
}

function numberOfCell(spec: FeatureSpec, cell: Cell): number | undefined {
  if (cell === null || cell === undefined || (typeof cell === 'string' && isMissing(cell))) return Number.NaN;
  if (spec.kind === 'Characters' || spec.kind === 'Words') return textKinds[spec.kind](String(cell));
  if (spec.kind === 'Value') return typeof cell === 'boolean' ? undefined : finite(numberIn(String(cell)));
  const seconds = secondsIn(String(cell)) ?? finite(numberIn(String(cell)));
  return seconds === undefined || spec.kind === 'Category' ? undefined : timeKinds[spec.kind](seconds);
}

/** Undefined for what is infinite, or as good as that in single precision. */
function finite(value: number | undefined): number | undefined {
  return value !== undefined && Number.isFinite(Math.fround(value)) ? value : undefined;
}

function infinite(cell: Cell): boolean {
  const value = typeof cell === 'boolean' ? undefined : numberIn(String(cell));
  return value !== undefined && finite(value) === undefined;
}
