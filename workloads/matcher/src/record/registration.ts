// New items, in one transaction: their rows, who registered them, and which of them are more than their client's share.
import type pg from 'pg';
import { arrive } from './arrivals.ts';
import { columns } from './columns.ts';
import type { Actor, Item, NewItem, Share } from './record.ts';
import { audit, check, insert, record } from './writes.ts';

export interface Registered {
  /** In the order of what was given. */
  readonly added: Item[];
  /** Identifiers that are taken. */
  readonly known: string[];
}

/** Rows of one statement. */
const batch = 1000;

/**
 * Registers items; those whose identifier is taken are left as they are, and count for nothing.
 * @throws MatcherError `BankUnknown` or `ItemInvalid`
 */
export async function register(
  client: pg.PoolClient,
  actor: Actor,
  items: readonly NewItem[],
  share?: Share,
): Promise<Registered> {
  for (const item of items) check(item);
  // Two that register the same items at once wait for each other's rows: in one order, so never in a circle.
  const inOrder = items.toSorted((a, b) => (a.id < b.id ? -1 : Number(a.id > b.id)));
  const inserted = new Map<string, Item>();
  for (let from = 0; from < inOrder.length; from += batch) {
    for (const row of await insert(client, actor, inOrder.slice(from, from + batch), columns))
      inserted.set(row.id, row);
  }
  const known: string[] = [];
  const asGiven: Item[] = [];
  const left = new Map(inserted);
  for (const { id } of items) {
    const row = left.get(id);
    if (row) asGiven.push(row);
    else known.push(id);
    left.delete(id);
  }
  const added = share ? await holdBack(client, actor, asGiven, share) : asGiven;
  await record(client, added);
  await audit(
    client,
    actor,
    'Register',
    added.map(({ id, state, source, disabledUntil }) => {
      const after = { state, source, ...(disabledUntil && { disabledUntil }) };
      return { subject: `item/${id}`, before: null, after };
    }),
  );
  return { added, known };
}

/** What is disabled for good comes into force by a person alone, and stays so. */
async function holdBack(
  client: pg.PoolClient,
  { tenant }: Actor,
  added: readonly Item[],
  { client: by, most }: Share,
): Promise<Item[]> {
  if (added.length === 0) return [];
  const within = await arrive(client, { tenant, client: by, items: added.length, most });
  if (within === added.length) return [...added];
  const { rows } = await client.query<Item>(
    `update items set state = 'Quarantined', disabled_until = null
     where number = any($1) and (state <> 'Disabled' or disabled_until is not null) returning ${columns}`,
    [added.slice(within).map(({ number }) => number)],
  );
  const held = new Map(rows.map((row) => [row.number, row]));
  return added.map((item) => held.get(item.number) ?? item);
}
