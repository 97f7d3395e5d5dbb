import '../testing/commonjs.ts';
import { serialize } from 'node:v8';
import { eventually } from '@quintet/runtime/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRecord } from '../record/record.ts';
import { claimantOf } from '../service/engine.ts';
import { type Answer, startPool, type TestPool } from '../testing/pool.ts';
import { type Holder, next } from './claims.ts';
import { peerHeader, peerPath, Shards } from './shards.ts';

describe('the shard that a pod takes', () => {
  const holders = (...shards: number[]): Holder[] =>
    shards.map((shard, i) => ({ pod: `pod-${i}`, url: '', shard, ready: true, late: false }));
  test.each([
    { name: 'the first, where nobody is', of: 2, held: [], pod: 'new', wanted: 0 },
    { name: 'one that nobody holds', of: 3, held: [0, 2], pod: 'new', wanted: 1 },
    { name: 'one that fewest hold', of: 2, held: [0, 0, 1], pod: 'new', wanted: 1 },
    { name: 'its own, as long as each is held', of: 2, held: [0, 1, 1], pod: 'pod-2', wanted: 1 },
    {
      name: 'its own, where it is alone on it, though another is missing',
      of: 3,
      held: [0, 1],
      pod: 'pod-1',
      wanted: 1,
    },
    { name: 'the missing one, where others hold its own too', of: 2, held: [0, 0], pod: 'pod-1', wanted: 1 },
    { name: 'one of fewer, where two more hold its own', of: 2, held: [0, 0, 0, 1], pod: 'pod-1', wanted: 1 },
    { name: 'the one it had, when its claim ended unrenewed', of: 2, held: [0], pod: 'back', before: 0, wanted: 0 },
  ])('is $name', ({ of, held, pod, before, wanted }) => {
    expect(next(holders(...held), pod, of, before)).toBe(wanted);
  });

  test('is that of a pod that may be gone, for a new one alone', () => {
    const late = holders(0, 1).map((each) => ({ ...each, late: each.pod === 'pod-1' }));
    expect(next(late, 'new', 2)).toBe(1);
    expect(next([...late, ...holders(0).map((each) => ({ ...each, pod: 'pod-2' }))], 'pod-2', 2)).toBe(0);
  });

  test('is the one it had, for a container of a pod that starts again', () => {
    const pod = claimantOf({ QUINTET_RESOURCE: 'resource.json', HOSTNAME: 'pod-1' });
    expect(claimantOf({ POD_NAME: 'pod-1', HOSTNAME: 'node' })).toBe(pod);
    expect(next(holders(0, 1), pod, 2)).toBe(1);
    expect(claimantOf({ HOSTNAME: 'desk' })).not.toBe(claimantOf({ HOSTNAME: 'desk' }));
  });

  test('is its own as long as no other pod has read it, or it has not itself', () => {
    const unread = (pod: string) => holders(0, 0).map((each) => (each.pod === pod ? { ...each, ready: false } : each));
    expect(next(unread('pod-1'), 'pod-0', 2)).toBe(0);
    expect(next(unread('pod-1'), 'pod-1', 2)).toBe(0);
    const gone = holders(0, 0).map((each) => ({ ...each, late: each.pod === 'pod-1' }));
    expect(next(gone, 'pod-0', 2)).toBe(0);
  });
});

describe('a pool of two shards', () => {
  let pool: TestPool;
  const index = { shards: 2 };
  const hashes = Array.from({ length: 24 }, (_, i) => (i + 1).toString(16).padStart(2, '0').repeat(32));
  const health = async (at: number) =>
    (await pool.call('GET', '/api/v1/health', undefined, at)).body as {
      status: string;
      index: { items: number };
      shards: { own: number; missing: number[] };
    };
  /** Of the items registered, those that a pod finds by their hashes. */
  const found = async (at: number) => {
    const answers = await Promise.all(hashes.map((hash) => pool.match({ hash, level: 'Speed' }, at)));
    return answers.flatMap(({ matches }, i) => (matches.some(({ item }) => item === `item-${i}`) ? [i] : []));
  };
  const all = [...hashes.keys()];

  beforeAll(async () => {
    pool = await startPool({ index });
    for (const [i, hash] of hashes.entries()) {
      const profile = i === 5 ? { profile: { name: 'Archibald Pennyworth' } } : {};
      await pool.call('POST', '/api/v1/items', { id: `item-${i}`, hash, ...profile });
    }
  }, 120_000);
  afterAll(() => pool?.stop());

  test('has each item on one pod, and either pod finds all, by hash and by name, until they are disabled', async () => {
    for (const at of [0, 1]) await eventually(async () => expect(await found(at)).toEqual(all));
    const states = [await health(0), await health(1)];
    expect(new Set(states.map(({ shards }) => shards.own))).toEqual(new Set([0, 1]));
    expect(states.map(({ index: { items } }) => items)).toEqual([12, 12]);
    for (const at of [0, 1]) {
      const { matches, ...verdict } = await pool.match({ profile: { name: 'Archibald Penyworth' } }, at);
      expect(matches).toMatchObject([{ item: 'item-5' }]);
      expect(verdict).toMatchObject({ shards: { of: 2, missing: [] } });
    }
    for (const id of ['item-0', 'item-1']) await pool.call('PUT', `/api/v1/items/${id}/state`, { state: 'Disabled' });
    for (const at of [0, 1]) await eventually(async () => expect(await found(at)).toEqual(all.slice(2)));
    for (const id of ['item-0', 'item-1']) await pool.call('PUT', `/api/v1/items/${id}/state`, { state: 'Enabled' });
    for (const at of [0, 1]) await eventually(async () => expect(await found(at)).toEqual(all));
  });

  test('lets a pod keep the shard that it reads for long, and claims that ended while PostgreSQL was away be made again', async () => {
    const record = await openRecord({ url: pool.postgres.url });
    const moves: number[] = [];
    const onMove = async (own: number) => void moves.push(own);
    // Of another number of shards: the pods of the pool are none of theirs.
    const join = (pod: string) => Shards.join({ record, pod, url: `http://${pod}`, shards: 5, lease: 3000, onMove });
    const [slow, quick] = [await join('slow'), await join('quick')];
    try {
      await quick.serves(quick.claimed);
      await new Promise((resolve) => setTimeout(resolve, 3500));
      const third = await join('third');
      expect([slow, quick, third].map(({ claimed }) => claimed)).toEqual([0, 1, 2]);
      await third.close();
      await slow.serves(slow.claimed);
      const held = async () =>
        await record.transaction(async (client) => {
          const { rows } = await client.query<{ name: string; shard: number; ready: boolean }>(
            'select name, shard, ready from pods where shards = 5 and until > now() order by name',
          );
          return rows;
        });
      const before = [
        { name: 'quick', shard: 1, ready: true },
        { name: 'slow', shard: 0, ready: true },
      ];
      expect(await held()).toEqual(before);
      await record.transaction(async (client) => await client.query('delete from pods where shards = 5'));
      await eventually(async () => expect(await held()).toEqual(before));
      expect(moves).toEqual([]);
    } finally {
      await Promise.all([slow.close(), quick.close()]);
      await record.close();
    }
  });

  test('answers pods of its own record alone', async () => {
    for (const key of [undefined, 'guessed', 'x'.repeat(72)]) {
      const response = await fetch(`${pool.replicas[0]?.url}${peerPath}`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream', ...(key !== undefined && { [peerHeader]: key }) },
        body: new Uint8Array(serialize({ tenant: 'default', level: 'Speed' })),
      });
      expect(response.status).toBe(401);
    }
  });

  test('refuses to answer, or says what is missing, while a shard has no pod, and is whole again with the next', async () => {
    const lost = pool.replicas[1];
    pool.replicas[1] = await pool.replica('lenient', { index: { ...index, missingShard: 'Degrade' } });
    await lost?.drain();
    const query = { hash: hashes[0], level: 'Speed' };
    // The new pod, the second on its shard, may have moved already: then nothing is missing.
    const answers = await Promise.all([0, 1].map(async (at) => await pool.call('POST', '/api/v1/match', query, at)));
    const silent = answers.filter(({ status, body }) => {
      const { error, ...verdict } = body as Partial<Answer> & {
        error?: { message: string };
        shards?: { missing: number[] };
      };
      if (status === 503) return !error?.message.includes('shards');
      const { missing } = verdict.shards ?? {};
      return !missing || (missing.length === 0 && verdict.matches?.[0]?.item !== 'item-0');
    });
    expect(silent).toEqual([]);
    for (const at of [0, 1]) await eventually(async () => expect(await found(at)).toEqual(all), 15_000);
    const [gone, left] = [(await health(0)).shards.own, (await health(1)).shards.own];
    expect(new Set([gone, left])).toEqual(new Set([0, 1]));
    const [first] = pool.replicas.splice(0, 1);
    await first?.drain();
    await eventually(async () => expect((await health(0)).shards.missing).toEqual([gone]));
    expect(await health(0)).toMatchObject({ status: 'degraded' });
    const partly = await pool.match({ hash: hashes[0], level: 'Speed' });
    expect(partly).toMatchObject({ shards: { of: 2, missing: [gone] } });
    expect(await found(0)).toHaveLength(12);
    pool.replicas.push(await pool.replica('next', { index }));
    for (const at of [0, 1]) await eventually(async () => expect(await found(at)).toEqual(all), 15_000);
  });

  test('refuses a query where that is what the spec says', async () => {
    const strict = pool.replicas.pop();
    const [lenient] = pool.replicas.splice(0, 1);
    await lenient?.drain();
    pool.replicas.push(strict as NonNullable<typeof strict>);
    const { status, body } = await pool.call('POST', '/api/v1/match', { hash: hashes[0] });
    expect(status).toBe(503);
    expect(body).toMatchObject({ error: { message: expect.stringMatching(/of 2 shards nobody answers/) as string } });
  });
});
