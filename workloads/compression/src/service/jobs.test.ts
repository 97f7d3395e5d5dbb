import { connectRedis, type RedisConnection } from '@quintet/runtime';
import { eventually, startRedis, type TestRedis } from '@quintet/runtime/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Job, type JobLimits, type JobStore, memoryJobs, type Priority, redisJobs } from './jobs.ts';
import type { CompressAnswer } from './schema.ts';

const limits: JobLimits = {
  maxQueued: () => 3,
  retentionMs: () => 60_000,
  priorities: () => ['High', 'Normal', 'Low'],
  aliveSeconds: 1,
};
const job = (id: string, priority: Priority = 'Normal'): Job => ({
  id,
  tenant: 'news',
  priority,
  request: { text: id },
});
const result: CompressAnswer = {
  text: 'short',
  originalTokens: 8,
  compressedTokens: 1,
  ratio: 8,
  strategy: 'extractive',
  source: 'miss',
};

let server: TestRedis;
let redis: RedisConnection;
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis({ url: server.url });
  await new Promise<void>((resolve) => redis.onConnect(resolve));
}, 180_000);
afterAll(async () => {
  await redis.close();
  await server.stop();
});

async function emptyRedis(): Promise<JobStore> {
  await redis.call((client) => client.flushall());
  return redisJobs(redis, limits, 'one');
}

describe.each([
  ['in Redis', emptyRedis],
  ['in memory', async () => memoryJobs(limits)],
])('jobs %s', (_, open) => {
  test('are taken by priority, then in order', async () => {
    const jobs = await open();
    await jobs.submit(job('a', 'Low'));
    await jobs.submit(job('b'));
    await jobs.submit(job('c', 'High'));
    expect(await jobs.waiting()).toBe(3);
    expect([(await jobs.take())?.id, (await jobs.take())?.id, (await jobs.take())?.id, await jobs.take()]).toEqual([
      'c',
      'b',
      'a',
      undefined,
    ]);
  });

  test('beyond the limit are refused', async () => {
    const jobs = await open();
    for (const id of ['a', 'b', 'c']) await jobs.submit(job(id));
    await expect(jobs.submit(job('d'))).rejects.toMatchObject({ code: 'OVERLOADED', retryAfter: 5 });
  });

  test('show how they stand to their tenant only', async () => {
    const jobs = await open();
    await jobs.submit(job('a'));
    expect((await jobs.read('news', 'a')).status).toBe('Queued');
    const taken = (await jobs.take()) as Job;
    expect((await jobs.read('news', 'a')).status).toBe('Running');
    await jobs.finish(taken, { result });
    expect(await jobs.read('news', 'a')).toEqual({ id: 'a', priority: 'Normal', status: 'Succeeded', result });
    await expect(jobs.read('sport', 'a')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(jobs.cancel('sport', 'a')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('that are cancelled are neither done nor finished', async () => {
    const jobs = await open();
    await jobs.submit(job('a'));
    await jobs.submit(job('b'));
    expect((await jobs.cancel('news', 'a')).status).toBe('Cancelled');
    const next = await jobs.take();
    expect(next?.id).toBe('b');
    await jobs.cancel('news', 'b');
    await jobs.finish(next as Job, { result });
    expect((await jobs.read('news', 'b')).status).toBe('Cancelled');
  });
});

test('jobs of a replica that died are done by another', async () => {
  const one = await emptyRedis();
  const two = redisJobs(redis, limits, 'two');
  await one.tick();
  await one.submit(job('a'));
  expect((await one.take())?.id).toBe('a');
  await two.tick();
  expect(await two.take()).toBeUndefined();
  await eventually(async () => {
    await two.tick();
    expect((await two.take())?.id).toBe('a');
  });
});

test('jobs whose taking was not heard of are taken again by the same replica', async () => {
  const one = await emptyRedis();
  await one.submit(job('a'));
  await redis.call((client) =>
    client.lmove('quintet:compression:jobs:queue:Normal', 'quintet:compression:jobs:work:one', 'LEFT', 'RIGHT'),
  );
  await one.tick();
  expect(await one.take()).toBeUndefined();
  await one.tick();
  expect((await one.take())?.id).toBe('a');
  await one.tick();
  await one.tick();
  expect(await one.take()).toBeUndefined();
});
