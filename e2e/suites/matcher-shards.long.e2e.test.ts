// A MatcherPool of two shards whose pods are killed in turn and at once, and PostgreSQL with them, during registration and search: a verdict
// has all shards in it or names those that it has not, and with two pods to a shard none is missing for the loss of one.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { release } from '../install.ts';
import { eventually, type Kubectl } from '../kubectl.ts';
import { lose, MatcherPool, type Traffic } from './matching.ts';
import { freshNamespace, sharedCluster } from './shared.ts';
import { rows, stores } from './stores.ts';

const namespace = 'e2e-shards';
const schema = 'matcherpool_e2e_shards_split_';
let kubectl: Kubectl;
let pool: MatcherPool;
let client: Traffic;

const index = (missingShard: 'Refuse' | 'Degrade') => ({ shards: 2, missingShard });

/** Which shard each pod has read, of those that do not end. */
async function held(): Promise<{ pod: string; shard: number }[]> {
  const pods = await pool.pods();
  const claims = await rows(kubectl, schema, 'select url, shard from pods where ready and until > now()');
  return claims.flatMap(([url = '', shard]) => {
    const pod = pods.get(new URL(url).hostname);
    return pod === undefined ? [] : [{ pod, shard: Number(shard) }];
  });
}

/** Waits until so many pods have read each shard, and the pool is Ready. */
async function whole(each: number): Promise<void> {
  await pool.ready(2 * each);
  await eventually(
    `${each} pods have read each shard`,
    async () => {
      const shards = (await held()).map(({ shard }) => shard);
      return [0, 1].every((wanted) => shards.filter((shard) => shard === wanted).length === each);
    },
    { timeoutMs: 120_000, everyMs: 1000, describe: async () => JSON.stringify(await held()) },
  );
}

const holding = async (wanted: number) => (await held()).flatMap(({ pod, shard }) => (shard === wanted ? [pod] : []));

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  pool = new MatcherPool(kubectl, namespace, 'split');
  await pool.apply({ replicas: 2, index: index('Refuse') });
  await whole(1);
  client = await pool.client();
  await client.goesOn('at first', 100);
}, 700_000);

// The node has room for one suite's pods.
afterAll(async () => {
  await kubectl?.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
});

describe('a MatcherPool of two shards', () => {
  it('refuses what it cannot judge while a shard has no pod, and comes back by itself', async () => {
    for (const shard of [0, 1]) {
      await lose(kubectl, namespace, ...(await holding(shard)));
      await client.goesOn(`after the pod of shard ${shard} was killed`);
      await whole(1);
    }
    await lose(kubectl, namespace, ...(await pool.pods()).values());
    await client.goesOn('after both pods were killed');
    await whole(1);
    await lose(kubectl, release.namespace, stores.postgres);
    await client.goesOn('after PostgreSQL was killed');
    await whole(1);
    const { wrong, partial, shardMissing } = await client.counts();
    expect({ wrong, partial }).toEqual({ wrong: [], partial: 0 });
    expect(shardMissing).toBeGreaterThan(0);
  }, 400_000);

  it('misses no shard for the loss of one of two pods that hold it', async () => {
    await pool.apply({ replicas: 4, index: index('Degrade') });
    await whole(2);
    const before = await client.counts();
    for (const pod of (await pool.pods()).values()) {
      await lose(kubectl, namespace, pod);
      await client.goesOn(`after ${pod} was killed`);
      await whole(2);
    }
    const { wrong, partial, shardMissing } = await client.counts();
    expect({ wrong, partial, shardMissing }).toEqual({
      wrong: [],
      partial: before.partial,
      shardMissing: before.shardMissing,
    });
  }, 500_000);

  it('names the shard that is missing where both were killed, and loses nothing of what it acknowledged', async () => {
    const before = await client.counts();
    await lose(kubectl, namespace, ...(await holding(1)));
    await eventually('verdicts name what is missing', async () => (await client.counts()).partial > before.partial);
    await client.goesOn('after both pods of shard 1 were killed');
    await whole(2);
    const { lost, wrong, ...counts } = await client.end();
    console.log(`[matcher] ${JSON.stringify(counts)}`);
    expect({ lost, wrong }).toEqual({ lost: [], wrong: [] });
    const items = await rows(kubectl, schema, `select number % 2, count(*) from items group by 1 order by 1`);
    expect(items.map(([shard]) => shard)).toEqual(['0', '1']);
    expect(items.reduce((sum, [, count]) => sum + Number(count), 0)).toBeGreaterThanOrEqual(counts.registered);
  }, 400_000);
});
