// Items disabled until a date that has come: in force everywhere at that moment, by their date; here their state follows, with a line
// in the audit, and a change by which feeds give them out again.
import type pg from 'pg';
import { columns } from './columns.ts';
import type { Item } from './record.ts';
import { audit, record } from './writes.ts';

/** Items of one transaction. */
const most = 1000;

/** Returns how many; replicas that do it at the same time take different ones. */
export async function enableDue(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query<Item>(
    `update items set state = 'Enabled', disabled_until = null, updated_at = now()
     where number in (
       select number from items where state = 'Disabled' and disabled_until <= now()
       order by number limit ${most} for update skip locked)
     returning ${columns}`,
  );
  if (rows.length === 0) return 0;
  await record(client, rows);
  for (const { tenant, id } of rows) {
    const before = { state: 'Disabled' };
    await audit(client, { tenant, name: 'date' }, 'SetState', [
      { subject: `item/${id}`, before, after: { state: 'Enabled' } },
    ]);
  }
  return rows.length;
}
