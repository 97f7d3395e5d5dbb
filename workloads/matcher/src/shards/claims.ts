// Which pod holds which shard: in PostgreSQL a row for each pod, good for some seconds and renewed while the pod lives.
// A new pod takes the shard that fewest hold, and one whose shard others hold too moves where nobody is.
import type pg from 'pg';
import type { Recorded } from '../record/record.ts';

export interface Holder {
  readonly pod: string;
  readonly url: string;
  readonly shard: number;
  /** It has read the shard. */
  readonly ready: boolean;
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

/** Any number: pods claim one after the other. */
const lock = 7_164_223;

/** Takes a shard, or renews the claim on it; `ready` says whether it has been read. */
export async function claim(record: Recorded, claimant: Claimant, ready: boolean): Promise<Held> {
  const { pod, url, shards, lease } = claimant;
  return await record.transaction(async (client) => {
    await client.query('select pg_advisory_xact_lock($1)', [lock]);
    await client.query('delete from pods where until < now()');
    const holders = await holdersOf(client, shards);
    const before = holders.find((holder) => holder.pod === pod)?.shard;
    const own = next(holders, pod, shards);
    const isReady = ready && own === before;
    await client.query(
      `insert into pods (name, url, shard, shards, ready, until) values ($1, $2, $3, $4, $5, now() + $6 * interval '1 ms')
       on conflict (name) do update set url = $2, shard = $3, shards = $4, ready = $5, until = excluded.until`,
      [pod, url, own, shards, isReady, lease],
    );
    const others = holders.filter((holder) => holder.pod !== pod);
    return { own, holders: [...others, { pod, url, shard: own, ready: isReady }] };
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

async function holdersOf(client: pg.PoolClient, shards: number): Promise<Holder[]> {
  const { rows } = await client.query<Holder>(
    'select name as pod, url, shard, ready from pods where shards = $1 order by name',
    [shards],
  );
  return rows;
}

/** The shard that a pod is to hold, as the others stand. */
export function next(holders: readonly Holder[], pod: string, shards: number): number {
  const count = Array.from({ length: shards }, () => 0);
  for (const { shard } of holders) count[shard] = (count[shard] ?? 0) + 1;
  const own = holders.find((holder) => holder.pod === pod)?.shard;
  const fewest = count.indexOf(Math.min(...count));
  if (own === undefined) return fewest;
  return count[fewest] === 0 && (count[own] ?? 0) > 1 ? fewest : own;
}
