// The smallest parts a compression may keep or drop. The units of a document tile its text.

export type UnitKind = 'sentence' | 'line' | 'heading' | 'row' | 'field' | 'open' | 'close';

export interface Unit {
  /** Offsets in UTF-16 code units: `text.slice(start, end)`; the end of one unit is the start of the next. */
  readonly start: number;
  readonly end: number;
  readonly kind: UnitKind;
  /** Index of the unit this one stands under (the heading, the opening bracket, the header row), −1 at the top. */
  readonly parent: number;
  /** For an opening bracket, the index of the closing one: the two are kept together. */
  closer?: number;
  /** What stands under the parent means nothing without it, so keeping the one keeps the other (JSON brackets). */
  readonly bound?: boolean;
}
