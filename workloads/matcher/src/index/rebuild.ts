// Several segments made one, by ascending number and without what was removed, its tables built: in small steps on the
// thread that serves, or in one go on another. The parts are only read, and may be searched and changed meanwhile.
import { flag, Segment } from './segment.ts';

/** Items to a step. */
const slice = 100_000;
/** All bits of `flag`; a search that runs meanwhile marks what it has found by another. */
const allFlags = 15;

/** A part, the order of its slots by number, and the next to take. */
interface Cursor {
  readonly part: Segment;
  /** Left out where the slots are in order. */
  readonly order: Uint32Array | undefined;
  at: number;
  readonly end: number;
}

/** @param tables Of the new segment: 16, or 0 for none. */
export function* rebuild(parts: readonly Segment[], tables: number): Generator<void, Segment> {
  const cursors: Cursor[] = [];
  let left = 0;
  for (const part of parts) {
    const end = part.count;
    for (let slot = 0; slot < end; slot++) if (!isRemoved(part, slot)) left++;
    cursors.push({ part, order: ascending(part.numbers, end), at: 0, end });
    yield;
  }
  const into = new Segment(left, tables);
  for (const _ of fill(into, cursors)) yield;
  for (const _ of into.build()) yield;
  return into;
}

/** Takes the longest run of slots that lies before all other parts, again and again. */
function* fill(into: Segment, cursors: readonly Cursor[]): Generator<void> {
  let rest = slice;
  while (into.count < into.capacity) {
    const open = cursors.filter(({ at, end }) => at < end).sort((a, b) => next(a) - next(b));
    const [first, second] = open;
    if (!first) return;
    rest -= take(into, first, second ? next(second) : Number.POSITIVE_INFINITY);
    if (rest > 0) continue;
    yield;
    rest = slice;
  }
}

function next({ part, order, at }: Cursor): number {
  return part.numbers[order ? (order[at] as number) : at] as number;
}

/** Copies items whose numbers are below `limit`, at most a slice of them; at least one slot is passed. */
function take(into: Segment, cursor: Cursor, limit: number): number {
  const { part, order, end } = cursor;
  const from = cursor.at;
  const to = Math.min(end, from + slice);
  if (order) {
    do {
      copy(into, part, order[cursor.at++] as number, 1);
    } while (cursor.at < to && next(cursor) < limit);
  } else {
    let begin = from;
    do {
      if (isRemoved(part, cursor.at++)) {
        copy(into, part, begin, cursor.at - 1 - begin);
        begin = cursor.at;
      }
    } while (cursor.at < to && next(cursor) < limit);
    copy(into, part, begin, cursor.at - begin);
  }
  return cursor.at - from;
}

/** Appends so many slots. */
function copy(into: Segment, part: Segment, from: number, count: number): void {
  // An item removed after the count was taken may come along, and one shown again may find no room: it was removed.
  const fits = Math.min(count, into.capacity - into.count);
  if (fits <= 0 || (fits === 1 && isRemoved(part, from))) return;
  const at = into.count;
  into.hashes.set(part.hashes.subarray(32 * from, 32 * (from + fits)), 32 * at);
  into.numbers.set(part.numbers.subarray(from, from + fits), at);
  into.banks.set(part.banks.subarray(from, from + fits), at);
  for (let i = 0; i < fits; i++) into.flags[at + i] = (part.flags[from + i] as number) & allFlags;
  into.count += fits;
}

function isRemoved(part: Segment, slot: number): boolean {
  return ((part.flags[slot] as number) & flag.Removed) !== 0;
}

/** The order that sorts, or nothing when the numbers ascend already. */
function ascending(numbers: Uint32Array, count: number): Uint32Array | undefined {
  if (isAscending(numbers, count)) return undefined;
  return Uint32Array.from({ length: count }, (_, i) => i).sort(
    (a, b) => (numbers[a] as number) - (numbers[b] as number),
  );
}

export function isAscending(numbers: Uint32Array, count: number): boolean {
  for (let i = 1; i < count; i++) if ((numbers[i - 1] as number) >= (numbers[i] as number)) return false;
  return true;
}
