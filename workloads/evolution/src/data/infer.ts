// Which type a column has, seen over the whole of it: bounded memory whatever the column holds.
import { startOf } from '../text.ts';
import { apart, type ColumnType, isMissing, numberIn, secondsIn } from './columns.ts';

/** Distinct values that are told from "many": as many columns as there are remember theirs while the file is read. */
const distinctLimit = 1000;

/** Whole numbers up to this are exact in single precision. */
const largestSingle = 2 ** 24;

export class ColumnProfile {
  readonly name: string;
  rows = 0;
  missing = 0;
  numeric = 0;
  dates = 0;
  characters = 0;
  words = 0;
  /** A number, but for a comma where others have a point. */
  #comma: { row: number; text: string; cells: number } | undefined;
  #fractions = false;
  #largest = 0;
  firstText: { row: number; text: string } | undefined;
  #distinct: Set<string> | undefined = new Set();

  constructor(name: string) {
    this.name = name;
  }

  see(text: string, row: number): void {
    this.rows++;
    if (isMissing(text)) {
      this.missing++;
      return;
    }
    const value = numberIn(text);
    if (value !== undefined) {
      this.numeric++;
      if (!Number.isInteger(value)) this.#fractions = true;
      else if (Math.abs(value) > this.#largest) this.#largest = Math.abs(value);
      return;
    }
    this.firstText ??= { row, text: startOf(text, 80) };
    if (secondsIn(text) !== undefined) this.dates++;
    if (/^[+-]?\d+,\d+$/.test(text)) this.#comma = { row, text, ...this.#comma, cells: (this.#comma?.cells ?? 0) + 1 };
    this.characters += text.length;
    if (text.length > 20) this.words += text.split(/\s+/).length;
    else this.words++;
    if (this.#distinct && !this.#distinct.has(text) && this.#distinct.add(apart(text)).size > distinctLimit)
      this.#distinct = undefined;
  }

  /** Distinct values that are no numbers; Infinity when there are more than are counted. */
  get distinct(): number {
    return this.#distinct?.size ?? Number.POSITIVE_INFINITY;
  }

  /** Whole numbers that single precision does not tell apart, as identifiers often are. */
  get wide(): boolean {
    return !this.#fractions && this.#largest > largestSingle;
  }

  /** A few numbers in a column of words make it words; a few words in a column of numbers too, and the note says which row. */
  get type(): ColumnType {
    const present = this.rows - this.missing;
    if (this.numeric === present) return 'Numeric';
    if (this.dates === present) return 'DateTime';
    const texts = present - this.numeric;
    if (texts === present && this.words / texts > 4 && this.distinct > Math.min(distinctLimit, present / 2))
      return 'Text';
    return 'Categorical';
  }

  /** Set when a column would be of numbers, were their commas points. */
  get commas(): { row: number; text: string } | undefined {
    return this.#comma && this.#comma.cells + this.numeric === this.rows - this.missing ? this.#comma : undefined;
  }

  /** Set when a column that is mostly numbers is taken as words because of other cells. */
  get mixed(): { row: number; text: string; cells: number } | undefined {
    const present = this.rows - this.missing;
    const others = present - this.numeric;
    if (others === 0 || this.numeric < present / 2 || !this.firstText) return undefined;
    return { ...this.firstText, cells: others };
  }
}
