// All hashes of a shard in memory: a tail that takes new items and is searched by a scan, and sorted segments with
// tables behind it, merged in slices as they grow. Searches are exact at any radius, whatever is being merged.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { flag, Segment } from './segment.ts';

export interface IndexedItem {
  /** The record's number of the item, below 2³². */
  readonly number: number;
  readonly hash: Uint8Array;
  /** Number of its bank, below 2¹⁶. */
  readonly bank: number;
  /** Bits of `flag`; 0 is in force. */
  readonly flags: number;
}

export interface Match {
  readonly number: number;
  readonly bank: number;
  readonly distance: number;
}

export interface IndexOptions {
  /** Items in the tail before it is sorted into a segment; it costs a scan on each search. Default 65 536. */
  readonly tail?: number;
  /** Tables of a segment: 16, or 0 to save memory and find by a scan. Default 16. */
  readonly tables?: 0 | 16;
}

/** Columns of a snapshot or bulk load: one entry of each to an item, numbers in any order, hashes as they are written. */
export interface Columns {
  readonly count: number;
  /** Their bits lie as `columns` gave them out; left out, as hashes are written. */
  readonly spread?: boolean;
  readonly hashes: Uint8Array;
  readonly numbers: Uint32Array;
  readonly banks: Uint16Array;
  readonly flags: Uint8Array;
}

export class HashIndex {
  readonly #tailSize: number;
  readonly #tables: 0 | 16;
  #tail: Segment;
  #tailSlots = new Map<number, number>();
  /** Full tails that wait to be sorted, oldest first: still searched by a scan. */
  #full: { segment: Segment; slots: Map<number, number> }[] = [];
  /** Sorted by number within, oldest first. */
  #segments: Segment[] = [];
  #size = 0;
  #work: Promise<void> | undefined;
  /** Items whose flags changed since the merge in progress took its copy. */
  #touched: Set<number> | undefined;

  constructor({ tail = 65_536, tables = 16 }: IndexOptions = {}) {
    this.#tailSize = tail;
    this.#tables = tables;
    this.#tail = new Segment(tail, 0);
  }

  /** Items that are not removed, in force or not. */
  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#parts().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Replaces nothing: a number that is known already is left as it is. Returns whether it was new. */
  add({ number, hash, bank, flags }: IndexedItem): boolean {
    if (this.#find(number) !== undefined) return false;
    if (this.#tail.count === this.#tail.capacity) {
      this.#full.push({ segment: this.#tail, slots: this.#tailSlots });
      this.#tail = new Segment(this.#tailSize, 0);
      this.#tailSlots = new Map();
      void this.settle();
    }
    this.#tailSlots.set(number, this.#tail.add(number, hash, bank, flags));
    if (!(flags & flag.Removed)) this.#size++;
    return true;
  }

  /** Returns whether the item is known. */
  setFlags(number: number, flags: number): boolean {
    const at = this.#find(number);
    if (at === undefined) return false;
    const before = at.segment.flags[at.slot] as number;
    at.segment.flags[at.slot] = flags;
    this.#size += Number(!(flags & flag.Removed)) - Number(!(before & flag.Removed));
    this.#touched?.add(number);
    return true;
  }

  get(number: number): IndexedItem | undefined {
    const at = this.#find(number);
    if (at === undefined) return undefined;
    const { segment, slot } = at;
    const flags = segment.flags[slot] as number;
    return flags & flag.Removed
      ? undefined
      : { number, hash: segment.hashAt(slot), bank: segment.banks[slot] as number, flags };
  }

  /**
   * Every item in force within `radius`, nearest first, then by number. Of more than 16 384 in one segment the
   * nearest are returned.
   * @param banks Those whose items are asked for; left out, all.
   */
  search(hash: Uint8Array, radius: number, banks?: ReadonlySet<number>): Match[] {
    const matches: Match[] = [];
    for (const segment of this.#parts()) {
      for (const { slot, distance } of segment.search(hash, radius, banks)) {
        matches.push({ number: segment.numbers[slot] as number, bank: segment.banks[slot] as number, distance });
      }
    }
    return matches.sort((a, b) => a.distance - b.distance || a.number - b.number);
  }

  /** Sorts full tails into segments and merges small ones; resolves when nothing is left to do. */
  settle(): Promise<void> {
    this.#work ??= this.#settle().finally(() => {
      this.#work = undefined;
    });
    return this.#work;
  }

  /** Adds many items at once, as one segment. Their numbers must not be in the index. */
  async load(columns: Columns): Promise<void> {
    const segment = new Segment(columns.count, this.#tables);
    fill(segment, columns, columns.spread !== true);
    await inSlices(segment.build());
    this.#segments.push(segment);
    for (let i = 0; i < segment.count; i++) if (!((segment.flags[i] as number) & flag.Removed)) this.#size++;
  }

  /** All items, a part at a time: what a snapshot holds. Views, whose flags may change while they are read. */
  *columns(): Generator<Columns> {
    for (const { count, hashes, numbers, banks, flags } of this.#parts()) {
      if (count > 0) yield { count, spread: true, hashes, numbers, banks, flags };
    }
  }

  async #settle(): Promise<void> {
    while (true) {
      const tail = this.#full[0];
      if (tail) {
        const built = await this.#rebuild([tail.segment]);
        this.#full.shift();
        if (built.count > 0) this.#segments.push(built);
      } else {
        const from = this.#mergeFrom();
        if (from === undefined) return;
        const merged = await this.#rebuild(this.#segments.slice(from));
        this.#segments.splice(from, this.#segments.length - from, ...(merged.count > 0 ? [merged] : []));
      }
    }
  }

  /** First of the segments at the end that together are at least half of the one before them. */
  #mergeFrom(): number | undefined {
    let sum = 0;
    let from: number | undefined;
    for (let i = this.#segments.length - 1; i > 0; i--) {
      sum += (this.#segments[i] as Segment).count;
      if (sum * 2 >= (this.#segments[i - 1] as Segment).count) from = i - 1;
    }
    return from;
  }

  /** One segment with tables of all that is left of `parts`, which are searched and changed meanwhile. */
  async #rebuild(parts: readonly Segment[]): Promise<Segment> {
    this.#touched = new Set();
    const columns = concatenate(parts);
    const segment = new Segment(columns.count, this.#tables);
    fill(segment, columns, false);
    await inSlices(segment.build());
    for (const number of this.#touched) {
      const slot = segment.slotOf(number);
      const source = this.#find(number);
      if (slot !== undefined && source) segment.flags[slot] = source.segment.flags[source.slot] as number;
    }
    this.#touched = undefined;
    return segment;
  }

  #parts(): Segment[] {
    return [...this.#segments, ...this.#full.map(({ segment }) => segment), this.#tail];
  }

  #find(number: number): { segment: Segment; slot: number } | undefined {
    const inTail = this.#tailSlots.get(number);
    if (inTail !== undefined) return { segment: this.#tail, slot: inTail };
    for (const { segment, slots } of this.#full) {
      const slot = slots.get(number);
      if (slot !== undefined) return { segment, slot };
    }
    for (const segment of this.#segments) {
      const slot = segment.slotOf(number);
      if (slot !== undefined) return { segment, slot };
    }
    return undefined;
  }
}

async function inSlices(steps: Generator<void>): Promise<void> {
  let since = performance.now();
  for (const _ of steps) {
    if (performance.now() - since < 4) continue;
    await nextTurn();
    since = performance.now();
  }
}

/** Writes columns to the slots of an empty segment, by ascending number; `plain` hashes have their bits spread. */
function fill(segment: Segment, { count, hashes, numbers, banks, flags }: Columns, plain = true): void {
  segment.count = count;
  const order = ascending(numbers, count);
  if (order) {
    for (let slot = 0; slot < count; slot++) {
      const from = order[slot] as number;
      segment.hashes.set(hashes.subarray(32 * from, 32 * from + 32), 32 * slot);
      segment.numbers[slot] = numbers[from] as number;
      segment.banks[slot] = banks[from] as number;
      segment.flags[slot] = flags[from] as number;
    }
  } else {
    segment.hashes.set(hashes.subarray(0, 32 * count));
    segment.numbers.set(numbers.subarray(0, count));
    segment.banks.set(banks.subarray(0, count));
    segment.flags.set(flags.subarray(0, count));
  }
  if (plain) segment.spreadAll();
}

/** The order that sorts, or nothing when the numbers ascend already. */
function ascending(numbers: Uint32Array, count: number): Uint32Array | undefined {
  let sorted = true;
  for (let i = 1; i < count && sorted; i++) sorted = (numbers[i - 1] as number) < (numbers[i] as number);
  if (sorted) return undefined;
  const pairs = new BigUint64Array(count);
  for (let i = 0; i < count; i++) pairs[i] = (BigInt(numbers[i] as number) << 32n) | BigInt(i);
  pairs.sort();
  return Uint32Array.from(pairs, (pair) => Number(pair & 0xffffffffn));
}

/** What is not removed of several segments, hashes with their bits spread as they lie there. */
function concatenate(parts: readonly Segment[]): Columns {
  const most = parts.reduce((sum, part) => sum + part.count, 0);
  const hashes = new Uint8Array(32 * most);
  const numbers = new Uint32Array(most);
  const banks = new Uint16Array(most);
  const flags = new Uint8Array(most);
  let count = 0;
  for (const part of parts) {
    for (let slot = 0; slot < part.count; slot++) {
      const here = part.flags[slot] as number;
      if (here & flag.Removed) continue;
      hashes.set(part.hashes.subarray(32 * slot, 32 * slot + 32), 32 * count);
      numbers[count] = part.numbers[slot] as number;
      banks[count] = part.banks[slot] as number;
      flags[count] = here;
      count++;
    }
  }
  return { count, hashes, numbers, banks, flags };
}
