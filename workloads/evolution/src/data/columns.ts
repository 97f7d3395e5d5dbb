// A table in typed columns, and the builder that readers of any format append text or values to.

export type ColumnType = 'Numeric' | 'Categorical' | 'Text' | 'DateTime' | 'Ignore';

export interface NumericColumn {
  readonly name: string;
  /** DateTime: seconds since 1970. */
  readonly type: 'Numeric' | 'DateTime';
  /** NaN where missing. Single precision, as pipelines see them, but for times, what the spec names as target, weight or time, and whole numbers that need double. */
  readonly values: Float32Array | Float64Array;
}

export interface CategoricalColumn {
  readonly name: string;
  readonly type: 'Categorical';
  /** Place in `levels`, -1 where missing. */
  readonly codes: Int32Array;
  /** In the order of their first appearance. */
  readonly levels: readonly string[];
}

/** Free text is not kept: only how much there is of it. */
export interface TextColumn {
  readonly name: string;
  readonly type: 'Text';
  /** NaN where missing. */
  readonly characters: Float32Array;
  readonly words: Float32Array;
}

export type Column = NumericColumn | CategoricalColumn | TextColumn;

export interface Table {
  readonly rows: number;
  readonly columns: readonly Column[];
  /** What was passed over or changed, for the log and the report. */
  readonly notes: readonly Note[];
  /** Where a row stands in the file: its line in a CSV, counted from 1 in Parquet. */
  readonly placeOf: (row: number) => number;
}

export interface Note {
  readonly column: string;
  readonly row?: number;
  readonly text: string;
}

/** Missing, in the words of the tools that write such files; compared without regard to case. */
export const missingWords: ReadonlySet<string> = new Set([
  '',
  'na',
  'n/a',
  '#n/a',
  'nan',
  '-nan',
  'null',
  'none',
  'nil',
  '?',
  '<na>',
]);

/** A long part of a text keeps the whole of it in memory: what is kept for long is copied. */
export function apart(text: string): string {
  return text.length < 13 ? text : Buffer.from(text).toString();
}

export function isMissing(text: string): boolean {
  const first = text.charCodeAt(0);
  if ((first >= 48 && first <= 57) || text.length > 5) return false;
  return missingWords.has(text.toLowerCase());
}

/** The number in the text; undefined when it is none. Infinity counts as a number here. */
export function numberIn(text: string): number | undefined {
  const first = text.charCodeAt(0);
  // Number() also takes hexadecimal and blanks, which are not numbers in a table.
  if ((first < 48 || first > 57) && first !== 45 && first !== 43 && first !== 46) {
    const word = text.toLowerCase();
    return word === 'inf' || word === 'infinity' ? Number.POSITIVE_INFINITY : undefined;
  }
  const value = Number(text);
  // 0x10, 0b1 and 0o7 have a letter where a number has a digit, a dot or an e.
  if (!Number.isNaN(value)) return first === 48 && isBase(text.charCodeAt(1)) ? undefined : value;
  const word = text.slice(1).toLowerCase();
  if (word === 'inf' || word === 'infinity') return first === 45 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return undefined;
}

/** x, o or b, in either case: asked for every number below one, so not by a regular expression. */
function isBase(code: number): boolean {
  const letter = code | 32;
  return letter === 120 || letter === 111 || letter === 98;
}

/** Seconds since 1970 of an ISO 8601 date or time (UTC where no zone is given); undefined when it is none. */
export function secondsIn(text: string): number | undefined {
  const first = text.charCodeAt(0);
  if (!(first >= 48 && first <= 57)) return undefined;
  const parts = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d(?:\.\d{1,9})?))?\s*(Z|[+-]\d\d:?\d\d)?)?$/.exec(
    text,
  );
  if (!parts) return undefined;
  const [, year, month, day, hour = '0', minute = '0', second = '0', zone = 'Z'] = parts;
  const milliseconds = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), 0);
  if (new Date(milliseconds).getUTCDate() !== Number(day) || Number(hour) > 23 || Number(minute) > 59) return undefined;
  return milliseconds / 1000 + Number(second) - zoneSeconds(zone);
}

function zoneSeconds(zone: string): number {
  if (zone === 'Z') return 0;
  const sign = zone.startsWith('-') ? -1 : 1;
  const digits = zone.replace(/\D/g, '');
  return sign * (Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2)) * 60);
}
