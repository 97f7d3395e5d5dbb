import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { connectRedis, type RedisConnection } from '../redis.ts';
import { eventually, startMemcached, startRedis, type TestRedis, type TestServer } from '../testing/index.ts';
import { createCache } from './cache.ts';
import { epochs } from './epochs.ts';
import { cacheKey } from './key.ts';
import { memoryTier } from './memory.ts';
import { memcachedTier, redisTier } from './shared.ts';

describe('caches of two replicas that share a Redis', () => {
  let server: TestRedis;
  const open: { close: () => Promise<void> }[] = [];
  beforeAll(async () => {
    server = await startRedis();
  }, 180_000);
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });
  afterAll(() => server.stop());

  const replica = async (name: string, encryptionKeys: Buffer[] = []) => {
    const redis: RedisConnection = connectRedis({ url: server.url });
    open.push(redis);
    const shared = epochs({ redis, namespace: name, pollInterval: 50, trustFor: 500 });
    open.push(shared);
    await eventually(() => expect(redis.connected).toBe(true));
    await shared.sync();
    const memory = memoryTier();
    const cache = createCache<string>({
      name,
      kind: 'k',
      version: '1',
      epochs: shared,
      tiers: [memory, redisTier({ redis, namespace: name, encryptionKeys })],
    });
    return { cache, memory, redis, shared };
  };

  test('one finds what the other made; another tenant does not', async () => {
    const [a, b] = [await replica('one'), await replica('one')];
    await a.cache.set({ tenant: 't', input: 1 }, 'value');
    expect(await b.cache.get({ tenant: 't', input: 1 })).toEqual({ value: 'value', source: 'redis' });
    expect(await b.cache.get({ tenant: 'u', input: 1 })).toBeUndefined();
  });

  test('what lies in Redis has a time to live and is unreadable when encrypted', async () => {
    const { cache } = await replica('secret', [randomBytes(32)]);
    await cache.set({ tenant: 't', input: 1 }, 'nobody may read this', { ttl: 60_000 });
    const reader = new Redis(server.url);
    const [name = ''] = await reader.keys('q:cache:secret:*');
    expect((await reader.getBuffer(name))?.includes('nobody')).toBe(false);
    expect(await reader.pttl(name)).toBeGreaterThan(50_000);
    // Planting one tenant's entry under another's key yields a miss.
    const stolen = cacheKey({ tenant: 'thief', kind: 'k', version: '1', input: 1 });
    await reader.copy(name, `q:cache:secret:${stolen}`);
    expect(await cache.get({ tenant: 'thief', input: 1 })).toBeUndefined();
    reader.disconnect();
  });

  test('what one invalidates is stale in the memory of the other', async () => {
    const [a, b] = [await replica('two'), await replica('two')];
    await a.cache.set({ tenant: 't', input: 1 }, 'value', { tags: ['bank'] });
    await b.cache.get({ tenant: 't', input: 1 });
    expect((await b.cache.get({ tenant: 't', input: 1 }))?.source).toBe('memory');
    await a.cache.invalidate(['bank']);
    await eventually(async () => expect(await b.cache.get({ tenant: 't', input: 1 })).toBeUndefined());
  });

  test('Redis killed in the middle: untagged answers go on, tagged ones are made anew, invalidations are not forgotten, all recovers', async () => {
    const [a, b] = [await replica('three'), await replica('three')];
    let made = 0;
    const ask = (side: typeof a, input: string, tags: string[] = []) =>
      side.cache.getOrMake({ tenant: 't', input }, async () => `made ${++made}`, { tags });
    for (const side of [a, b]) {
      await ask(side, 'plain');
      await ask(side, 'tagged', ['bank']);
    }
    expect(made).toBe(2);
    await server.kill();
    await eventually(() => expect(a.redis.connected || b.redis.connected).toBe(false));

    const during = await Promise.all(Array.from({ length: 50 }, (_, at) => ask(a, `new ${at}`)));
    expect(new Set(during.map((answer) => answer.value)).size).toBe(50);
    expect((await ask(a, 'plain')).value).toBe('made 1');
    await eventually(async () => expect((await ask(b, 'tagged', ['bank'])).source).toBe('miss'));
    await a.cache.invalidate(['bank']);

    await server.start();
    await eventually(() => expect(a.redis.connected && b.redis.connected).toBe(true));
    await eventually(async () => {
      await Promise.all([a.shared.sync(), b.shared.sync()]);
      const [one, two] = [await ask(a, 'tagged', ['bank']), await ask(b, 'tagged', ['bank'])];
      expect([one.source, two.source, one.value]).toEqual(['memory', 'memory', two.value]);
    });
    const [fresh] = [await ask(b, 'tagged', ['bank'])];
    expect(Number(fresh.value.split(' ')[1])).toBeGreaterThan(2);
  }, 60_000);

  test('a Redis that comes back empty does not bring invalidated entries back to life', async () => {
    const { cache, shared, redis } = await replica('four');
    await cache.set({ tenant: 't', input: 1 }, 'before', { tags: ['bank'] });
    await cache.invalidate(['bank']);
    await server.kill();
    await server.start();
    await eventually(() => expect(redis.connected).toBe(true));
    await eventually(async () => {
      await shared.sync();
      await cache.set({ tenant: 't', input: 2 }, 'after', { tags: ['bank'] });
      expect((await cache.get({ tenant: 't', input: 2 }))?.value).toBe('after');
    });
    expect(await cache.get({ tenant: 't', input: 1 })).toBeUndefined();
    const late = await replica('four');
    await eventually(async () => {
      await late.shared.sync();
      expect(late.shared.current(['t:bank'])).toEqual(shared.current(['t:bank']));
    });
  }, 60_000);
});

describe('a cache on Memcached', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startMemcached();
  }, 180_000);
  afterAll(() => server.stop());

  test('keeps answers, and is merely a cache without entries while Memcached is away', async () => {
    const tier = memcachedTier({ servers: [`127.0.0.1:${server.port}`], namespace: 'm' });
    const cache = createCache<string>({ name: 'm', kind: 'k', version: '1', tiers: [tier] });
    const text = 'é\r\n\0'.repeat(500);
    await cache.set({ tenant: 't', input: 1 }, text);
    expect(await cache.get({ tenant: 't', input: 1 })).toEqual({ value: text, source: 'memcached' });
    expect(await cache.get({ tenant: 'u', input: 1 })).toBeUndefined();
    await server.kill();
    expect((await cache.getOrMake({ tenant: 't', input: 1 }, async () => 'made')).value).toBe('made');
    await server.start();
    await eventually(async () => {
      await cache.set({ tenant: 't', input: 2 }, 'again');
      expect((await cache.get({ tenant: 't', input: 2 }))?.value).toBe('again');
    });
    await cache.close();
  }, 60_000);
});
