import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serialize } from 'node:v8';
import { afterEach, expect, test } from 'vitest';
import { record, useRecord } from '../testing/record.ts';
import { Shards } from './shards.ts';

useRecord();

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(ends.splice(0).map(async (end) => await end()));
  await record.transaction(async (client) => await client.query('delete from pods'));
});

/** A pod that has read shard 1 of 3 and counts its questions; one that hangs takes them and never answers. */
async function pod(name: string, hangs = false): Promise<{ asked: number }> {
  const counts = { asked: 0 };
  const server = createServer((_, response) => {
    counts.asked++;
    if (!hangs) response.end(serialize({ shard: 1, findings: [], age: 0 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await record.transaction(async (client) => {
    const claim = `insert into pods (name, url, shard, shards, ready, until) values ($1, $2, 1, 3, true, now() + interval '1 hour')`;
    return await client.query(claim, [name, url]);
  });
  return counts;
}

/** How often a pod of shard 0 finds shard 1 answered for, of so many questions. A busy machine must not seem to hang. */
async function answered(times: number): Promise<number> {
  const onMove = async () => undefined;
  const shards = await Shards.join({
    record,
    pod: 'asks',
    url: 'http://127.0.0.1:1',
    shards: 3,
    timeout: 2000,
    onMove,
  });
  ends.unshift(async () => await shards.close());
  let count = 0;
  for (let i = 0; i < times; i++) {
    const { missing } = await shards.find({ tenant: 'default', level: 'Speed' }, 0);
    count += Number(!missing.includes(1));
  }
  return count;
}

test('pods of one shard are asked by turns, however many shards there are', async () => {
  const pods = [await pod('a'), await pod('b')];
  expect(await answered(10)).toBe(10);
  expect(pods.map(({ asked }) => asked)).toEqual([5, 5]);
});

test('a pod that hangs costs its time once, and is asked last from then on', async () => {
  const hanging = await pod('a', true);
  const answering = await pod('b');
  expect(await answered(6)).toBe(6);
  expect([hanging.asked, answering.asked]).toEqual([1, 6]);
});

test('a shard whose only pod hangs is missing', async () => {
  const hanging = await pod('a', true);
  expect(await answered(1)).toBe(0);
  expect(hanging.asked).toBe(1);
});
