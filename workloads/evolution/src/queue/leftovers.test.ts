import { startRedis, type TestRedis } from '@quintet/runtime/testing';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { forgetQueue, noteQueue, queueName, removeLeftovers } from './leftovers.ts';
import { openRedis } from './store.ts';

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.url);
}, 120_000);
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

async function left(runId: string): Promise<number> {
  return (await redis.keys(`bull:${queueName(runId)}:*`)).length;
}

test('queues that nobody has cared for over a day go whole, and others stay', async () => {
  const runs = { dead: 90_000, silent: 80_000, alive: 0 };
  for (const [runId, silence] of Object.entries(runs)) {
    const queue = new Queue(queueName(runId), { connection: redis });
    for (let i = 0; i < 50; i++) await queue.add('evaluate', {}, { jobId: `task-${i}`, priority: i + 1 });
    await queue.close();
    await noteQueue(redis, runId);
    await redis.zincrby('quintet:evolution:queues', -silence, runId);
  }
  await redis.set('quintet:evolution:result:of another', 'kept');
  expect(await left('dead')).toBeGreaterThan(50);
  await removeLeftovers(redis);
  expect(await left('dead')).toBe(0);
  expect(await left('silent')).toBeGreaterThan(50);
  expect(await left('alive')).toBeGreaterThan(50);
  expect(await redis.get('quintet:evolution:result:of another')).toBe('kept');
  expect(await redis.zrange('quintet:evolution:queues', '0', '-1')).toEqual(['silent', 'alive']);
  await forgetQueue(redis, 'silent');
  await removeLeftovers(redis);
  expect(await left('silent')).toBeGreaterThan(50);
});
