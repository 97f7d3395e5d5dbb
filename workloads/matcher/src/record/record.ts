// Items, banks, opinions and who changed what, in PostgreSQL. Every change is one transaction: the row, its audit entry
// and a line in `changes` that replicas follow, so what was acknowledged is durable and will be seen everywhere.
import type pg from 'pg';
import { MatcherError } from '../errors.ts';
import type { Profile } from '../profile/similarity.ts';
import { bankColumns, writeBank } from './banks.ts';
import { changesAfter, lastPosition, page } from './changes.ts';
import { columns, indexed, shown } from './columns.ts';
import { type Connections, connect, type RecordOptions } from './connections.ts';
import { everything, type Kept, type Part, type Query } from './everything.ts';
import { type Listing, list } from './listing.ts';
import { type Registered, register } from './registration.ts';
import { changeState, lockItem } from './states.ts';
import { audit } from './writes.ts';

export type ItemState = 'Enabled' | 'Disabled' | 'Quarantined' | 'Removed';

export interface Bank {
  readonly number: number;
  readonly tenant: string;
  readonly name: string;
  readonly kind: 'Positive' | 'Negative';
  readonly maxDistance: number | null;
  /** Share of its items that is in force, decided by their content. */
  readonly enabledRatio: number;
  /** Negative: banks that it suppresses; null for all. */
  readonly suppresses: readonly string[] | null;
  /** What the pool's spec said of it when it was last applied. */
  readonly spec: BankRules | null;
}

export type BankRules = Pick<Bank, 'kind' | 'maxDistance' | 'enabledRatio' | 'suppresses'>;

export interface NewItem {
  readonly id: string;
  readonly bank: string;
  readonly sha256?: string | undefined;
  readonly hash?: Uint8Array | undefined;
  readonly quality?: number | undefined;
  readonly features?: Uint8Array | undefined;
  /** Little-endian 32-bit floats, of length one together. */
  readonly embedding?: Uint8Array | undefined;
  /** Digest of the model that made it. */
  readonly embeddingModel?: string | undefined;
  readonly profile?: Profile | undefined;
  readonly metadata?: unknown;
  /** Feed it came from; left out, an API call. */
  readonly source?: string | undefined;
  /** Left out, `Enabled`. */
  readonly state?: Exclude<ItemState, 'Removed'> | undefined;
  /** Of a disabled one; left out, for good. */
  readonly disabledUntil?: Date | undefined;
}

/** How much a client may register in a minute, over all replicas, before what more it sends waits for a person. */
export interface Share {
  readonly client: string;
  /** Items in a minute. */
  readonly most: number;
}

export interface Item {
  readonly number: number;
  readonly tenant: string;
  readonly id: string;
  readonly bank: number;
  readonly sha256: string | null;
  readonly hash: Buffer | null;
  readonly quality: number | null;
  readonly features: Buffer | null;
  readonly embedding: Buffer | null;
  readonly embeddingModel: string | null;
  readonly profile: Profile | null;
  readonly metadata: unknown;
  readonly source: string | null;
  readonly state: ItemState;
  readonly disabledUntil: Date | null;
}

export interface Actor {
  readonly tenant: string;
  readonly name: string;
}

export interface AuditEntry {
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** What replicas keep: all but what only answers show. */
export type IndexedItem = Omit<Item, 'metadata' | 'source'>;
/** What a verdict says of an item. */
export type ShownItem = Pick<
  Item,
  'number' | 'tenant' | 'id' | 'bank' | 'sha256' | 'metadata' | 'state' | 'disabledUntil'
> & {
  readonly metadataLength: number;
};

/** A place in the changes, and which history it is of. */
export interface Position {
  readonly position: number;
  readonly mark: number;
}

/** Items whose positions lie in (from, to]. */
export interface Changes extends Position {
  readonly items: readonly IndexedItem[];
  readonly banksChanged: boolean;
  /** There may be more. */
  readonly full: boolean;
}

export async function openRecord(options: RecordOptions): Promise<Recorded> {
  return new Recorded(await connect(options));
}

export class Recorded {
  readonly #connections: Connections;
  readonly #query: Query = (text, values) => this.#connections.query(text, values);

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  get url(): string {
    return this.#connections.url;
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  async banks(): Promise<Bank[]> {
    return await this.#query<Bank>(`select ${bankColumns} from banks order by number`);
  }

  /** Creates or changes a bank; only what is named changes. */
  async setBank(actor: Actor, name: string, change: Partial<Omit<Bank, 'number' | 'tenant' | 'name'>>): Promise<Bank> {
    return await this.#connections.transaction(async (client) => await writeBank(client, actor, name, change));
  }

  /** See `registration.ts`. All or none. */
  async register(actor: Actor, items: readonly NewItem[], share?: Share): Promise<Registered> {
    return await this.#connections.transaction(async (client) => await register(client, actor, items, share));
  }

  /** As `register`, but what cannot be registered is left out, with the reason and its place in `items`. */
  async registerEach(
    actor: Actor,
    items: readonly NewItem[],
    share?: Share,
  ): Promise<Registered & { refused: { index: number; reason: string }[] }> {
    if (items.length === 0) return { added: [], known: [], refused: [] };
    try {
      return { ...(await this.register(actor, items, share)), refused: [] };
    } catch (error) {
      if (!(error instanceof MatcherError) || error.code === 'RecordUnavailable') throw error;
      if (items.length === 1) return { added: [], known: [], refused: [{ index: 0, reason: error.message }] };
    }
    // Halves of halves: one bad item among many costs few transactions.
    const half = items.length >> 1;
    const first = await this.registerEach(actor, items.slice(0, half), share);
    const second = await this.registerEach(actor, items.slice(half), share);
    return {
      added: [...first.added, ...second.added],
      known: [...first.known, ...second.known],
      refused: [...first.refused, ...second.refused.map(({ index, reason }) => ({ index: index + half, reason }))],
    };
  }

  async item(tenant: string, id: string): Promise<Item | undefined> {
    const rows = await this.#query<Item>(
      `select ${columns} from items where tenant = $1 and id = $2 and state <> 'Removed'`,
      [tenant, id],
    );
    return rows[0];
  }

  /** What a verdict says of them. */
  async byNumbers(numbers: readonly number[]): Promise<ShownItem[]> {
    if (numbers.length === 0) return [];
    return await this.#query<ShownItem>(`select ${shown} from items where number = any($1)`, [numbers]);
  }

  /** @throws MatcherError `ItemUnknown` */
  async setState(actor: Actor, id: string, state: ItemState, until: Date | null = null): Promise<Item> {
    return await this.#connections.transaction(async (client) => {
      const before = await lockItem(client, actor.tenant, id);
      if (!before) throw new MatcherError('ItemUnknown', `item ${id} does not exist`);
      return await changeState(client, actor, before, { state, until });
    });
  }

  async giveOpinion(actor: Actor, id: string, opinion: 'Confirm' | 'Reject', note?: string): Promise<void> {
    await this.#connections.transaction(async (client) => {
      const { rowCount } = await client.query(
        `insert into opinions (item, actor, opinion, note)
         select number, $3, $4, $5 from items where tenant = $1 and id = $2 and state <> 'Removed'
         on conflict (item, actor) do update set opinion = $4, note = $5, at = now()`,
        [actor.tenant, id, actor.name, opinion, note ?? null],
      );
      if (rowCount === 0) throw new MatcherError('ItemUnknown', `item ${id} does not exist`);
      await audit(client, actor, 'Opinion', [{ subject: `item/${id}`, before: null, after: { opinion, note } }]);
    });
  }

  async opinions(number: number): Promise<{ confirm: number; reject: number }> {
    const [counts] = await this.#query<{ confirm: number; reject: number }>(
      `select count(*) filter (where opinion = 'Confirm')::int as confirm, count(*) filter (where opinion = 'Reject')::int as reject
       from opinions where item = $1`,
      [number],
    );
    return counts ?? { confirm: 0, reject: 0 };
  }

  /** See `listing.ts`. */
  async list(listing: Listing): Promise<Item[]> {
    return await list(this.#query, listing);
  }

  async audit(tenant: string, subject: string, limit = 100): Promise<AuditEntry[]> {
    return await this.#query<AuditEntry>(
      `select at, actor, action, subject, before, after from audit where tenant = $1 and subject = $2
       order by position desc limit $3`,
      [tenant, subject, limit],
    );
  }

  /** See `changes.ts`. */
  async page(tenant: string, after: number, limit: number): Promise<{ items: Item[]; position: number }> {
    return await page(this.#query, { tenant, after, limit });
  }

  /** See `changes.ts`. */
  async changesAfter(at: Position, limit = 1000): Promise<Changes | undefined> {
    return await changesAfter(this.#query, at, limit);
  }

  /** Position that a reader of all items starts from: everything up to it is in the table already. */
  async position(): Promise<Position> {
    return await lastPosition(this.#query);
  }

  /** All items, a part at a time. */
  all(kept: Kept): AsyncGenerator<Part> {
    return everything(this.#query, indexed, kept);
  }

  /** Runs several writes as one; for feeds and deliveries. */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return await this.#connections.transaction(work);
  }
}
