// Items by their local features: corners that look alike vote for an item, and the geometry of the pairs decides.
import { firstOfEach, shareOfEach } from '../index/banks.ts';
import { inSlices } from '../index/rebuilding.ts';
import { type Found, mostItems, Segment } from '../index/segment.ts';
import { type Alignment, align, complete, type Pair } from './align.ts';
import type { Features } from './extract.ts';

export interface FeatureMatch {
  readonly number: number;
  readonly alignment: Alignment;
}

/** Corners this far apart in 256 bits may be the same. */
const radius = 52;
/** Of sixteen tables: with four a pair at distance 30 is met in 85 % of cases, and one at 45 in half of them. */
const tables = 4;
/** Of more corners that look like one, the nearest of each bank vote: of all of them, and of each at least. */
const common = { all: 400, each: 50 };
/** Items of a bank that geometry is asked about, by their votes: of one alone, of all of several, and of each at least. */
const candidates = { one: 24, all: 48, each: 6 };
const fewestVotes = 4;
/** Pairs that geometry looks at; it compares each with each. */
const mostPairs = 600;
/** Agreeing pairs below which a match is coincidence, and of those that looks brought together, from which on others are looked for. */
export const fewestAgreeing = 8;
const fewestSeen = 6;
/** Of the corners that would have to be there: pictures drawn on one grid have corners at the same places, and few that look alike. */
const smallestShare = 0.18;
/** Features of one segment; a tail this large costs a scan for each corner, so it is kept small. */
const tailSize = 2048;

interface Owner {
  readonly number: number;
  readonly bank: number;
  readonly features: Features;
}

/** A run of slots in a segment that are the corners of one item. */
interface Part {
  readonly segment: Segment;
  /** Slot → position in `owners`. */
  readonly ownerOf: Uint32Array;
  /** Slot → corner of its owner. */
  readonly cornerOf: Uint16Array;
  readonly owners: Owner[];
}

export class FeatureIndex {
  #parts: Part[] = [];
  #tail: Part = newPart(tailSize, 0);
  readonly #hidden = new Set<number>();
  readonly #known = new Set<number>();
  /** Items whose corners go at the next merge of their part. */
  readonly #removed = new Set<number>();
  #work: Promise<void> | undefined;

  get size(): number {
    return this.#known.size;
  }

  get bytes(): number {
    return [...this.#parts, this.#tail].reduce(
      (sum, { segment, ownerOf, cornerOf, owners }) =>
        sum +
        segment.bytes +
        ownerOf.byteLength +
        cornerOf.byteLength +
        owners.reduce((all, { features }) => all + 6 * features.count + 200, 0),
      0,
    );
  }

  add(number: number, features: Features, bank = 0): void {
    if (this.#known.has(number)) return;
    this.#known.add(number);
    if (this.#tail.segment.count + features.count > tailSize) {
      this.#parts.push(this.#tail);
      this.#tail = newPart(tailSize, 0);
      // What cannot be merged for want of memory is searched as it is.
      void this.settle().catch(() => undefined);
    }
    append(this.#tail, { number, bank, features });
  }

  hide(number: number, hidden: boolean): void {
    if (hidden) this.#hidden.add(number);
    else this.#hidden.delete(number);
  }

  delete(number: number): void {
    this.#hidden.delete(number);
    if (this.#known.delete(number)) this.#removed.add(number);
  }

  /**
   * Items with at least `fewestAgreeing` corners where the query's are, most first.
   * @param banks Those whose items are asked for; left out, all.
   * @param admits Items that are asked for within these banks.
   */
  search(
    query: Features,
    banks?: ReadonlySet<number>,
    admits: (number: number) => boolean = () => true,
  ): FeatureMatch[] {
    const votes = new Map<Owner, Pair[]>();
    const known = new Map<number, boolean>();
    const asked = ({ number }: Owner) => {
      let admitted = known.get(number);
      if (admitted === undefined) known.set(number, (admitted = this.#shows(number) && admits(number)));
      return admitted;
    };
    for (const part of [...this.#parts, this.#tail]) vote(part, query, votes, banks, asked);
    // How many corners of all items look like each of the query's: the fewer, the more it says.
    const looks = new Map<number, number>();
    for (const pairs of votes.values())
      for (const { query: corner } of pairs) looks.set(corner, (looks.get(corner) ?? 0) + 1);
    const voted = [...votes]
      .map(([owner, pairs]) => ({ owner, pairs, ...weigh(pairs, looks) }))
      .filter(({ corners }) => corners >= fewestVotes)
      .sort((a, b) => b.weight - a.weight || a.owner.number - b.owner.number);
    const bankOf = ({ owner }: { owner: Owner }) => owner.bank;
    const share = shareOfEach(candidates.all, candidates.each, new Set(voted.map(bankOf)).size);
    return firstOfEach(voted, bankOf, Math.min(share, candidates.one))
      .flatMap(({ owner: { number, features }, pairs }) => {
        const seen = align(query, features, nearest(pairs));
        if (!seen || seen.agreeing < fewestSeen) return [];
        const alignment = seen.agreeing < fewestAgreeing ? completed(query, features, seen) : seen;
        return alignment ? [{ number, alignment }] : [];
      })
      .sort((a, b) => b.alignment.agreeing - a.alignment.agreeing || a.number - b.number);
  }

  #shows(number: number): boolean {
    return !this.#hidden.has(number) && !this.#removed.has(number);
  }

  /** Gives the parts that were tails their tables; resolves when none is left. */
  settle(): Promise<void> {
    this.#work ??= this.#settle().finally(() => {
      this.#work = undefined;
    });
    return this.#work;
  }

  async #settle(): Promise<void> {
    while (this.#parts.some(({ segment }) => segment.tables !== tables)) {
      const parts = this.#toMerge();
      const merged = await inSlices(this.#merged(parts));
      // More tails may have come behind them.
      this.#parts.splice(this.#parts.indexOf(parts[0] as Part), parts.length, merged);
    }
  }

  /** Parts without tables, and those before them that together are at most twice as large as what comes behind. */
  #toMerge(): Part[] {
    let from = this.#parts.findIndex(({ segment }) => segment.tables !== tables);
    let sum = this.#parts.slice(from).reduce((all, { segment }) => all + segment.count, 0);
    while (from > 0) {
      const { count } = (this.#parts[from - 1] as Part).segment;
      if (count > 2 * sum || count + sum > mostItems) break;
      sum += count;
      from--;
    }
    return this.#parts.slice(from);
  }

  /** They are searched meanwhile; what is removed until it is done goes with the next. */
  *#merged(parts: readonly Part[]): Generator<void, Part> {
    const owners = parts.flatMap((part) => part.owners);
    const gone = new Set(owners.flatMap(({ number }) => (this.#removed.has(number) ? [number] : [])));
    const left = owners.filter(({ number }) => !gone.has(number));
    const merged = newPart(
      left.reduce((all, { features }) => all + features.count, 0),
      tables,
    );
    for (const owner of left) {
      append(merged, owner);
      yield;
    }
    for (const _ of merged.segment.build()) yield;
    for (const number of gone) this.#removed.delete(number);
    return merged;
  }
}

function vote(
  part: Part,
  query: Features,
  votes: Map<Owner, Pair[]>,
  banks: ReadonlySet<number> | undefined,
  asked: (owner: Owner) => boolean,
): void {
  if (part.segment.count === 0) return;
  const ownerAt = (slot: number) => part.owners[part.ownerOf[slot] as number] as Owner;
  for (let corner = 0; corner < query.count; corner++) {
    const descriptor = query.descriptors.subarray(32 * corner, 32 * corner + 32);
    const found = part.segment.search(descriptor, radius, banks, 1).filter(({ slot }) => asked(ownerAt(slot)));
    for (const { slot, distance } of nearestOfEach(found, part)) {
      const owner = ownerAt(slot);
      let pairs = votes.get(owner);
      if (!pairs) votes.set(owner, (pairs = []));
      pairs.push({ query: corner, item: part.cornerOf[slot] as number, distance });
    }
  }
}

function nearestOfEach(found: Found[], { segment }: Part): Found[] {
  if (found.length <= common.each) return found;
  const bankOf = ({ slot }: Found) => segment.banks[slot] as number;
  const share = shareOfEach(common.all, common.each, new Set(found.map(bankOf)).size);
  return firstOfEach(
    found.sort((a, b) => a.distance - b.distance),
    bankOf,
    share,
  );
}

/** Each corner of the query counts once, by how rare its look is. */
function weigh(pairs: readonly Pair[], looks: ReadonlyMap<number, number>): { corners: number; weight: number } {
  const corners = new Set(pairs.map(({ query }) => query));
  let weight = 0;
  for (const corner of corners) weight += 1 / (looks.get(corner) as number);
  return { corners: corners.size, weight };
}

/** Up to four pairs to a corner of the query, the nearest: stripes look alike, and geometry will tell them apart. */
function nearest(pairs: readonly Pair[]): Pair[] {
  const taken = new Map<number, number>();
  return [...pairs]
    .sort((a, b) => a.distance - b.distance || a.query - b.query || a.item - b.item)
    .filter(({ query }) => {
      const count = taken.get(query) ?? 0;
      taken.set(query, count + 1);
      return count < 4;
    })
    .slice(0, mostPairs);
}

function newPart(capacity: number, tableCount: number): Part {
  return {
    segment: new Segment(capacity, tableCount),
    ownerOf: new Uint32Array(capacity),
    cornerOf: new Uint16Array(capacity),
    owners: [],
  };
}

function append({ segment, ownerOf, cornerOf, owners }: Part, owner: Owner): void {
  const { features } = owner;
  for (let i = 0; i < features.count; i++) {
    const slot = segment.add(0, features.descriptors.subarray(32 * i, 32 * i + 32), owner.bank, 0);
    ownerOf[slot] = owners.length;
    cornerOf[slot] = i;
  }
  owners.push(owner);
}

function completed(query: Features, item: Features, seen: Alignment): Alignment | undefined {
  const { expected, ...alignment } = complete(query, item, seen);
  const isEnough = alignment.agreeing >= Math.max(fewestAgreeing, smallestShare * expected);
  return isEnough ? alignment : undefined;
}
