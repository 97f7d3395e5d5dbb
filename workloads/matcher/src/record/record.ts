// Items, banks, opinions and who changed what, in PostgreSQL. Every change is one transaction: the row, its audit entry
// and a line in `changes` that replicas follow, so what was acknowledged is durable and will be seen everywhere.
import pg from 'pg';
import { MatcherError } from '../errors.ts';
import type { Profile } from '../profile/similarity.ts';
import { everything, type Kept, type Part } from './everything.ts';
import { migrate } from './migrations.ts';
import { audit, check, insert, record, recordBank } from './writes.ts';

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
  readonly quarantined?: boolean | undefined;
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

const indexed = `number::float8 as number, tenant, id, bank, sha256, hash, quality, features, embedding,
  embedding_model as "embeddingModel", profile, state, disabled_until as "disabledUntil"`;
const columns = `${indexed}, metadata, source`;
const shown = `number::float8 as number, tenant, id, bank, sha256, metadata, state, disabled_until as "disabledUntil",
  coalesce(octet_length(metadata::text), 0) as "metadataLength"`;
const bankColumns = `number, tenant, name, kind, max_distance as "maxDistance", enabled_ratio as "enabledRatio", suppresses, spec`;
/** Rows of one statement. */
const batch = 1000;
/** Banks of a tenant; all tenants together have numbers for 128 times as many. */
const mostBanks = 256;

export interface RecordOptions {
  readonly url: string;
  readonly connections?: number;
  /** Milliseconds for a statement; also for a connection. */
  readonly timeout?: number;
}

export async function openRecord({ url, connections = 10, timeout = 5000 }: RecordOptions): Promise<Recorded> {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: timeout,
    query_timeout: timeout * 4,
    statement_timeout: timeout * 4,
    application_name: 'quintet-matcher',
    // What a lost pod held, above all the lock on changes, is free again after this.
    idle_in_transaction_session_timeout: timeout * 2,
    keepAlive: true,
  });
  // A connection that dies while idle is replaced at the next query; without a listener it would end the process.
  pool.on('error', () => undefined);
  await migrate(pool).catch(async (error: unknown) => {
    await pool.end();
    throw unavailable(error);
  });
  return new Recorded(pool, url);
}

export class Recorded {
  readonly #pool: pg.Pool;
  readonly url: string;

  constructor(pool: pg.Pool, url: string) {
    this.#pool = pool;
    this.url = url;
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async banks(): Promise<Bank[]> {
    return await this.#query<Bank>(`select ${bankColumns} from banks order by number`);
  }

  /** Creates or changes a bank; only what is named changes. */
  async setBank(actor: Actor, name: string, change: Partial<Omit<Bank, 'number' | 'tenant' | 'name'>>): Promise<Bank> {
    return await this.#transaction(async (client) => {
      await client.query('select pg_advisory_xact_lock(7164222)');
      const known = await client.query<Bank>(`select ${bankColumns} from banks where tenant = $1 and name = $2`, [
        actor.tenant,
        name,
      ]);
      const before = known.rows[0];
      const { rows: next } = await client.query<{ number: number; own: number }>(
        `select (select coalesce(max(number), -1) + 1 from banks)::int as number,
           (select count(*) from banks where tenant = $1)::int as own`,
        [actor.tenant],
      );
      if (!before && (next[0]?.own ?? 0) >= mostBanks) {
        throw new MatcherError('BankInvalid', `there are ${mostBanks} banks already`);
      }
      const number = before?.number ?? next[0]?.number ?? 0;
      const after = {
        kind: 'Positive',
        maxDistance: null,
        enabledRatio: 1,
        suppresses: null,
        spec: null,
        ...before,
        ...change,
      };
      const { rows } = await client.query<Bank>(
        `insert into banks (number, tenant, name, kind, max_distance, enabled_ratio, suppresses, spec)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (tenant, name) do update set kind = $4, max_distance = $5, enabled_ratio = $6, suppresses = $7, spec = $8
         returning ${bankColumns}`,
        [
          number,
          actor.tenant,
          name,
          after.kind,
          after.maxDistance,
          after.enabledRatio,
          after.suppresses,
          after.spec && JSON.stringify(after.spec),
        ],
      );
      await audit(client, actor, 'SetBank', [{ subject: `bank/${name}`, before: before ?? null, after: rows[0] }]);
      await recordBank(client, number);
      return rows[0] as Bank;
    });
  }

  /**
   * Registers items; those whose identifier is taken are left as they are. All or none.
   * @throws MatcherError `BankUnknown` or `ItemInvalid`
   */
  async register(actor: Actor, items: readonly NewItem[]): Promise<{ added: Item[]; known: string[] }> {
    for (const item of items) check(item);
    return await this.#transaction(async (client) => {
      const added: Item[] = [];
      for (let from = 0; from < items.length; from += batch) {
        added.push(...(await insert(client, actor, items.slice(from, from + batch), columns)));
      }
      const taken = new Set(added.map(({ id }) => id));
      await record(client, added);
      await audit(
        client,
        actor,
        'Register',
        added.map(({ id, state, source }) => ({ subject: `item/${id}`, before: null, after: { state, source } })),
      );
      return { added, known: items.filter(({ id }) => !taken.has(id)).map(({ id }) => id) };
    });
  }

  /** As `register`, but what cannot be registered is left out, with the reason and its place in `items`. */
  async registerEach(
    actor: Actor,
    items: readonly NewItem[],
  ): Promise<{ added: Item[]; known: string[]; refused: { index: number; reason: string }[] }> {
    if (items.length === 0) return { added: [], known: [], refused: [] };
    try {
      return { ...(await this.register(actor, items)), refused: [] };
    } catch (error) {
      if (!(error instanceof MatcherError) || error.code === 'RecordUnavailable') throw error;
      if (items.length === 1) return { added: [], known: [], refused: [{ index: 0, reason: error.message }] };
    }
    // Halves of halves: one bad item among many costs few transactions.
    const half = items.length >> 1;
    const first = await this.registerEach(actor, items.slice(0, half));
    const second = await this.registerEach(actor, items.slice(half));
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
    return await this.#transaction(async (client) => {
      const { rows } = await client.query<Item>(
        `select ${columns} from items where tenant = $1 and id = $2 and state <> 'Removed' for update`,
        [actor.tenant, id],
      );
      const before = rows[0];
      if (!before) throw new MatcherError('ItemUnknown', `item ${id} does not exist`);
      const changed = await client.query<Item>(
        `update items set state = $2, disabled_until = $3, updated_at = now() where number = $1 returning ${columns}`,
        [before.number, state, state === 'Disabled' ? until : null],
      );
      const after = changed.rows[0] as Item;
      await record(client, [after]);
      const said = ({ state: now, disabledUntil }: Item) => ({ state: now, ...(disabledUntil && { disabledUntil }) });
      await audit(client, actor, 'SetState', [{ subject: `item/${id}`, before: said(before), after: said(after) }]);
      return after;
    });
  }

  async giveOpinion(actor: Actor, id: string, opinion: 'Confirm' | 'Reject', note?: string): Promise<void> {
    await this.#transaction(async (client) => {
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

  async audit(tenant: string, subject: string, limit = 100): Promise<AuditEntry[]> {
    return await this.#query<AuditEntry>(
      `select at, actor, action, subject, before, after from audit where tenant = $1 and subject = $2
       order by position desc limit $3`,
      [tenant, subject, limit],
    );
  }

  /**
   * A page of a tenant's own items in order of their changes, removed ones too, as withdrawals: what a feed is made of.
   * Items that came by a feed are not passed on: two pools that read each other would do so for ever.
   */
  async page(tenant: string, after: number, limit: number): Promise<{ items: Item[]; position: number }> {
    const rows = await this.#query<Item & { position: number }>(
      `select c.position::float8 as position, i.* from changes c
       join lateral (select ${columns} from items where items.number = c.item) i on i.tenant = $1 and i.source is null
       where c.position > $2 order by c.position limit $3`,
      [tenant, after, limit],
    );
    return { items: rows, position: rows.at(-1)?.position ?? after };
  }

  /**
   * What changed after a position. Changes are numbered in the order of their commits, so none is ever skipped, whatever
   * other transactions are open. Undefined when the record's history is not the one that the position is of.
   */
  async changesAfter({ position, mark }: Position, limit = 1000): Promise<Changes | undefined> {
    const rows = await this.#query<Position & { item: number | null; bank: number | null }>(
      `select position::float8 as position, mark, item::float8 as item, bank from changes
       where position >= $1 order by position limit $2`,
      [position, limit + 1],
    );
    if (position > 0) {
      const here = rows.shift();
      if (here?.position !== position || here.mark !== mark) return undefined;
    }
    const numbers = new Set(rows.flatMap(({ item }) => (item === null ? [] : [item])));
    const items =
      numbers.size === 0
        ? []
        : await this.#query<IndexedItem>(`select ${indexed} from items where number = any($1)`, [[...numbers]]);
    const last = rows.at(-1);
    return {
      position: last?.position ?? position,
      mark: last?.mark ?? mark,
      items,
      banksChanged: rows.some(({ bank }) => bank !== null),
      full: rows.length >= limit,
    };
  }

  /** Position that a reader of all items starts from: everything up to it is in the table already. */
  async position(): Promise<Position> {
    const rows = await this.#query<Position>(
      'select position::float8 as position, mark from changes order by position desc limit 1',
    );
    return rows[0] ?? { position: 0, mark: 0 };
  }

  /** All items, a part at a time. */
  all(kept: Kept): AsyncGenerator<Part> {
    return everything((text, values) => this.#query(text, values), indexed, kept);
  }

  /** Runs several writes as one; for feeds and deliveries. */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return await this.#transaction(work);
  }

  async #query<R extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> {
    try {
      return (await this.#pool.query<R>(text, values)).rows;
    } catch (error) {
      throw unavailable(error);
    }
  }

  async #transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw unavailable(error);
    });
    // Without a listener, a connection that breaks between two queries would end the process.
    const ignore = () => undefined;
    client.on('error', ignore);
    let broken: Error | undefined;
    try {
      await client.query('begin');
      const result = await work(client);
      await client.query('commit');
      return result;
    } catch (error) {
      broken = await client.query('rollback').then(
        () => undefined,
        (failure: unknown) => failure as Error,
      );
      throw error instanceof MatcherError ? error : unavailable(error);
    } finally {
      client.off('error', ignore);
      client.release(broken);
    }
  }
}

function unavailable(error: unknown): MatcherError {
  if (error instanceof MatcherError) return error;
  const { code, message } = error as { code?: string; message?: string };
  // Class 22 is data that PostgreSQL cannot hold, such as a zero byte in a text.
  if (code?.startsWith('22')) return new MatcherError('ItemInvalid', `not storable: ${message}`, { cause: error });
  return new MatcherError('RecordUnavailable', `PostgreSQL: ${message ?? String(error)}`, { cause: error });
}
