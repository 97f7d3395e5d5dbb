// How many items each client registered in this minute, over all replicas: more than the quarantine allows wait for a person.
import type pg from 'pg';

export interface Arrival {
  readonly tenant: string;
  readonly client: string;
  readonly items: number;
  /** In a minute. */
  readonly most: number;
}

/** Counts them and returns how many are still within what is allowed. */
export async function arrive(connection: pg.PoolClient, { tenant, client, items, most }: Arrival): Promise<number> {
  const { rows } = await connection.query<{ count: number }>(
    `insert into arrivals (tenant, client, minute, count) values ($1, $2, date_trunc('minute', now()), $3)
     on conflict (tenant, client, minute) do update set count = arrivals.count + $3
     returning count::float8 as count`,
    [tenant, client, items],
  );
  const before = (rows[0]?.count ?? items) - items;
  return Math.max(0, Math.min(items, most - before));
}

/** Of minutes that are over nothing is asked. */
export async function forgetArrivals(connection: pg.PoolClient): Promise<void> {
  await connection.query(`delete from arrivals where minute < now() - interval '1 hour'`);
}
