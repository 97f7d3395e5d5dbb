// The second pass over a file: cells of a column, one after the other, into arrays of their exact size.
import { EvolutionError } from '../errors.ts';
import { startOf } from '../text.ts';
import { apart, type Column, type ColumnType, isMissing, type Note, numberIn, secondsIn } from './columns.ts';
import { textKinds } from './features.ts';
import { mebibytes } from './size.ts';

export interface Filler {
  set: (at: number, text: string, row: number) => void;
  /** Undefined where nothing came of it, as the notes say. */
  column: () => Column | undefined;
}

/** What the words of all columns may take together. */
export interface WordRoom {
  readonly bytes: number;
  taken: number;
}

interface FillOptions {
  readonly rows: number;
  readonly room: WordRoom;
  readonly exact?: readonly string[];
  readonly categorical?: readonly string[];
  /** Gets what is passed over. */
  readonly notes: Note[];
}

/** Undefined for a column that is ignored. */
export function fillerOf(
  name: string,
  type: ColumnType,
  { rows, room, exact, categorical, notes }: FillOptions,
): Filler | undefined {
  if (type === 'Ignore') return undefined;
  const needed = (exact?.includes(name) ?? false) || (categorical?.includes(name) ?? false);
  if (type === 'Categorical') return categories(name, rows, needed, room, notes);
  if (type === 'Text') return lengths(name, rows);
  const values = type === 'DateTime' || needed ? new Float64Array(rows) : new Float32Array(rows);
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
          `column ${name}, row ${row}: “${startOf(text, 80)}” is no ${type === 'DateTime' ? 'date' : 'number'}`,
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
        infinite ??= { column: name, row, text: 'infinite values, or beyond 3.4e38, are taken as missing' };
      }
    },
    column: () => {
      if (infinite) notes.push(infinite);
      return { name, type, values };
    },
  };
}

/** Levels of a column that is only learned from; more are an identifier. */
const mostLevels = 2_000_000;
/** A Map holds no more. */
const mostOfAll = 2 ** 24 - 1;

/** Bytes of a word beside its characters: it is a text of its own, a key of a map, and a level. */
const bytesOfWord = 32;

function categories(name: string, rows: number, needed: boolean, room: WordRoom, notes: Note[]): Filler {
  const most = needed ? mostOfAll : mostLevels;
  let taken = 0;
  let codes: Int32Array | undefined = new Int32Array(rows);
  const places = new Map<string, number>();
  const take = (bytes: number, row: number): void => {
    taken += bytes;
    room.taken += bytes;
    if (room.taken <= room.bytes) return;
    throw new EvolutionError(
      'DataTooLarge',
      `column ${name}, row ${row}: its ${places.size} different words take ${mebibytes(taken)} so far; beside the rest of the table there are ${mebibytes(room.bytes)} for words`,
      {
        column: name,
        row,
        field: 'spec.resources.limits.memory',
        fix: 'raise it, use fewer rows, or declare the column Ignore',
      },
    );
  };
  return {
    set: (at, text, row) => {
      if (!codes) return;
      if (isMissing(text)) {
        codes[at] = -1;
        return;
      }
      let place = places.get(text);
      if (place === undefined && places.size === most) {
        if (needed)
          throw new EvolutionError('DataTooLarge', `column ${name}, row ${row}: more than ${most} different values`, {
            column: name,
            row,
          });
        codes = undefined;
        places.clear();
        room.taken -= taken;
        return;
      }
      if (place === undefined) {
        take(bytesOfWord + text.length, row);
        places.set(apart(text), (place = places.size));
      }
      codes[at] = place;
    },
    column: () => {
      if (codes) return { name, type: 'Categorical', codes, levels: [...places.keys()] };
      notes.push({ column: name, text: `left out as an identifier: more than ${most} different values` });
      return undefined;
    },
  };
}

function lengths(name: string, rows: number): Filler {
  const characters = new Float32Array(rows);
  const words = new Float32Array(rows);
  return {
    set: (at, text) => {
      const missing = isMissing(text);
      characters[at] = missing ? Number.NaN : textKinds.Characters(text);
      words[at] = missing ? Number.NaN : textKinds.Words(text);
    },
    column: () => ({ name, type: 'Text', characters, words }),
  };
}
