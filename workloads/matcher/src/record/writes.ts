// The statements that every change of the record is made of: rows, their line in `changes`, who did it.
import type pg from 'pg';
import { MatcherError } from '../errors.ts';
import type { Actor, Item, NewItem } from './record.ts';

export const channel = 'quintet_matcher';
/**
 * Held until the commit, so that changes are numbered in the order of their commits: a reader that has seen one has seen all before it. Without it a
 * transaction that began later could be given the lower number and commit last, and its change would never be read.
 */
const nextInOrder = `select pg_advisory_xact_lock(hashtext('quintet changes of ' || current_schema()))`;
/** Bytes of JSON: replicas read many items at once, whoever registered them. */
const mostMetadata = 16_384;
const mostProfile = 16_384;
const mostAttributes = 64;
/** Bytes: PostgreSQL's index on it takes no more than 2 704 with the tenant. */
const mostIdentifier = 2048;

/** @throws MatcherError `ItemInvalid` when an item is larger than any should be. */
export function check({ id, metadata, profile }: NewItem): void {
  const refuse = (reason: string) => {
    throw new MatcherError('ItemInvalid', `item ${id.slice(0, 100)}: ${reason}`);
  };
  // It would be kept under another one, of which nobody is told.
  if (!id.isWellFormed() || id.includes('\0')) refuse('its identifier is not well-formed Unicode');
  if (Buffer.byteLength(id) > mostIdentifier) refuse(`its identifier has more than ${mostIdentifier} bytes`);
  if (bytesOf(metadata) > mostMetadata) refuse(`metadata has more than ${mostMetadata} bytes`);
  if (bytesOf(profile) > mostProfile) refuse(`the profile has more than ${mostProfile} bytes`);
  if (Object.keys(profile?.attributes ?? {}).length > mostAttributes) refuse(`more than ${mostAttributes} attributes`);
}

function bytesOf(value: unknown): number {
  return value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
}

export async function insert(
  client: pg.PoolClient,
  actor: Actor,
  items: readonly NewItem[],
  columns: string,
): Promise<Item[]> {
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
  const json = (value: unknown) => (value === undefined ? null : JSON.stringify(value, withoutZero));
  const { rows } = await client.query<Item>(
    `insert into items (tenant, id, bank, sha256, hash, quality, features, profile, metadata, source, state, embedding,
       embedding_model, disabled_until)
     select $1, * from unnest($2::text[], $3::smallint[], $4::text[], $5::bytea[], $6::smallint[], $7::bytea[],
       $8::jsonb[], $9::jsonb[], $10::text[], $11::text[], $12::bytea[], $13::text[], $14::timestamptz[])
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
      column(({ state }) => state ?? 'Enabled'),
      column(({ embedding }) => embedding && Buffer.from(embedding)),
      column(({ embeddingModel }) => embeddingModel),
      column(({ state, disabledUntil }) => (state === 'Disabled' ? disabledUntil : undefined)),
    ],
  );
  return rows;
}

/** No text of PostgreSQL holds a zero byte. */
function withoutZero(_: string, value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll('\0', '') : value;
}

/** A line for each changed item, and a word to whoever listens once this commits. */
export async function record(client: pg.PoolClient, items: readonly Item[]): Promise<void> {
  if (items.length === 0) return;
  await client.query(nextInOrder);
  await client.query('insert into changes (item) select unnest($1::bigint[])', [items.map(({ number }) => number)]);
  await client.query(`notify ${channel}`);
}

export async function recordBank(client: pg.PoolClient, number: number): Promise<void> {
  await client.query(nextInOrder);
  await client.query('insert into changes (bank) values ($1)', [number]);
  await client.query(`notify ${channel}`);
}

export async function audit(
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
