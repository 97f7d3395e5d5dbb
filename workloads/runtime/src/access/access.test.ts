import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectRedis, type RedisConnection } from '../redis.ts';
import { eventually, startRedis, type TestRedis } from '../testing/index.ts';
import { tenantQuotas } from './quota.ts';
import { rateLimiter } from './rateLimit.ts';
import { tokenDirectory } from './tokens.ts';

describe('tokens of a mounted Secret', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'quintet-tokens-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  /** Writes as the kubelet does: a new folder, and a symlink swapped to it. */
  let generation = 0;
  const mount = async (files: Record<string, string>) => {
    const folder = `..${++generation}`;
    await mkdir(join(root, folder));
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(root, folder, name), content);
      await symlink(`..data/${name}`, join(root, name)).catch(() => undefined);
    }
    await symlink(folder, join(root, '..next'));
    await rename(join(root, '..next'), join(root, '..data'));
  };
  const bearer = (token: string) => `Bearer ${token}`;

  test('tell whose they are, and nothing for any other', async () => {
    await mount({
      news: 'news-0123456789abcdef\nnews-second-0123456789\n',
      _admin: '# rotated weekly\nadmin-0123456789abcd',
    });
    const tokens = await tokenDirectory(root);
    expect(tokens.identify(bearer('news-0123456789abcdef'))).toMatchObject({ tenant: 'news', admin: false });
    expect(tokens.identify(bearer('news-second-0123456789'))).toMatchObject({ tenant: 'news' });
    expect(tokens.identify(bearer('admin-0123456789abcd'))).toMatchObject({ tenant: '_admin', admin: true });
    expect(tokens.identify(undefined)).toBeUndefined();
    expect(tokens.identify(bearer('# rotated weekly'))).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => tokens.identify(text) === undefined));
    fc.assert(fc.property(fc.string({ maxLength: 30 }), (text) => tokens.identify(bearer(text)) === undefined));
    tokens.close();
  });

  test('are taken over when the Secret changes; a faulty change leaves the last good ones', async () => {
    const errors: unknown[] = [];
    await mount({ news: 'news-0123456789abcdef' });
    const tokens = await tokenDirectory(root, { interval: 60_000, onError: (error) => errors.push(error) });
    await mount({ news: 'other-0123456789abcde' });
    await tokens.check();
    expect(tokens.identify(bearer('news-0123456789abcdef'))).toBeUndefined();
    expect(tokens.identify(bearer('other-0123456789abcde'))).toMatchObject({ tenant: 'news' });
    await mount({ news: 'short' });
    await tokens.check();
    expect(tokens.identify(bearer('other-0123456789abcde'))).toMatchObject({ tenant: 'news' });
    expect(errors).toMatchObject([{ message: expect.stringContaining('shorter than 16') }]);
    tokens.close();
  });

  test.each<[string, Record<string, string>, string]>([
    ['there is none', {}, 'holds no token'],
    ['one belongs to two tenants', { a: 'same-0123456789abcdef', b: 'same-0123456789abcdef' }, 'another tenant'],
    [
      'some are short, which are named all at once',
      { alice: 'tok-a', bob: 'long-0123456789abcdef\ntok-b', carol: 'long-9876543210fedcba', _admin: 'tok-admin' },
      'shorter than 16 characters: of _admin, alice, bob; replace them in /',
    ],
    ['a tenant has an impossible name', { 'A B': 'token-0123456789abcdef' }, 'not the name of a tenant'],
  ])('are refused at the start when %s', async (_what, files, message) => {
    await mount(files);
    await expect(tokenDirectory(root)).rejects.toThrow(message);
  });

  test('that are short are told with the field of the Secret, wherever in a spec that is', async () => {
    const field = join(root, 'promotion.serving.auth.secretRef');
    await mkdir(field);
    await writeFile(join(field, 'shop'), 'short');
    await expect(tokenDirectory(field)).rejects.toThrow(
      'replace them in the Secret of spec.promotion.serving.auth.secretRef by longer ones',
    );
  });
});

describe('a rate limit', () => {
  test('lets through exactly its number in a window, blocks who goes on, and forgives after the block', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 0, max: 30 }), async (requests, extra) => {
        let clock = 0;
        const limiter = rateLimiter({ name: 'l', requests, window: 1000, blockFor: 5000, now: () => clock });
        const decisions = [];
        for (let at = 0; at < requests + extra; at++) decisions.push((await limiter.consume('client')).allowed);
        expect(decisions.filter(Boolean).length).toBe(requests);
        expect((await limiter.consume('other')).allowed).toBe(true);
        clock = 1500;
        expect((await limiter.consume('client')).allowed).toBe(extra === 0);
        clock = 7000;
        expect((await limiter.consume('client')).allowed).toBe(true);
      }),
    );
  });

  test('says when to come back', async () => {
    const limiter = rateLimiter({ name: 'l', requests: 1, window: 10_000, now: () => 0 });
    await limiter.enforce('client');
    await expect(limiter.enforce('client')).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      status: 429,
      retryAfter: 10,
    });
  });

  test('remembers a bounded number of clients', async () => {
    const limiter = rateLimiter({ name: 'l', requests: 1, window: 1000, maxClients: 10 });
    for (let at = 0; at < 1000; at++) expect((await limiter.consume(`client ${at}`)).allowed).toBe(true);
    expect((await limiter.consume('client 999')).allowed).toBe(false);
  });
});

describe('a quota', () => {
  test('is never exceeded by reservations, and counts what was really used', async () => {
    const reservation = fc.record({ ask: fc.nat(40), use: fc.nat(40) });
    await fc.assert(
      fc.asyncProperty(fc.array(reservation, { maxLength: 30 }), async (reservations) => {
        const quotas = tenantQuotas({ name: 'q', limits: { t: { unitsPerDay: 100 } }, now: () => 0 });
        let used = 0;
        for (const { ask, use } of reservations) {
          const reserved = await quotas.reserve('t', ask).catch(() => undefined);
          expect(reserved !== undefined).toBe(ask === 0 || used + ask <= 100);
          await reserved?.settle(Math.min(use, ask));
          await reserved?.settle(1000);
          used += reserved ? Math.min(use, ask) : 0;
          expect(await quotas.used('t')).toBe(used);
        }
      }),
    );
  });

  test('says what is left of it and what was asked for, and lets what fits pass', async () => {
    const quotas = tenantQuotas({ name: 'q', limits: { t: { unitsPerDay: 60 } }, now: () => 0 });
    await quotas.reserve('t', 32);
    await expect(quotas.reserve('t', 33)).rejects.toThrow(
      'Tenant t has 28 of its 60 units per day left, and this asks for 33.',
    );
    await expect(quotas.reserve('t', 28)).resolves.toBeDefined();
  });

  test('is of one tenant and one day, and is unlimited where none was set', async () => {
    let clock = 0;
    const quotas = tenantQuotas({
      name: 'q',
      limits: { t: { unitsPerDay: 10, requestsPerMinute: 1 } },
      now: () => clock,
    });
    await quotas.reserve('t', 10);
    await expect(quotas.reserve('t', 1)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', retryAfter: 86_400 });
    await quotas.reserve('constructor', 1e9);
    await quotas.request('t');
    await expect(quotas.request('t')).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', status: 429, retryAfter: 60 });
    clock = 86_400_000;
    await quotas.request('t');
    await quotas.reserve('t', 10);
  });
});

describe('limits of replicas that share a Redis', () => {
  let server: TestRedis;
  const replicas: RedisConnection[] = [];
  beforeAll(async () => {
    server = await startRedis();
    replicas.push(connectRedis({ url: server.url }), connectRedis({ url: server.url }));
    await eventually(() => {
      if (!replicas.every((redis) => redis.connected)) throw new Error('not connected to Redis');
    });
  }, 180_000);
  afterAll(async () => {
    for (const redis of replicas) await redis.close();
    await server.stop();
  });

  test('are kept together, and go on in each replica while Redis is away', async () => {
    const limiters = replicas.map((redis) =>
      rateLimiter({ name: 'shared', requests: 10, window: 60_000, blockFor: 60_000, redis }),
    );
    const quotas = replicas.map((redis) =>
      tenantQuotas({ name: 'shared', limits: { t: { unitsPerDay: 100 } }, redis }),
    );
    const askAll = async (client: string) => {
      const decisions = await Promise.all(
        Array.from({ length: 30 }, async (_, at) => limiters[at % 2]?.consume(client)),
      );
      return decisions.filter((decision) => decision?.allowed).length;
    };
    expect(await askAll('a')).toBe(10);
    const reserve = async () =>
      (await Promise.allSettled(Array.from({ length: 30 }, async (_, at) => quotas[at % 2]?.reserve('t', 10)))).filter(
        (each) => each.status === 'fulfilled',
      ).length;
    expect(await reserve()).toBe(10);

    await server.kill();
    await eventually(() => expect(replicas.some((redis) => redis.connected)).toBe(false));
    expect(await askAll('a')).toBe(0);
    expect(await reserve()).toBe(0);
    const alone = await askAll('b');
    expect(alone).toBeGreaterThanOrEqual(10);
    expect(alone).toBeLessThanOrEqual(20);

    await server.start();
    await eventually(() => expect(replicas.every((redis) => redis.connected)).toBe(true));
    await eventually(async () => expect((await limiters[0]?.consume(`probe ${Math.random()}`))?.remaining).toBe(9));
    expect(await askAll('c')).toBe(10);
  }, 60_000);

  test('that are strict are refused while Redis is away, and never given out twice', async () => {
    const limits = { t: { unitsPerDay: 100 } };
    const quotas = replicas.map((redis) => tenantQuotas({ name: 'strict', limits, redis, strict: true }));
    const [first] = quotas;
    const held = await first?.reserve('t', 60);
    await server.kill();
    await eventually(() => expect(replicas.some((redis) => redis.connected)).toBe(false));
    await expect(first?.reserve('t', 10)).rejects.toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' });
    await expect(first?.reserve('unlimited', 10)).resolves.toBeDefined();
    // More than was reserved, told to nobody: it counts once Redis is back, though that has forgotten all.
    await held?.settle(85);

    await server.start();
    await eventually(() => expect(replicas.every((redis) => redis.connected)).toBe(true));
    await eventually(async () => expect(await first?.reserve('t', 10)).toBeDefined());
    await expect(first?.reserve('t', 10)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    expect(await first?.used('t')).toBe(95);
  }, 60_000);

  test('that are strict give back what a dead replica had reserved and not used, and keep what a living one has', async () => {
    const limits = { t: { unitsPerDay: 100 } };
    const doomed = connectRedis({ url: server.url });
    await eventually(() => expect(doomed.connected).toBe(true));
    const [living, dead] = [replicas[0] as RedisConnection, doomed].map((redis) =>
      tenantQuotas({ name: 'leased', limits, redis, strict: true, lease: 300 }),
    );
    await dead?.reserve('t', 50, () => 20);
    const kept = await living?.reserve('t', 30, () => 1);
    await expect(living?.reserve('t', 40)).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      details: { left: 20, asked: 40, limit: 100 },
    });
    // It has told of the 20 by now.
    await eventually(async () => expect(await doomed.call((redis) => redis.keys('q:held:leased:*'))).toHaveLength(1));
    const [key = ''] = await doomed.call((redis) => redis.keys('q:held:leased:*'));
    await eventually(async () => {
      expect(Object.values(await doomed.call((redis) => redis.hgetall(key))).join(',')).toMatch(/50 20 /);
    });
    await doomed.close();
    const taken = await eventually(async () => living?.reserve('t', 40));
    expect(await living?.used('t')).toBe(20 + 30 + 40);
    await kept?.settle(30);
    await taken?.settle(0);
    expect(await living?.used('t')).toBe(50);
  }, 60_000);

  test('hold in a month of UTC, beside those of a day', async () => {
    let now = Date.UTC(2026, 0, 31, 12);
    const limits = { t: { unitsPerDay: 60, unitsPerMonth: 100 } };
    for (const shared of [{}, { redis: replicas[0] as RedisConnection, strict: true }]) {
      now = Date.UTC(2026, 0, 30, 12);
      const quotas = tenantQuotas({ name: 'monthly', limits, now: () => now, ...shared });
      await (await quotas.reserve('t', 60)).settle(60);
      await expect(quotas.reserve('t', 1)).rejects.toMatchObject({
        details: { quota: 'units per day', retryAfter: 43_200 },
      });
      now = Date.UTC(2026, 0, 31, 12);
      await expect(quotas.reserve('t', 41)).rejects.toMatchObject({
        details: { quota: 'units per month', retryAfter: 43_200 },
      });
      // What the month refused is not taken from the day.
      await (await quotas.reserve('t', 40)).settle(40);
      now = Date.UTC(2026, 1, 1);
      await expect(quotas.reserve('t', 60)).resolves.toBeDefined();
    }
  }, 60_000);
});
