// Items, banks, opinions and who changed what, in PostgreSQL. Every change is one transaction: the row, its audit entry
// and a line in `changes` that replicas follow, so what was acknowledged is durable and will be seen everywhere.
import pg from 'pg';
import { MatcherError } from '../errors.ts';
import type { Profile } from '../profile/similarity.ts';
import { migrate } from './migrations.ts';

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
}

export interface NewItem {
  readonly id: string;
  readonly bank: string;
  readonly sha256?: string | undefined;
  readonly hash?: Uint8Array | undefined;
  readonly quality?: number | undefined;
  readonly features?: Uint8Array | undefined;
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

/** Items whose positions lie in (from, to]; `to` is below every transaction that may still commit. */
export interface Changes {
  readonly position: number;
  readonly items: readonly Item[];
  readonly banksChanged: boolean;
}

const columns = `number::float8 as number, tenant, id, bank, sha256, hash, quality, features, profile, metadata, source, state,
  disabled_until as "disabledUntil"`;
const bankColumns = `number, tenant, name, kind, max_distance as "maxDistance", enabled_ratio as "enabledRatio", suppresses`;
export const channel = 'quintet_matcher';
/**
 * Held until the commit, so that changes are numbered in the order of their commits: a reader that has seen one has seen all before it. Without it a
 * transaction that began later could be given the lower number and commit last, and its change would never be read.
 */
const nextInOrder = `select pg_advisory_xact_lock(hashtext('quintet changes of ' || current_schema()))`;
/** Rows of one statement. */
const batch = 1000;

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
      const { rows: next } = await client.query<{ number: number }>(
        'select coalesce(min(n), -1)::int as number from generate_series(0, 255) n where n not in (select number from banks)',
      );
      const number = before?.number ?? next[0]?.number ?? -1;
      if (number < 0) throw new MatcherError('BankInvalid', 'there are 256 banks already');
      const after = { kind: 'Positive', maxDistance: null, enabledRatio: 1, suppresses: null, ...before, ...change };
      const { rows } = await client.query<Bank>(
        `insert into banks (number, tenant, name, kind, max_distance, enabled_ratio, suppresses)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (tenant, name) do update set kind = $4, max_distance = $5, enabled_ratio = $6, suppresses = $7
         returning ${bankColumns}`,
        [number, actor.tenant, name, after.kind, after.maxDistance, after.enabledRatio, after.suppresses],
      );
      await audit(client, actor, 'SetBank', [{ subject: `bank/${name}`, before: before ?? null, after: rows[0] }]);
      await client.query(nextInOrder);
      await client.query('insert into changes (bank) values ($1)', [number]);
      await client.query(`notify ${channel}`);
      return rows[0] as Bank;
    });
  }

  /**
   * Registers items; those whose identifier is taken are left as they are. All or none.
   * @throws MatcherError `BankUnknown`
   */
  async register(actor: Actor, items: readonly NewItem[]): Promise<{ added: Item[]; known: string[] }> {
    return await this.#transaction(async (client) => {
      const added: Item[] = [];
      for (let from = 0; from < items.length; from += batch) {
        added.push(...(await insert(client, actor, items.slice(from, from + batch))));
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

  async item(tenant: string, id: string): Promise<Item | undefined> {
    const rows = await this.#query<Item>(
      `select ${columns} from items where tenant = $1 and id = $2 and state <> 'Removed'`,
      [tenant, id],
    );
    return rows[0];
  }

  /** Without their features unless asked for: a verdict has no use for them. */
  async byNumbers(numbers: readonly number[], features = false): Promise<Item[]> {
    if (numbers.length === 0) return [];
    const wanted = features ? columns : columns.replace('features', 'null as features');
    return await this.#query<Item>(`select ${wanted} from items where number = any($1)`, [numbers]);
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

  /** A page of a tenant's items in order of their numbers, removed ones too, as withdrawals: what a feed is made of. */
  async page(tenant: string, after: number, limit: number): Promise<{ items: Item[]; position: number }> {
    const rows = await this.#query<Item & { position: number }>(
      `select c.position::float8 as position, i.* from changes c
       join lateral (select ${columns} from items where items.number = c.item) i on i.tenant = $1
       where c.position > $2 and c.transaction < pg_snapshot_xmin(pg_current_snapshot())
       order by c.position limit $3`,
      [tenant, after, limit],
    );
    return { items: rows, position: rows.at(-1)?.position ?? after };
  }

  /**
   * What changed after a position. Transactions commit in another order than positions are given, so only those older
   * than every one that is still open are read: nothing is ever skipped.
   */
  async changesAfter(position: number, limit = 5000): Promise<Changes> {
    const rows = await this.#query<{ position: number; item: number | null; bank: number | null }>(
      `select position::float8 as position, item::float8 as item, bank from changes
       where position > $1 and transaction < pg_snapshot_xmin(pg_current_snapshot()) order by position limit $2`,
      [position, limit],
    );
    const items = await this.byNumbers([...new Set(rows.flatMap(({ item }) => (item === null ? [] : [item])))], true);
    return {
      position: rows.at(-1)?.position ?? position,
      items,
      banksChanged: rows.some(({ bank }) => bank !== null),
    };
  }

  /** Position that a reader of all items starts from: everything up to it is in the table already. */
  async position(): Promise<number> {
    const rows = await this.#query<{ position: number }>(
      `select coalesce(max(position), 0)::float8 as position from changes
       where transaction < pg_snapshot_xmin(pg_current_snapshot())`,
    );
    return rows[0]?.position ?? 0;
  }

  /** All items by ascending number, a part at a time. */
  async *all(after = 0): AsyncGenerator<Item[]> {
    let last = after;
    while (true) {
      const rows = await this.#query<Item>(
        `select ${columns} from items where number > $1 and state <> 'Removed' order by number limit 5000`,
        [last],
      );
      if (rows.length === 0) return;
      yield rows;
      last = (rows.at(-1) as Item).number;
    }
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

async function insert(client: pg.PoolClient, actor: Actor, items: readonly NewItem[]): Promise<Item[]> {
  const { rows: banks } = await client.query<{ name: string; number: number }>(
    'select name, number from banks where tenant = $1',
    [actor.tenant],
  );
  const numberOf = new Map(banks.map(({ name, number }) => [name, number]));
  const bank = items.map((item) => {
    const number = numberOf.get(item.bank);
    if (number === undefined) throw new MatcherError('BankUnknown', `bank ${item.bank} does not exist`);
    return number;
  });
  const column = <T>(value: (item: NewItem) => T | undefined) => items.map((item) => value(item) ?? null);
  const json = (value: unknown) => (value === undefined ? null : JSON.stringify(value).replaceAll('\\u0000', ''));
  const { rows } = await client.query<Item>(
    `insert into items (tenant, id, bank, sha256, hash, quality, features, profile, metadata, source, state)
     select $1, * from unnest($2::text[], $3::smallint[], $4::text[], $5::bytea[], $6::smallint[], $7::bytea[],
       $8::jsonb[], $9::jsonb[], $10::text[], $11::text[])
     on conflict (tenant, id) where state <> 'Removed' do nothing returning ${columns}`,
    [
      actor.tenant,
      column(({ id }) => id),
      bank,
      column(({ sha256 }) => sha256),
      column(({ hash }) => hash && Buffer.from(hash)),
      column(({ quality }) => quality),
      column(({ features }) => features && Buffer.from(features)),
      column(({ profile }) => json(profile) ?? undefined),
      column(({ metadata }) => json(metadata) ?? undefined),
      column(({ source }) => source),
      column(({ quarantined }) => (quarantined ? 'Quarantined' : 'Enabled')),
    ],
  );
  return rows;
}

/** A line for each changed item, and a word to whoever listens once this commits. */
async function record(client: pg.PoolClient, items: readonly Item[]): Promise<void> {
  if (items.length === 0) return;
  await client.query(nextInOrder);
  await client.query('insert into changes (item) select unnest($1::bigint[])', [items.map(({ number }) => number)]);
  await client.query(`notify ${channel}`);
}

async function audit(
  client: pg.PoolClient,
  actor: Actor,
  action: string,
  entries: readonly { subject: string; before: unknown; after: unknown }[],
): Promise<void> {
  if (entries.length === 0) return;
  await client.query(
    `insert into audit (actor, tenant, action, subject, before, after)
     select $1, $2, $3, * from unnest($4::text[], $5::jsonb[], $6::jsonb[])`,
    [
      actor.name,
      actor.tenant,
      action,
      entries.map(({ subject }) => subject),
      entries.map(({ before }) => (before === null ? null : JSON.stringify(before))),
      entries.map(({ after }) => JSON.stringify(after)),
    ],
  );
}

function unavailable(error: unknown): MatcherError {
  if (error instanceof MatcherError) return error;
  const { code, message } = error as { code?: string; message?: string };
  // Class 22 is data that PostgreSQL cannot hold, such as a zero byte in a text.
  if (code?.startsWith('22')) return new MatcherError('ItemInvalid', `not storable: ${message}`, { cause: error });
  return new MatcherError('RecordUnavailable', `PostgreSQL: ${message ?? String(error)}`, { cause: error });
}
