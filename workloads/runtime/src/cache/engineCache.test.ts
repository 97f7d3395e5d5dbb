import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { settingsSchema } from '../settings.ts';
import { startMemcached } from '../testing/index.ts';
import { engineCache } from './engineCache.ts';

// Disk, processes and sockets of a busy machine are slow; nothing here asserts a time.
vi.setConfig({ testTimeout: 60_000 });

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

test('Memcached holds the shared entries where it is named, those of each resource apart', async () => {
  const server = await startMemcached();
  const replica = async (name: string) => {
    const memcached = { servers: [`127.0.0.1:${server.port}`] };
    const settings = settingsSchema.parse({ cache: { memcached }, resource: { namespace: 'a', name } });
    return await engineCache<string>({ name: 'engine', kind: 'k', version: '1', settings });
  };
  const [one, two, other] = await Promise.all(['news', 'news', 'sport'].map(replica));
  await one?.set({ tenant: 't', input: 1 }, 'kept');
  expect(await two?.get({ tenant: 't', input: 1 })).toEqual({ value: 'kept', source: 'memcached' });
  expect(await other?.get({ tenant: 't', input: 1 })).toBeUndefined();
  await Promise.all([one, two, other].map(async (cache) => cache?.close()));
  await server.stop();
});
