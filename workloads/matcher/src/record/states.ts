// An item's state, and who changed it from what to what.
import type pg from 'pg';
import { columns } from './columns.ts';
import type { Actor, Item, ItemState } from './record.ts';
import { audit, record } from './writes.ts';

/** Nobody else changes it until the end of the transaction. */
export async function lockItem(client: pg.PoolClient, tenant: string, id: string): Promise<Item | undefined> {
  const { rows } = await client.query<Item>(
    `select ${columns} from items where tenant = $1 and id = $2 and state <> 'Removed' for update`,
    [tenant, id],
  );
  return rows[0];
}

/** @param before As `lockItem` gave it. */
export async function changeState(
  client: pg.PoolClient,
  actor: Actor,
  before: Item,
  { state, until = null }: { state: ItemState; until?: Date | null },
): Promise<Item> {
  const { rows } = await client.query<Item>(
    `update items set state = $2, disabled_until = $3, updated_at = now() where number = $1 returning ${columns}`,
    [before.number, state, state === 'Disabled' ? until : null],
  );
  const after = rows[0] as Item;
  await record(client, [after]);
  await audit(client, actor, 'SetState', [{ subject: `item/${after.id}`, before: said(before), after: said(after) }]);
  return after;
}

function said({ state, disabledUntil }: Item) {
  return { state, ...(disabledUntil && { disabledUntil }) };
}
