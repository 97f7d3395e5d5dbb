// All hashes of a shard in memory: a tail that takes new items and is searched by a scan, and sorted segments with
// tables behind it, merged on another thread as they grow. Searches are exact at any radius, whatever is being merged.
import { isAscending, rebuild } from './rebuild.ts';
import { inSlices, rebuilt } from './rebuilding.ts';
import { flag, mostItems, Segment } from './segment.ts';

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
  /** Sorted by number within, oldest first; what was loaded is without tables until it is settled. */
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
      // What cannot be merged now is searched as it is, and tried again with the next full tail.
      void this.settle().catch(() => undefined);
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

  /**
   * Sorts full tails into segments, merges small ones and gives all of them tables; resolves when nothing is left to do,
   * and rejects when there is no memory for it: nothing is lost then.
   */
  settle(): Promise<void> {
    this.#work ??= this.#settle().finally(() => {
      this.#work = undefined;
      this.#touched = undefined;
    });
    return this.#work;
  }

  /** Adds many items at once, found by a scan until `settle` is through. Their numbers must not be in the index. */
  async load({ count, spread, hashes, numbers, banks, flags }: Columns): Promise<void> {
    const given = new Segment(count, 0);
    given.count = count;
    given.hashes.set(hashes.subarray(0, 32 * count));
    given.numbers.set(numbers.subarray(0, count));
    given.banks.set(banks.subarray(0, count));
    given.flags.set(flags.subarray(0, count));
    if (!spread) await inSlices(given.spread());
    this.#segments.push(isAscending(numbers, count) ? given : await inSlices(rebuild([given], 0)));
    for (let i = 0; i < count; i++) if (!((given.flags[i] as number) & flag.Removed)) this.#size++;
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
        const parts = this.#toMerge();
        const [first] = parts;
        if (!first) return;
        const merged = await this.#rebuild(parts);
        // More may have been loaded behind them meanwhile.
        const from = this.#segments.indexOf(first);
        this.#segments.splice(from, parts.length, ...(merged.count > 0 ? [merged] : []));
      }
    }
  }

  /** Segments that have no tables yet, together; else those at the end that are at least half of the one before, with it. */
  #toMerge(): Segment[] {
    const sizes = this.#segments.map(({ count }) => count);
    const bare = this.#segments.findIndex(({ tables }) => tables !== this.#tables);
    if (bare >= 0) {
      let to = bare;
      for (let sum = 0; to < sizes.length && (to === bare || sum + (sizes[to] as number) <= mostItems); to++) {
        sum += sizes[to] as number;
      }
      return this.#segments.slice(bare, to);
    }
    let sum = 0;
    let from = this.#segments.length;
    for (let i = this.#segments.length - 1; i > 0; i--) {
      sum += sizes[i] as number;
      const before = sizes[i - 1] as number;
      if (sum + before > mostItems) break;
      if (sum * 2 >= before) from = i - 1;
    }
    return this.#segments.slice(from);
  }

  /** One segment with tables of all that is left of `parts`, which are searched and changed meanwhile. */
  async #rebuild(parts: readonly Segment[]): Promise<Segment> {
    this.#touched = new Set();
    const segment = await rebuilt(parts, this.#tables);
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
