// A fixed number of hashes in one WebAssembly memory, with the tables of multi-index hashing or, when few, without.
// Threads share it: one may build while another searches.
import { type SharedMemory, sharedKernel, sharedMemory } from '../wasm.ts';
import { wasm } from './module.ts';

/**
 * Reasons why an item is not found; any bit hides it. `Removed` items go when segments are merged; `Unhashed` ones have
 * a hash that says too little to be found by.
 */
export const flag = { Removed: 1, Disabled: 2, Quarantined: 4, Unhashed: 8 } as const;
const anyFlag = 15;
/** Numbers of banks lie below. */
const mostBanks = 65_536;

/** Items to a slice of building: a few milliseconds. */
const slice = 100_000;
/** A memory has at most 4 GiB; an item with sixteen tables takes 135 bytes. */
export const mostItems = 30_000_000;

interface Exports {
  readonly layout: (items: number, tables: number) => number;
  readonly section: (which: number) => number;
  readonly spread: (at: number, count: number) => void;
  readonly gather: (at: number, count: number) => void;
  readonly count: (table: number, from: number, to: number) => void;
  readonly sum: (table: number) => void;
  readonly scatter: (table: number, from: number, to: number) => void;
  readonly settle: (table: number) => void;
  readonly search: (items: number, radius: number, reach: number, hide: number) => number;
}

export interface Found {
  readonly slot: number;
  readonly distance: number;
}

/** A segment as it is posted to another thread. */
export interface SharedSegment {
  readonly memory: SharedMemory;
  readonly capacity: number;
  readonly tables: number;
  readonly count: number;
}

const instance = sharedKernel<Exports>(wasm);

export class Segment {
  readonly capacity: number;
  readonly tables: number;
  /** Slots in use; tables cover all of them or there are none. */
  count = 0;
  /** Of all slots, 32 bytes each, their bits spread: see `add` and `hashAt`. */
  readonly hashes: Uint8Array;
  readonly numbers: Uint32Array;
  readonly banks: Uint16Array;
  readonly flags: Uint8Array;
  readonly #memory: SharedMemory;
  readonly #exports: Exports;
  readonly #query: Uint8Array;
  readonly #results: Uint32Array;
  readonly #asked: Uint8Array;
  /** Whose bits lie in `#asked`. */
  #askedFor: ReadonlySet<number> | undefined | null = null;
  readonly #places: { query: number; hashes: number };

  /** @param memory Of a segment of the same capacity and tables; left out, memory of its own. */
  constructor(capacity: number, tables: number, memory = sharedMemory(bytesOf(capacity, tables))) {
    this.#memory = memory;
    this.#exports = instance(memory);
    this.capacity = capacity;
    this.tables = tables;
    this.#exports.layout(capacity, tables);
    const at = (which: number) => this.#exports.section(which) >>> 0;
    const { buffer } = memory;
    this.hashes = new Uint8Array(buffer, at(0), 32 * capacity);
    this.numbers = new Uint32Array(buffer, at(1), capacity);
    this.banks = new Uint16Array(buffer, at(2), capacity);
    this.flags = new Uint8Array(buffer, at(3), capacity);
    this.#query = new Uint8Array(buffer, at(4), 32);
    this.#results = new Uint32Array(buffer, at(5), 2 * 16_384);
    this.#asked = new Uint8Array(buffer, at(6), mostBanks / 8);
    this.#places = { query: at(4), hashes: at(0) };
  }

  /** The same segment, on the thread that it was posted to. */
  static of({ memory, capacity, tables, count }: SharedSegment): Segment {
    const segment = new Segment(capacity, tables, memory);
    segment.count = count;
    return segment;
  }

  get shared(): SharedSegment {
    const { capacity, tables, count } = this;
    return { memory: this.#memory, capacity, tables, count };
  }

  get bytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Appends an item to a segment without tables and returns its slot. */
  add(number: number, hash: Uint8Array, bank: number, flags: number): number {
    const slot = this.count++;
    this.hashes.set(hash, 32 * slot);
    this.#exports.spread(this.#places.hashes + 32 * slot, 1);
    this.numbers[slot] = number;
    this.banks[slot] = bank;
    this.flags[slot] = flags;
    return slot;
  }

  /** Spreads the bits of all `count` hashes that were written as they are, a few milliseconds to each step. */
  *spread(): Generator<void> {
    for (const [from, to] of slices(this.count)) {
      this.#exports.spread(this.#places.hashes + 32 * from, to - from);
      yield;
    }
  }

  /** Builds the tables over all slots, a few milliseconds to each step. */
  *build(): Generator<void> {
    for (let table = 0; table < this.tables; table++) {
      for (const [from, to] of slices(this.count)) {
        this.#exports.count(table, from, to);
        yield;
      }
      this.#exports.sum(table);
      for (const [from, to] of slices(this.count)) {
        this.#exports.scatter(table, from, to);
        yield;
      }
      this.#exports.settle(table);
    }
  }

  /**
   * Exact unless `reach` (differing bits of a chunk that are looked for) is below `radius` / 16.
   * @param banks Those whose items are asked for; left out, all. It is not to change while it is in use.
   */
  search(
    hash: Uint8Array,
    radius: number,
    banks?: ReadonlySet<number>,
    reach: number = Math.floor(radius / 16),
  ): Found[] {
    this.#query.set(hash);
    this.#exports.spread(this.#places.query, 1);
    this.#ask(banks);
    const found = this.#exports.search(this.count, radius, reach, anyFlag);
    return Array.from({ length: found }, (_, i) => ({
      slot: this.#results[2 * i] as number,
      distance: this.#results[2 * i + 1] as number,
    }));
  }

  /** Searches of one query follow each other, of the same banks. */
  #ask(banks: ReadonlySet<number> | undefined): void {
    if (banks === this.#askedFor) return;
    this.#askedFor = banks;
    this.#asked.fill(banks ? 0 : 255);
    for (const bank of banks ?? []) this.#asked[bank >> 3] = (this.#asked[bank >> 3] as number) | (1 << (bank & 7));
  }

  hashAt(slot: number): Uint8Array {
    this.#query.set(this.hashes.subarray(32 * slot, 32 * slot + 32));
    this.#exports.gather(this.#places.query, 1);
    return this.#query.slice();
  }

  /** The slot of an item, in a segment whose numbers ascend. */
  slotOf(number: number): number | undefined {
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const here = this.numbers[middle] as number;
      if (here === number) return middle;
      if (here < number) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }
}

/** Of a memory for so many items; the kernel lays it out itself. */
function bytesOf(capacity: number, tables: number): number {
  if (capacity > mostItems) throw new RangeError(`${capacity} items; a segment has at most ${mostItems}`);
  return measuring().layout(capacity, tables) >>> 0;
}

let measure: Exports | undefined;
/** An instance that only tells sizes, as one needs memory before it is there. */
function measuring(): Exports {
  return (measure ??= instance(sharedMemory(1)));
}

function* slices(count: number): Generator<[number, number]> {
  for (let from = 0; from < count; from += slice) yield [from, Math.min(count, from + slice)];
}
