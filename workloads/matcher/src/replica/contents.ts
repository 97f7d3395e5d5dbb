// What one replica holds in memory of the record's items: every index, in which of them an item is, and whether it is in force.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { VectorIndex, type VectorMatch, type VectorSearch } from '../embedding/vector-index.ts';
import { type Features, unpack } from '../features/extract.ts';
import { FeatureIndex, type FeatureMatch } from '../features/feature-index.ts';
import { type Columns, HashIndex, type Match } from '../index/hash-index.ts';
import { flag } from '../index/segment.ts';
import { NameIndex, type NameMatch, type NameSearch } from '../profile/name-index.ts';
import type { Profile } from '../profile/similarity.ts';
import type { Kept, Shard } from '../record/everything.ts';
import type { IndexedItem, Position } from '../record/record.ts';
import { ofHash, ofProfile } from './share.ts';

export interface ContentsOptions {
  /** Tables of the hash index: 16, or 0 to save memory and search by a scan. */
  readonly tables: 0 | 16;
  /** Local features are kept in memory and searched. */
  readonly features: boolean;
  /** Items whose hash is of less quality are not found by it. */
  readonly minQuality: number;
  /** Left out, all items. */
  readonly shard?: Shard | undefined;
  /** Of the model whose vectors are searched; those of another say nothing. */
  readonly embedding?: { readonly version: string; readonly dimensions: number } | undefined;
}

/** Of an item, what its row in the columns of the hash index does not say. */
export interface Extra {
  readonly number: number;
  readonly bank: number;
  readonly flags: number;
  readonly profile?: Profile;
  /** Packed features in base64. */
  readonly features?: string;
  /** Its vector in base64. */
  readonly embedding?: string;
  /** When it is in force again. */
  readonly until?: number;
  readonly sha256?: string;
}

export class Contents {
  at: Position = { position: 0, mark: 0 };
  readonly #options: ContentsOptions;
  readonly #hashes: HashIndex;
  readonly #features = new FeatureIndex();
  readonly #names = new NameIndex();
  readonly #vectors: VectorIndex;
  readonly #packed = new Map<number, string>();
  /** Digest → items that have these bytes and are not found by their hash. */
  readonly #bytes = new Map<string, Set<number>>();
  readonly #digests = new Map<number, string>();
  /** Items without a hash: number → bank and flags. */
  readonly #bare = new Map<number, { bank: number; flags: number }>();
  readonly #until = new Map<number, number>();
  readonly #states = { disabled: new Set<number>(), quarantined: new Set<number>() };

  constructor(options: ContentsOptions) {
    this.#options = options;
    this.#hashes = new HashIndex({ tables: options.tables });
    this.#vectors = new VectorIndex(options.embedding?.dimensions ?? 0);
  }

  /** What of the record is kept here; a snapshot must have been made with the same to be of use. */
  get kept(): Kept {
    const { features, minQuality, embedding, shard = { own: 0, of: 1 } } = this.#options;
    return { features, minQuality, embedding: embedding?.version ?? null, shard };
  }

  get counts(): { items: number; disabled: number; quarantined: number } {
    const [disabled, quarantined] = [this.#states.disabled.size, this.#states.quarantined.size];
    return { items: this.#hashes.size + this.#bare.size - disabled - quarantined, disabled, quarantined };
  }

  get bytes(): number {
    return this.#hashes.bytes + this.#features.bytes + this.#vectors.bytes;
  }

  byHash(hash: Uint8Array, radius: number, banks?: ReadonlySet<number>): Match[] {
    return this.#hashes.search(hash, radius, banks);
  }

  /** Items in force that have these bytes, of those that are not found by their hash. */
  byBytes(sha256: string): { number: number; bank: number }[] {
    return [...(this.#bytes.get(sha256) ?? [])].flatMap((number) => {
      const item = this.#hashes.get(number);
      return item && (item.flags & ~flag.Unhashed) === 0 ? [{ number, bank: item.bank }] : [];
    });
  }

  byFeatures(features: Features, banks: ReadonlySet<number>, admits: (number: number) => boolean): FeatureMatch[] {
    return this.#features.search(features, banks, admits);
  }

  byEmbedding(vector: Float32Array, search: VectorSearch): VectorMatch[] {
    return this.#vectors.search(vector, search);
  }

  byProfile(profile: Profile, search: NameSearch): NameMatch[] {
    return this.#names.search(profile, search);
  }

  bankOf(number: number): number | undefined {
    return this.#bare.get(number)?.bank ?? this.#hashes.get(number)?.bank;
  }

  /** Where in [0, 1) an item lies by its content, whatever stage asks: by its hash, or its profile where it has none. */
  shareOf(number: number): number {
    const hash = this.#hashes.get(number)?.hash;
    return hash ? ofHash(hash) : ofProfile(this.#names.get(number));
  }

  apply(item: IndexedItem): void {
    const { number, hash, bank, profile, features, sha256, quality, embedding, embeddingModel } = item;
    const { own, of } = this.kept.shard;
    if (number % of !== own) return;
    const unhashed = hash && (quality ?? 100) < this.#options.minQuality ? flag.Unhashed : 0;
    const flags = flagsOf(item) | unhashed;
    this.#until.delete(number);
    if (flags & flag.Removed) return this.#remove(number);
    if (item.state === 'Disabled' && item.disabledUntil) this.#until.set(number, item.disabledUntil.getTime());
    if (hash) {
      if (!this.#hashes.setFlags(number, flags)) this.#hashes.add({ number, hash, bank, flags });
    } else this.#bare.set(number, { bank, flags });
    if (unhashed && sha256) this.#addBytes(number, sha256);
    if (profile && !this.#names.get(number)) this.#names.set(number, profile, bank);
    if (features) this.#addFeatures(number, features, bank);
    if (embedding && embeddingModel === this.#options.embedding?.version) this.#addVector(number, embedding, bank);
    this.#show(number, flags);
  }

  /** Items whose time of being disabled has passed are in force again, on every replica by its own clock. */
  wake(now: number): void {
    for (const [number, until] of this.#until) {
      if (until > now) continue;
      this.#until.delete(number);
      const bare = this.#bare.get(number);
      if (bare) bare.flags = 0;
      const flags = (this.#hashes.get(number)?.flags ?? 0) & flag.Unhashed;
      this.#hashes.setFlags(number, flags);
      this.#show(number, flags);
    }
  }

  /** Sorts what was added into its tables; until then it is found by a scan. */
  async settle(): Promise<void> {
    await Promise.all([this.#hashes.settle(), this.#features.settle()]);
  }

  columns(): Columns[] {
    return [...this.#hashes.columns()];
  }

  /** Of each item that has more than columns say; items may come and go while this is read. */
  *extras(): Generator<Extra> {
    const maps = [this.#names, this.#vectors, this.#packed, this.#until, this.#digests, this.#bare];
    for (const [i, map] of maps.entries()) {
      for (const number of map.keys()) {
        const known = this.#bare.get(number) ?? this.#hashes.get(number);
        // Told already with an earlier one.
        if (!known || maps.slice(0, i).some((earlier) => earlier.get(number) !== undefined)) continue;
        yield this.#extra(number, known);
      }
    }
  }

  async load(columns: Columns): Promise<void> {
    if (columns.count === 0) return;
    await this.#hashes.load(columns);
    // They are new, so there is nothing to say of those in force.
    for (let i = 0; i < columns.count; i++) {
      if (columns.flags[i]) this.#note(columns.numbers[i] as number, columns.flags[i] as number);
    }
  }

  async loadExtras(extras: Iterable<Extra>): Promise<void> {
    let since = performance.now();
    for (const { number, bank, flags, profile, features, embedding, until, sha256 } of extras) {
      if (profile) this.#names.set(number, profile, bank);
      if (features) this.#addFeatures(number, Buffer.from(features, 'base64'), bank);
      if (embedding) this.#addVector(number, Buffer.from(embedding, 'base64'), bank);
      if (until !== undefined) this.#until.set(number, until);
      if (sha256 !== undefined) this.#addBytes(number, sha256);
      if (!this.#hashes.get(number)) this.#bare.set(number, { bank, flags });
      this.#show(number, flags);
      if (performance.now() - since < 10) continue;
      await nextTurn();
      since = performance.now();
    }
  }

  #extra(number: number, { bank, flags }: { bank: number; flags: number }): Extra {
    const [profile, features] = [this.#names.get(number), this.#packed.get(number)];
    const vector = this.#vectors.get(number);
    const [until, sha256] = [this.#until.get(number), this.#digests.get(number)];
    return {
      number,
      bank,
      flags,
      ...(profile && { profile }),
      ...(features && { features }),
      ...(vector && { embedding: bytesOf(vector).toString('base64') }),
      ...(until !== undefined && { until }),
      ...(sha256 !== undefined && { sha256 }),
    };
  }

  #remove(number: number): void {
    this.#hashes.setFlags(number, flag.Removed);
    this.#bare.delete(number);
    this.#names.delete(number);
    this.#features.delete(number);
    this.#vectors.delete(number);
    this.#packed.delete(number);
    const digest = this.#digests.get(number);
    this.#digests.delete(number);
    if (digest !== undefined) {
      const same = this.#bytes.get(digest);
      same?.delete(number);
      if (same?.size === 0) this.#bytes.delete(digest);
    }
    this.#note(number, flag.Removed);
  }

  #addBytes(number: number, sha256: string): void {
    this.#digests.set(number, sha256);
    const same = this.#bytes.get(sha256);
    if (same) same.add(number);
    else this.#bytes.set(sha256, new Set([number]));
  }

  #addVector(number: number, bytes: Buffer, bank: number): void {
    this.#vectors.add(number, new Float32Array(new Uint8Array(bytes).buffer), bank);
  }

  #addFeatures(number: number, packed: Buffer, bank: number): void {
    if (!this.#options.features || this.#packed.has(number)) return;
    this.#packed.set(number, packed.toString('base64'));
    this.#features.add(number, unpack(packed), bank);
  }

  #show(number: number, flags: number): void {
    const hidden = (flags & ~flag.Unhashed) !== 0;
    this.#names.hide(number, hidden);
    this.#features.hide(number, hidden);
    this.#vectors.hide(number, hidden);
    this.#note(number, flags);
  }

  #note(number: number, flags: number): void {
    const { disabled, quarantined } = this.#states;
    for (const [numbers, bit] of [
      [disabled, flag.Disabled],
      [quarantined, flag.Quarantined],
    ] as const) {
      if (flags & bit && !(flags & flag.Removed)) numbers.add(number);
      else numbers.delete(number);
    }
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function flagsOf({ state, disabledUntil }: IndexedItem): number {
  if (state === 'Removed') return flag.Removed;
  if (state === 'Quarantined') return flag.Quarantined;
  const over = disabledUntil !== null && disabledUntil.getTime() <= Date.now();
  return state === 'Disabled' && !over ? flag.Disabled : 0;
}
