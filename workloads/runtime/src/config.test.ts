import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compressionService } from '@quintet/crds';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openConfig } from './config.ts';
import { bytes, duration, settingsSchema } from './settings.ts';

const schema = z.object({
  cache: z.object({ maxEntries: z.int().default(1), ttl: duration().prefault('1h') }).prefault({}),
  size: bytes().prefault('1Ki'),
  names: z.array(z.string()).default([]),
});

let directory: string;
const file = () => join(directory, 'config.json');
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-config-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('configuration', () => {
  test('comes from defaults, then the file, then the environment', async () => {
    await writeFile(file(), JSON.stringify({ cache: { maxEntries: 2, ttl: '5m' }, size: '2Mi' }));
    const env = {
      QUINTET_CONFIG__CACHE__MAX_ENTRIES: '3',
      QUINTET_CONFIG__NAMES: '["a","b"]',
      QUINTET_CONFIGURE: 'no',
      QUINTET_PORT: 'tcp://10.0.0.1:80',
    };
    const config = await openConfig({ schema, file: file(), env });
    expect(config.current).toEqual({ cache: { maxEntries: 3, ttl: 300_000 }, size: 2 << 20, names: ['a', 'b'] });
    config.close();
    expect((await openConfig({ schema, file: join(directory, 'absent'), env: {} })).current.size).toBe(1024);
  });

  test.each([
    ['text that is no JSON', '{', 'the document', 'not JSON'],
    ['a list', '[]', 'the document', 'not an object'],
    ['a wrong type', '{"cache":{"maxEntries":"many"}}', 'cache.maxEntries', 'expected'],
    ['a quantity without its unit', '{"cache":{"ttl":"5"}}', 'cache.ttl', '"5" is not a duration'],
    ['a size that is none', '{"size":"big"}', 'size', '"big" is not'],
  ])('is refused with its field and reason: %s', async (_what, text, field, reason) => {
    await writeFile(file(), text);
    const opening = openConfig({ schema, file: file(), env: {} });
    await expect(opening).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      field,
      message: expect.stringContaining(reason),
      fix: expect.stringContaining(file()),
    });
  });

  test('is reloaded as a whole or not at all', async () => {
    await writeFile(file(), '{}');
    const seen: (readonly string[])[] = [];
    const refused: unknown[] = [];
    const config = await openConfig({
      schema,
      file: file(),
      env: {},
      reloadable: ['cache'],
      interval: 60_000,
      onReload: (next, changed) => {
        if (next.cache.maxEntries === 13) throw new Error('the engine will not');
        seen.push(changed);
      },
      onRefused: (error) => refused.push(error),
    });
    const change = async (document: object) => {
      await writeFile(file(), JSON.stringify(document));
      await config.check();
      return config.current.cache.maxEntries;
    };
    expect(await change({ cache: { maxEntries: 5, ttl: '2h' } })).toBe(5);
    expect(seen).toEqual([['cache.maxEntries', 'cache.ttl']]);
    expect(await change({ cache: { maxEntries: 6 }, size: '2Ki' })).toBe(5);
    expect(config.restartNeeded).toEqual(['size']);
    expect(await change({ cache: { maxEntries: 13 } })).toBe(5);
    expect(await change({ cache: { maxEntries: 'x' } })).toBe(5);
    expect(refused.length).toBe(3);
    expect(await change({ cache: { maxEntries: 7 } })).toBe(7);
    config.close();
  });

  test('of every engine has defaults that can be used as they are', () => {
    const settings = settingsSchema.parse({});
    expect(settings).toMatchObject({
      server: { port: 8080, headerLimit: 16_384, requestTimeout: 30_000, drainTimeout: 22_000, trustProxy: false },
      rateLimits: { maxConcurrent: 1000, maxBodySize: 1 << 20 },
      cache: { ttl: 3_600_000, memory: { maxSize: 256 << 20 } },
    });
  });

  test('reads the spec of a custom resource, with defaults below it', async () => {
    const resource = { apiVersion: 'quintet.dev/v1alpha1', kind: 'X', metadata: { name: 'x' }, spec: { size: '3Ki' } };
    await writeFile(file(), JSON.stringify(resource));
    const config = await openConfig({
      schema,
      file: file(),
      env: {},
      defaults: { size: '9Ki', cache: { maxEntries: 4 } },
    });
    expect(config.current).toMatchObject({ size: 3072, cache: { maxEntries: 4 } });
    config.close();
  });

  test('understands the blocks of the service kinds as they are spelled in their specs', () => {
    const spec = {
      cache: {
        memory: { maxEntries: 50, maxSize: '1Mi' },
        disk: { maxSize: '2Gi' },
        redis: { secretRef: { name: 'redis' } },
        ttl: '30m',
        encryption: { secretRef: { name: 'key' } },
      },
      auth: { secretRef: { name: 'tokens' } },
      cors: { origins: ['https://app.example'] },
      rateLimits: { perClient: { requests: 100 }, maxConcurrent: 50, maxBodySize: '4Mi' },
      tenants: [{ name: 'news', requestsPerMinute: 6000, tokensPerDay: 2_000_000_000 }],
    };
    expect(settingsSchema.parse(compressionService.spec.parse(spec))).toMatchObject({
      cache: {
        memory: { maxSize: 1 << 20 },
        disk: { maxSize: 2 * 2 ** 30 },
        redis: { directory: '/etc/quintet/refs/cache.redis.secretRef' },
        ttl: 1_800_000,
      },
      auth: { directory: '/etc/quintet/refs/auth.secretRef' },
      rateLimits: {
        perClient: { requests: 100, window: 60_000, blockFor: 300_000 },
        maxConcurrent: 50,
        maxBodySize: 4 << 20,
      },
      tenants: [{ name: 'news', requestsPerMinute: 6000, tokensPerDay: 2_000_000_000, weight: 1 }],
    });
  });
});
