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
  const { rows } = await client.query<Item & { was: Date }>(
    `with due as (
       select number as n, disabled_until as was from items where state = 'Disabled' and disabled_until <= now()
       order by number limit ${most} for update skip locked)
     update items set state = 'Enabled', disabled_until = null, updated_at = now() from due where number = n
     returning ${columns}, was`,
  );
  // Before the changes, whose lock everybody else waits for.
  for (const [tenant, items] of Map.groupBy(rows, (item) => item.tenant)) {
    const entries = items.map(({ id, was }) => ({
      subject: `item/${id}`,
      before: { state: 'Disabled', disabledUntil: was },
      after: { state: 'Enabled' },
    }));
    await audit(client, { tenant, name: 'date' }, 'SetState', entries);
  }
  await record(client, rows);
  return rows.length;
}
