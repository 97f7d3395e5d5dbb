// Which pod holds which shard: in PostgreSQL a row for each pod, good for some seconds and renewed while the pod lives.
// A new pod takes the shard that fewest hold. Where two hold more of one than of another, one of them moves there: a pod that was killed
// holds its shard until its claim ends, and its successor may have gone elsewhere meanwhile.
import type pg from 'pg';
import type { Recorded } from '../record/record.ts';

export interface Holder {
  readonly pod: string;
  readonly url: string;
  readonly shard: number;
  /** It has read the shard. */
  readonly ready: boolean;
  /** It has missed two renewals and may be gone. */
  readonly late: boolean;
}

export interface Claimant {
  readonly pod: string;
  /** Where the other pods reach it. */
  readonly url: string;
  readonly shards: number;
  /** Milliseconds after which a pod that did not renew its claim is taken for gone. */
  readonly lease: number;
}

export interface Held {
  readonly own: number;
  /** Of pods that live, this one too. */
  readonly holders: readonly Holder[];
}

/** Where a pod stood; a claim that ended while PostgreSQL was away is made again on the same shard. */
export interface Before {
  readonly own?: number | undefined;
  /** The shard that it has read. */
  readonly read?: number | undefined;
}

/** How often a claim is renewed within its time. */
export const renewals = 5;

/** Any number: pods claim one after the other. */
const lock = 7_164_223;

/** Takes a shard, or renews the claim on it. */
export async function claim(record: Recorded, claimant: Claimant, before: Before = {}): Promise<Held> {
  const { pod, url, shards, lease } = claimant;
  return await record.transaction(async (client) => {
    await client.query('select pg_advisory_xact_lock($1)', [lock]);
    await client.query('delete from pods where until < now()');
    const holders = await holdersOf(client, claimant);
    const own = next(holders, pod, shards, before.own);
    const ready = own === before.read;
    await client.query(
      `insert into pods (name, url, shard, shards, ready, until) values ($1, $2, $3, $4, $5, now() + $6 * interval '1 ms')
       on conflict (name) do update set url = $2, shard = $3, shards = $4, ready = $5, until = excluded.until`,
      [pod, url, own, shards, ready, lease],
    );
    const others = holders.filter((holder) => holder.pod !== pod);
    return { own, holders: [...others, { pod, url, shard: own, ready, late: false }] };
  });
}

export async function release(record: Recorded, pod: string): Promise<void> {
  await record.transaction(async (client) => {
    await client.query('delete from pods where name = $1', [pod]);
  });
}

/** What pods of one record prove to each other that they are such by; nobody else reads it. */
export async function peerKey(record: Recorded): Promise<string> {
  return await record.transaction(async (client) => {
    const { rows } = await client.query<{ key: string }>('select key from peer_key');
    return rows[0]?.key ?? '';
  });
}

async function holdersOf(client: pg.PoolClient, { shards, lease }: Claimant): Promise<Holder[]> {
  const { rows } = await client.query<Holder>(
    `select name as pod, url, shard, ready, until < now() + $2 * interval '1 ms' as late
     from pods where shards = $1 order by name`,
    [shards, lease - 2.5 * (lease / renewals)],
  );
  return rows;
}

/**
 * The shard that a pod is to hold, as the others stand. A new one takes that of a pod that may be gone. Another leaves none without a pod that has read it, and
 * moves only when it has read its own.
 */
export function next(holders: readonly Holder[], pod: string, shards: number, before?: number): number {
  const fewestOf = (counted: readonly Holder[]) => {
    const count = Array.from({ length: shards }, () => 0);
    for (const { shard } of counted) count[shard] = (count[shard] ?? 0) + 1;
    return { count, fewest: count.indexOf(Math.min(...count)) };
  };
  const held = holders.find((holder) => holder.pod === pod);
  if (!held) return before ?? fewestOf(holders.filter(({ late }) => !late)).fewest;
  const { count, fewest } = fewestOf(holders);
  const { shard: own, ready } = held;
  const others = holders.some((other) => other.pod !== pod && other.shard === own && other.ready && !other.late);
  const uneven = (count[own] ?? 0) - (count[fewest] ?? 0) > 1;
  return ready && others && uneven ? fewest : own;
}
