import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectRedis } from '../redis.ts';
import { redisPrefix, settingsSchema } from '../settings.ts';
import { eventually, startMemcached, startRedis, type TestRedis, type TestServer } from '../testing/index.ts';
import { engineCache } from './engineCache.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-engine-cache-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const open = () => {
  const settings = settingsSchema.parse({ cache: { disk: { maxSize: '10Mi', directory }, ttl: '1h' } });
  return engineCache<string>({ name: 'engine', kind: 'k', version: '1', settings });
};

test('after a restart the disk has the entries, and what was purged before stays purged', async () => {
  const before = await open();
  await before.set({ tenant: 't', input: 1 }, 'kept', { tags: ['a'] });
  await before.set({ tenant: 't', input: 2 }, 'purged', { tags: ['b'] });
  await before.set({ tenant: 'gone', input: 3 }, 'of a tenant that left');
  await before.invalidate(['b']);
  await before.invalidateTenant('gone');
  await before.close();
  const after = await open();
  expect(await after.get({ tenant: 't', input: 1 })).toEqual({ value: 'kept', source: 'disk' });
  expect(await after.get({ tenant: 't', input: 2 })).toBeUndefined();
  expect(await after.get({ tenant: 'gone', input: 3 })).toBeUndefined();
  await after.close();
});

test('memory can be made smaller while serving, and the disk still has what was given up', async () => {
  const cache = await open();
  for (let input = 0; input < 20; input++) await cache.set({ tenant: 't', input }, `value ${input}`);
  cache.memory.resize({ maxEntries: 2 });
  expect(cache.stats().tiers.memory?.usage?.entries).toBe(2);
  expect(await cache.get({ tenant: 't', input: 0 })).toEqual({ value: 'value 0', source: 'disk' });
  await cache.close();
});

describe('Memcached', () => {
  let memcached: TestServer;
  let server: TestRedis;
  beforeAll(async () => {
    memcached = await startMemcached();
    server = await startRedis();
  }, 180_000);
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });
  afterAll(() => Promise.all([memcached.stop(), server.stop()]));

  const closing: (() => Promise<void>)[] = [];
  const replica = async (name = 'news', withRedis = true) => {
    const servers = { servers: [`127.0.0.1:${memcached.port}`] };
    const settings = settingsSchema.parse({ cache: { memcached: servers }, resource: { namespace: 'a', name } });
    const redis = withRedis ? connectRedis({ url: server.url, ...redisPrefix('engine', settings) }) : undefined;
    const cache = await engineCache<string>({ name: 'engine', kind: 'k', version: '1', settings, redis });
    const close = async () => {
      await cache.close();
      await redis?.close();
    };
    closing.push(close);
    return { ...cache, close };
  };
  type Replica = Awaited<ReturnType<typeof replica>>;
  const request = { tenant: 't', input: 1 };
  /** Kept where all find it, once it is known what was purged. */
  const keep = (by: Replica, value: string, at: Replica) =>
    eventually(async () => {
      await at.memory.clear();
      await by.set(request, value);
      expect(await at.get(request)).toEqual({ value, source: 'memcached' });
    });

  test('holds the shared entries where it is named, those of each resource apart', async () => {
    const [one, two, other, another] = await Promise.all([replica(), replica(), replica('sport'), replica('sport')]);
    await keep(one, 'kept', two);
    await keep(other, 'of another', another);
    await two.memory.clear();
    expect(await two.get(request)).toEqual({ value: 'kept', source: 'memcached' });
  });

  test('does not bring to life what was purged for a replica that cannot ask Redis', async () => {
    const [one, two] = [await replica(), await replica()];
    await keep(one, 'purged later', two);
    await one.invalidateTenant('t');
    await server.kill();
    expect(await (await replica()).get(request)).toBeUndefined();
    await server.start();
  });

  test('does not bring to life what was purged when Redis forgot it and nobody else remembers', async () => {
    const [one, two] = [await replica(), await replica()];
    await keep(one, 'purged later', two);
    await one.invalidateTenant('t');
    await Promise.all(closing.splice(0).map((close) => close()));
    await server.kill();
    await server.start();
    const [late, later] = [await replica(), await replica()];
    // Once they have found the one what the other kept, they know what is purged.
    const other = { tenant: 't', input: 2 };
    await eventually(async () => {
      await late.set(other, 'anew');
      expect(await later.get(other)).toEqual({ value: 'anew', source: 'memcached' });
    });
    expect(await later.get(request)).toBeUndefined();
  });

  test('without Redis gives nobody what another has kept, as nobody would hear of its purge', async () => {
    const [one, two] = [await replica('alone', false), await replica('alone', false)];
    await one.set(request, 'kept');
    await one.memory.clear();
    expect(await one.get(request)).toEqual({ value: 'kept', source: 'memcached' });
    expect(await two.get(request)).toBeUndefined();
  });
});
