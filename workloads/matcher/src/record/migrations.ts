// The tables of record, and how they came about: each migration runs once, in order, under a lock, in a transaction.
import type { ClientBase, Pool } from 'pg';

const migrations: readonly string[] = [
  `create table banks (
     number smallint primary key check (number between 0 and 255),
     tenant text not null,
     name text not null,
     kind text not null default 'Positive' check (kind in ('Positive', 'Negative')),
     max_distance smallint check (max_distance between 0 and 255),
     enabled_ratio double precision not null default 1 check (enabled_ratio between 0 and 1),
     suppresses text[],
     unique (tenant, name)
   );
   create table items (
     number bigserial primary key check (number < 4294967296),
     tenant text not null,
     id text not null,
     bank smallint not null references banks,
     sha256 text,
     hash bytea check (length(hash) = 32),
     quality smallint,
     features bytea,
     profile jsonb,
     metadata jsonb,
     source text,
     state text not null default 'Enabled' check (state in ('Enabled', 'Disabled', 'Quarantined', 'Removed')),
     disabled_until timestamptz,
     created_at timestamptz not null default now(),
     updated_at timestamptz not null default now()
   );
   create unique index items_id on items (tenant, id) where state <> 'Removed';
   create index items_sha256 on items (tenant, sha256) where sha256 is not null;
   create table changes (
     position bigserial primary key,
     transaction xid8 not null default pg_current_xact_id(),
     item bigint,
     bank smallint,
     at timestamptz not null default now()
   );
   create table audit (
     position bigserial primary key,
     at timestamptz not null default now(),
     actor text not null,
     tenant text not null,
     action text not null,
     subject text not null,
     before jsonb,
     after jsonb
   );
   create index audit_subject on audit (tenant, subject, position);
   create table opinions (
     item bigint not null references items,
     actor text not null,
     opinion text not null check (opinion in ('Confirm', 'Reject')),
     note text,
     at timestamptz not null default now(),
     primary key (item, actor)
   );
   create table feeds (
     tenant text not null,
     name text not null,
     cursor text,
     updated_at timestamptz not null default now(),
     primary key (tenant, name)
   );
   create table deliveries (
     number bigserial primary key,
     webhook text not null,
     body text not null,
     attempts integer not null default 0,
     due_at timestamptz not null default now(),
     delivered_at timestamptz,
     failed_at timestamptz,
     error text
   );
   create index deliveries_due on deliveries (due_at) where delivered_at is null and failed_at is null;`,
  // A random mark tells two histories apart that have the same positions: a record that was put back and went on.
  `alter table banks drop constraint banks_number_check, add check (number >= 0);
   alter table changes drop column transaction, add column mark double precision not null default random();
   alter table items add column embedding bytea, add column embedding_model text;`,
  // Who reads a feed, until when; what the spec said of a bank when it was last applied.
  `alter table feeds add column claimed_until timestamptz;
   alter table banks add column spec jsonb;`,
  // Which pod holds which shard, until when; what they know each other by.
  `create table pods (
     name text primary key,
     url text not null,
     shard integer not null,
     shards integer not null,
     ready boolean not null,
     until timestamptz not null
   );
   create table peer_key (key text not null);
   insert into peer_key values (gen_random_uuid()::text || gen_random_uuid()::text);`,
  // What each client registered in a minute; items whose date may have come.
  `create table arrivals (
     tenant text not null,
     client text not null,
     minute timestamptz not null,
     count bigint not null,
     primary key (tenant, client, minute)
   );
   create index items_due on items (disabled_until) where state = 'Disabled' and disabled_until is not null;`,
];

/** Any number: replicas that start together wait for each other here. */
const lock = 7_164_221;

export async function migrate(pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [lock]);
    await createSchema(client);
    await client.query(
      'create table if not exists migrations (version integer primary key, at timestamptz default now())',
    );
    const { rows } = await client.query<{ version: number }>('select version from migrations');
    const done = new Set(rows.map(({ version }) => version));
    for (const [version, statements] of migrations.entries()) {
      if (done.has(version)) continue;
      await client.query(statements);
      await client.query('insert into migrations (version) values ($1)', [version]);
    }
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

/** The one that the address names by `options=-c search_path=NAME`, where several resources share a database. */
async function createSchema(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ there: string | null; path: string }>(
    `select current_schema() as there, current_setting('search_path') as path`,
  );
  const { there, path } = rows[0] ?? {};
  const name = path?.split(',')[0]?.trim().replaceAll('"', '');
  if (!there && name) await client.query(`create schema if not exists ${client.escapeIdentifier(name)}`);
}
