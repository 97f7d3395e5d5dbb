// Banks in PostgreSQL: each tenant has some, and all tenants together share their numbers.
import type pg from 'pg';
import { MatcherError } from '../errors.ts';
import type { Actor, Bank } from './record.ts';
import { audit, recordBank } from './writes.ts';

export const bankColumns = `number, tenant, name, kind, max_distance as "maxDistance", enabled_ratio as "enabledRatio", suppresses, spec`;
/** Banks of a tenant; all tenants together have numbers for 128 times as many. */
const mostBanks = 256;

/** Creates or changes a bank; only what is named changes. */
export async function writeBank(
  client: pg.PoolClient,
  actor: Actor,
  name: string,
  change: Partial<Omit<Bank, 'number' | 'tenant' | 'name'>>,
): Promise<Bank> {
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
}
