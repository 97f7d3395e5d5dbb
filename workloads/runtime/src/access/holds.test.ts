import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectRedis, type RedisConnection } from '../redis.ts';
import { startRedis, type TestRedis } from '../testing/index.ts';
import { type Hold, holds } from './holds.ts';

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

test('work that ends while holds of other keys are renewed is counted once', async () => {
  const calls = { begun: 0, ended: 0 };
  let gate: Promise<void> | undefined;
  const call: RedisConnection['call'] = async (work) => {
    calls.begun += 1;
    const wait = gate;
    gate = undefined;
    await wait;
    const result = await redis.call(work);
    calls.ended += 1;
    return result;
  };
  const until = async (happened: () => boolean) => {
    while (!happened()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const { take, used } = holds({ redis: { ...redis, call }, lease: 150, live: 60_000 });
  const first = (await take('one', 100, 1000)) as Hold;
  const second = (await take('two', 100, 1000)) as Hold;
  const { promise, resolve: open } = Promise.withResolvers<void>();
  gate = promise;
  await until(() => gate === undefined);
  await second.settle(40);
  open();
  // The rest of this round, and a further one.
  const { ended } = calls;
  await until(() => calls.ended >= ended + 3);
  expect([await used('two'), await used('one')]).toEqual([40, 100]);
  await first.settle(0);
});

test('what ends while more is begun is counted once, also what Redis was told of late', async () => {
  let away = false;
  const call: RedisConnection['call'] = (work) =>
    away ? Promise.reject(new Error('Redis is away')) : redis.call(work);
  const { take, used } = holds({ redis: { ...redis, call }, lease: 60_000, live: 60_000 });
  const several = async () => (await Promise.all([1, 2, 3, 4].map(() => take('many', 100, 10_000)))) as Hold[];
  let held = await several();
  for (let round = 0; round < 3; round++) {
    const ended = held.map((each) => each.settle(10));
    [held] = await Promise.all([several(), ...ended]);
  }
  away = true;
  await Promise.all(held.map((each) => each.settle(10)));
  away = false;
  for (const each of await several()) await each.settle(0);
  expect(await used('many')).toBe(160);
});

test('what Redis did, and was too slow to say, is neither counted twice nor held for nobody', async () => {
  let slow = false;
  // The command arrives; its answer comes too late.
  const call: RedisConnection['call'] = async (work) => {
    const result = await redis.call(work);
    if (slow) throw new Error('Redis was too slow');
    return result;
  };
  const { take, used } = holds({ redis: { ...redis, call }, lease: 60_000, live: 60_000 });
  const first = (await take('slow', 100, 1000)) as Hold;
  slow = true;
  await expect(take('slow', 100, 1000)).rejects.toThrow('too slow');
  await first.settle(30);
  slow = false;
  const next = (await take('slow', 50, 1000)) as Hold;
  await next.settle(5);
  expect(await used('slow')).toBe(35);
});

test('work ends when Redis knows of it, where that takes a moment', async () => {
  let away = false;
  const call: RedisConnection['call'] = (work) =>
    away ? Promise.reject(new Error('Redis is away')) : redis.call(work);
  const { take, used } = holds({ redis: { ...redis, call }, lease: 60_000, live: 60_000 });
  const hold = (await take('moment', 100, 1000)) as Hold;
  away = true;
  const ending = hold.settle(30);
  await new Promise((resolve) => setTimeout(resolve, 50));
  away = false;
  await ending;
  // Nobody asked for more, and no lease was renewed meanwhile.
  expect(await used('moment')).toBe(30);
});

test('a key for which Redis has no answer keeps none of the others from being renewed', async () => {
  const asked = { begun: 0 };
  let isStuck = false;
  const call: RedisConnection['call'] = (work) => {
    if (!isStuck) return redis.call(work);
    asked.begun += 1;
    return new Promise(() => undefined);
  };
  const { take } = holds({ redis: { ...redis, call }, lease: 150, live: 60_000 });
  for (const key of ['a', 'b', 'c']) await take(key, 100, 1000);
  isStuck = true;
  while (asked.begun < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  // And no second round begins beside the first.
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(asked.begun).toBe(3);
});
