// One pod's copy of the index: a snapshot, then every change of the record in order, told by NOTIFY and asked for by
// the clock. While PostgreSQL is away it serves what it has and says how old that is.
import pg from 'pg';
import type { VectorMatch, VectorSearch } from '../embedding/vector-index.ts';
import type { Features } from '../features/extract.ts';
import type { FeatureMatch } from '../features/feature-index.ts';
import type { Match } from '../index/hash-index.ts';
import type { NameMatch, NameSearch } from '../profile/name-index.ts';
import type { Profile } from '../profile/similarity.ts';
import type { Shard } from '../record/everything.ts';
import type { Bank, Recorded } from '../record/record.ts';
import { channel } from '../record/writes.ts';
import { Contents, type ContentsOptions } from './contents.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';

export interface ReplicaOptions extends Partial<ContentsOptions> {
  readonly record: Recorded;
  /** File of the snapshot; left out, everything is read from the record at each start. */
  readonly snapshot?: string | undefined;
  /** Milliseconds between looks for changes; NOTIFY makes most looks sooner. Default 500. */
  readonly refresh?: number;
  readonly onError?: (error: Error) => void;
}

/** Items that are scanned in some milliseconds: with so many a start does not wait for tables. */
const scannable = 2_000_000;

export class Replica {
  #options: ReplicaOptions;
  #contents: Contents;
  #banks = new Map<number, Bank>();
  /** When it last knew of every change. */
  #current = 0;
  #generation = 0;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  /** Another shard is to be read, and what is held meanwhile says nothing. */
  #anew = false;
  #listener: pg.Client | undefined;
  #saving: Promise<void> = Promise.resolve();

  private constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#contents = this.#empty();
  }

  /** Resolves when every item that was acknowledged before the call is in the index; up to some millions may still be without tables. */
  static async open(options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(options);
    const settled = replica.#settle(await replica.#load());
    await replica.look();
    if (replica.counts.items > scannable) {
      await settled;
      await replica.look();
    }
    replica.#timer = setInterval(() => void replica.look().catch(() => undefined), options.refresh ?? 500);
    replica.#timer.unref();
    await replica.#listen();
    return replica;
  }

  /** Milliseconds since it was known to be up to date: the age of a verdict. */
  get age(): number {
    return Date.now() - this.#current;
  }

  get position(): number {
    return this.#contents.at.position;
  }

  /** Grows when the record turned out to be another: numbers then mean other items than before. */
  get generation(): number {
    return this.#generation;
  }

  get counts(): Contents['counts'] {
    return this.#contents.counts;
  }

  get bytes(): number {
    return this.#contents.bytes;
  }

  banksOf(tenant: string): Bank[] {
    return [...this.#banks.values()].filter((bank) => bank.tenant === tenant);
  }

  byBytes(sha256: string): { number: number; bank: number }[] {
    return this.#contents.byBytes(sha256);
  }

  byHash(hash: Uint8Array, radius: number, banks?: ReadonlySet<number>): Match[] {
    return this.#contents.byHash(hash, radius, banks);
  }

  byFeatures(features: Features, banks: ReadonlySet<number>, admits: (number: number) => boolean): FeatureMatch[] {
    return this.#contents.byFeatures(features, banks, admits);
  }

  byEmbedding(vector: Float32Array, search: VectorSearch): VectorMatch[] {
    return this.#contents.byEmbedding(vector, search);
  }

  byProfile(profile: Profile, search: NameSearch): NameMatch[] {
    return this.#contents.byProfile(profile, search);
  }

  bankOf(number: number): number | undefined {
    return this.#contents.bankOf(number);
  }

  /** See `Contents.shareOf`. */
  shareOf(number: number): number {
    return this.#contents.shareOf(number);
  }

  /** Applies what changed since the last look; calls that meet wait for one more look after the one under way. */
  async look(): Promise<void> {
    if (this.#looking) {
      this.#again = true;
      return await this.#looking;
    }
    this.#looking = this.#follow().finally(() => {
      this.#looking = undefined;
    });
    return await this.#looking;
  }

  /** Reads another shard in place of its own, which goes at once: nobody asks for it, and both may be more than memory holds. */
  async take(shard: Shard): Promise<void> {
    const { own, of } = this.#contents.kept.shard;
    if (own !== shard.own || of !== shard.of) {
      this.#options = { ...this.#options, shard };
      this.#contents = this.#empty();
      this.#anew = true;
    }
    // A look under way may have passed the place where it would have been read.
    while (this.#anew) await this.look();
  }

  /** Writes the snapshot, after one that is being written. */
  async save(): Promise<void> {
    const { snapshot } = this.#options;
    if (snapshot === undefined || this.#anew) return;
    const saved = this.#saving.catch(() => undefined).then(() => writeSnapshot(snapshot, this.#contents));
    this.#saving = saved;
    await saved;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#looking?.catch(() => undefined);
    await this.#saving.catch(() => undefined);
    await this.#listener?.end().catch(() => undefined);
  }

  #empty(): Contents {
    const { tables = 16, features = false, minQuality = 0, embedding, shard } = this.#options;
    return new Contents({ tables, features, minQuality, embedding, shard });
  }

  /** Returns whether the snapshot was of use. */
  async #load(): Promise<boolean> {
    const { snapshot, record, onError } = this.#options;
    const isOurs = async (at: Contents['at']) => (await record.changesAfter(at, 0)) !== undefined;
    let read = false;
    try {
      read = snapshot !== undefined && (await readSnapshot(snapshot, this.#contents, isOurs));
    } catch (error) {
      // Half of one is none.
      onError?.(error as Error);
    }
    if (!read) this.#contents = await this.#readAll();
    await this.#readBanks();
    return read;
  }

  async #readAll(): Promise<Contents> {
    const contents = this.#empty();
    contents.at = await this.#options.record.position();
    for await (const part of this.#options.record.all(contents.kept)) {
      if (this.#closed) throw new Error('the replica was closed while it was read');
      if ('columns' in part) await contents.load(part.columns);
      else for (const item of part.items) contents.apply(item);
    }
    return contents;
  }

  /** Builds what makes searches quick, while they go on, and keeps what took long to read. */
  async #settle(kept: boolean): Promise<void> {
    const report = (error: unknown) => this.#options.onError?.(error as Error);
    await this.#contents.settle().catch(report);
    if (!kept && !this.#closed) void this.save().catch(report);
  }

  async #follow(): Promise<void> {
    try {
      do {
        this.#again = false;
        const started = Date.now();
        const changes = this.#anew ? undefined : await this.#options.record.changesAfter(this.#contents.at);
        if (!changes) {
          // The record was put back to an older state, or is another one; or another shard is to be held.
          const contents = await this.#readAll();
          const { own, of } = this.#options.shard ?? contents.kept.shard;
          // Meanwhile another one may have been asked for.
          this.#anew = own !== contents.kept.shard.own || of !== contents.kept.shard.of;
          if (this.#anew) continue;
          this.#contents = contents;
          this.#generation++;
          void this.#settle(false);
          await this.#readBanks();
          this.#again = true;
          continue;
        }
        const { items, banksChanged, full, position, mark } = changes;
        if (banksChanged || items.some(({ bank }) => !this.#banks.has(bank))) await this.#readBanks();
        for (const item of items) this.#contents.apply(item);
        this.#contents.wake(started);
        this.#contents.at = { position, mark };
        if (full) this.#again = true;
        else this.#current = started;
      } while (this.#again && !this.#closed);
    } catch (error) {
      if (!this.#closed) this.#options.onError?.(error as Error);
      throw error;
    }
  }

  async #readBanks(): Promise<void> {
    this.#banks = new Map((await this.#options.record.banks()).map((bank) => [bank.number, bank]));
  }

  /** A connection of its own for notifications; when it breaks, looks by the clock go on and it is made again. */
  async #listen(): Promise<void> {
    if (this.#closed) return;
    const client = new pg.Client({
      connectionString: this.#options.record.url,
      connectionTimeoutMillis: 5000,
      keepAlive: true,
    });
    this.#listener = client;
    let ended = false;
    const again = () => {
      if (ended) return;
      ended = true;
      void client.end().catch(() => undefined);
      if (!this.#closed) setTimeout(() => void this.#listen(), 1000).unref();
    };
    client.on('error', again).on('end', again);
    client.on('notification', () => void this.look().catch(() => undefined));
    await client.connect().then(() => client.query(`listen ${channel}`).catch(again), again);
  }
}
