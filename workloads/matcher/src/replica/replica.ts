// One pod's copy of the index: a snapshot, then every change of the record in order, told by NOTIFY and asked for by
// the clock. While PostgreSQL is away it serves what it has and says how old that is.
import pg from 'pg';
import { type Features, unpack } from '../features/extract.ts';
import { FeatureIndex, type FeatureMatch } from '../features/feature-index.ts';
import { HashIndex, type Match } from '../index/hash-index.ts';
import { flag } from '../index/segment.ts';
import { NameIndex, type NameMatch } from '../profile/name-index.ts';
import type { Profile } from '../profile/similarity.ts';
import { type Bank, channel, type Item, type Recorded } from '../record/record.ts';
import { type Extra, readSnapshot, writeSnapshot } from './snapshot.ts';

export interface ReplicaOptions {
  readonly record: Recorded;
  /** File of the snapshot; left out, everything is read from the record at each start. */
  readonly snapshot?: string | undefined;
  /** Milliseconds between looks for changes; NOTIFY makes most looks sooner. Default 500. */
  readonly refresh?: number;
  /** Tables of the hash index: 16, or 0 to save memory and search by a scan. */
  readonly tables?: 0 | 16;
  /** Local features are kept in memory and searched. */
  readonly features?: boolean;
  /** Called after changes were applied, with the banks that they are of: what caches must forget. */
  readonly onChange?: (banks: readonly Bank[]) => Promise<void> | void;
  readonly onError?: (error: Error) => void;
}

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #hashes: HashIndex;
  readonly #features = new FeatureIndex();
  readonly #names = new NameIndex();
  readonly #packed = new Map<number, string>();
  #banks = new Map<number, Bank>();
  /** Item → when it is in force again. */
  readonly #until = new Map<number, number>();
  readonly #states = new Map<'disabled' | 'quarantined', Set<number>>([
    ['disabled', new Set()],
    ['quarantined', new Set()],
  ]);
  #position = 0;
  #current = 0;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #listener: pg.Client | undefined;

  private constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#hashes = new HashIndex({ tables: options.tables ?? 16 });
  }

  /** Resolves when every item that was acknowledged before the call is in the index. */
  static async open(options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(options);
    await replica.#load();
    await replica.look();
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
    return this.#position;
  }

  get counts(): { items: number; disabled: number; quarantined: number } {
    const disabled = this.#states.get('disabled')?.size ?? 0;
    const quarantined = this.#states.get('quarantined')?.size ?? 0;
    return { items: this.#hashes.size - disabled - quarantined, disabled, quarantined };
  }

  get bytes(): number {
    return this.#hashes.bytes + this.#features.bytes;
  }

  bank(number: number): Bank | undefined {
    return this.#banks.get(number);
  }

  banksOf(tenant: string): Bank[] {
    return [...this.#banks.values()].filter((bank) => bank.tenant === tenant);
  }

  byHash(hash: Uint8Array, radius: number): Match[] {
    return this.#hashes.search(hash, radius);
  }

  byFeatures(features: Features): FeatureMatch[] {
    return this.#features.search(features);
  }

  byProfile(profile: Profile, minSimilarity: number, phonetic: boolean): NameMatch[] {
    return this.#names.search(profile, { minSimilarity, phonetic });
  }

  profile(number: number): Profile | undefined {
    return this.#names.get(number);
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

  async save(): Promise<void> {
    const { snapshot } = this.#options;
    if (snapshot === undefined) return;
    const position = this.#position;
    const parts = [...this.#hashes.columns()];
    const numbers = new Set([
      ...[...this.#names.entries()].map(([number]) => number),
      ...this.#packed.keys(),
      ...this.#until.keys(),
    ]);
    const extras: Extra[] = [...numbers].map((number) => {
      const profile = this.#names.get(number);
      const features = this.#packed.get(number);
      const until = this.#until.get(number);
      const hidden = this.#isHidden(number);
      return {
        number,
        ...(profile && { profile }),
        ...(features && { features }),
        ...(until && { until }),
        ...(hidden && { hidden }),
      };
    });
    await writeSnapshot(snapshot, { position, parts, extras });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#looking?.catch(() => undefined);
    await this.#listener?.end().catch(() => undefined);
  }

  async #load(): Promise<void> {
    const { snapshot, record } = this.#options;
    const known = snapshot === undefined ? undefined : await readSnapshot(snapshot);
    const present = await record.position();
    // A snapshot of a record that was put back to an older state says what is no longer so.
    if (known && known.position <= present) {
      for (const part of known.parts) {
        await this.#hashes.load(part);
        for (let i = 0; i < part.count; i++) this.#note(part.numbers[i] as number, part.flags[i] as number);
      }
      for (const { number, profile, features, until, hidden } of known.extras) {
        if (profile) this.#names.set(number, profile);
        if (features) this.#addFeatures(number, Buffer.from(features, 'base64'));
        if (until) this.#until.set(number, until);
        this.#names.hide(number, hidden === true);
        this.#features.hide(number, hidden === true);
      }
      this.#position = known.position;
    } else {
      this.#position = present;
      for await (const items of record.all()) for (const item of items) this.#apply(item);
      await this.#hashes.settle();
    }
    await this.#readBanks();
  }

  async #follow(): Promise<void> {
    try {
      do {
        this.#again = false;
        const started = Date.now();
        const changes = await this.#options.record.changesAfter(this.#position);
        if (changes.banksChanged || changes.items.some(({ bank }) => !this.#banks.has(bank))) await this.#readBanks();
        for (const item of changes.items) this.#apply(item);
        this.#wake(started);
        const moved = changes.position > this.#position;
        this.#position = changes.position;
        if (moved) await this.#tell(changes.items, changes.banksChanged);
        if (moved) this.#again = true;
        this.#current = started;
      } while (this.#again && !this.#closed);
    } catch (error) {
      this.#options.onError?.(error as Error);
      throw error;
    }
  }

  async #tell(items: readonly Item[], all: boolean): Promise<void> {
    const numbers = new Set(items.map(({ bank }) => bank));
    await this.#options.onChange?.([...this.#banks.values()].filter((bank) => all || numbers.has(bank.number)));
  }

  #apply(item: Item): void {
    const { number, hash, bank, profile, features } = item;
    const flags = flagsOf(item);
    this.#until.delete(number);
    if (item.state === 'Disabled' && item.disabledUntil) this.#until.set(number, item.disabledUntil.getTime());
    // Items without an image are known by their profile alone; a hash nobody asks for keeps their state in one place.
    if (!this.#hashes.setFlags(number, flags) && hash && !(flags & flag.Removed)) {
      this.#hashes.add({ number, hash, bank, flags });
    }
    this.#note(number, flags);
    if (flags & flag.Removed) this.#names.delete(number);
    else if (profile && !this.#names.get(number)) this.#names.set(number, profile);
    if (!(flags & flag.Removed)) this.#names.hide(number, flags !== 0);
    if (features && !(flags & flag.Removed)) this.#addFeatures(number, features);
    this.#features.hide(number, flags !== 0);
    if (flags & flag.Removed) this.#packed.delete(number);
  }

  #addFeatures(number: number, packed: Buffer): void {
    if (!this.#options.features || this.#packed.has(number)) return;
    this.#packed.set(number, packed.toString('base64'));
    this.#features.add(number, unpack(packed));
  }

  #isHidden(number: number): boolean {
    return [...this.#states.values()].some((numbers) => numbers.has(number));
  }

  #note(number: number, flags: number): void {
    for (const [state, bit] of [
      ['disabled', flag.Disabled],
      ['quarantined', flag.Quarantined],
    ] as const) {
      const set = this.#states.get(state) as Set<number>;
      if (flags & bit && !(flags & flag.Removed)) set.add(number);
      else set.delete(number);
    }
  }

  /** Items whose time of being disabled has passed are in force again, on every replica by its own clock. */
  #wake(now: number): void {
    for (const [number, until] of this.#until) {
      if (until > now) continue;
      this.#until.delete(number);
      this.#hashes.setFlags(number, 0);
      this.#features.hide(number, false);
      this.#names.hide(number, false);
      this.#note(number, 0);
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

function flagsOf({ state, disabledUntil }: Item): number {
  if (state === 'Removed') return flag.Removed;
  if (state === 'Quarantined') return flag.Quarantined;
  const over = disabledUntil !== null && disabledUntil.getTime() <= Date.now();
  return state === 'Disabled' && !over ? flag.Disabled : 0;
}
