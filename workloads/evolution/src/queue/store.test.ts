import { inspect } from 'node:util';
import { startRedis, type TestRedis } from '@quintet/runtime/testing';
import { Queue } from 'bullmq';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { checkRedis, openRedis } from './store.ts';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
}, 120_000);
afterAll(() => redis.stop());
afterEach(() => vi.restoreAllMocks());

test.each([
  ['nothing is printed where no task can be evicted', 'volatile-ttl', 0],
  ['the queue warns where tasks can be evicted', 'allkeys-lru', 2],
])('%s', async (_what, policy, warnings) => {
  const said = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const connection = openRedis(redis.url);
  await connection.config('SET', 'maxmemory-policy', policy);
  // A worker has one more that blocks, made from the first.
  const blocking = connection.duplicate();
  const queues = [connection, blocking].map((each) => new Queue('tasks', { connection: each }));
  await Promise.all(queues.map((queue) => queue.waitUntilReady()));
  expect(said).toHaveBeenCalledTimes(warnings);
  await Promise.all(queues.map((queue) => queue.close()));
  connection.disconnect();
  blocking.disconnect();
});

test.each(['redis://:pass#word@redis:6379', 'redis://:pass%word@redis:6379', 'redis://redis:port'])(
  'the address %s is refused by its field, and not repeated',
  (url) => {
    let thrown: unknown;
    try {
      openRedis(url);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ reason: 'QueueUnavailable', where: { field: 'spec.queue.redis' }, retryable: true });
    expect(inspect(thrown)).not.toMatch(/pass|6379\/|redis:port/);
  },
);

test.each([
  ['a wrong password', 'redis://:wrong@', /Redis: WRONGPASS/],
  ['no password', 'redis://', /Redis: NOAUTH/],
])('%s is told at once, with the field', async (_what, prefix, message) => {
  const owner = openRedis(redis.url);
  await owner.config('SET', 'requirepass', 'secret');
  const stranger = openRedis(redis.url.replace('redis://', prefix));
  await expect(checkRedis(stranger)).rejects.toMatchObject({
    reason: 'QueueUnavailable',
    message: expect.stringMatching(message) as string,
    where: { field: 'spec.queue.redis' },
  });
  stranger.disconnect();
  await owner.config('SET', 'requirepass', '');
  owner.disconnect();
});
