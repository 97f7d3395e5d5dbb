import * as fc from 'fast-check';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createCache } from './cache.ts';
import { memoryTier } from './memory.ts';
import { prefetcher } from './prefetch.ts';

const later = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const cacheOf = (options: Partial<Parameters<typeof createCache<string>>[0]> = {}) =>
  createCache<string>({ name: 'c', kind: 'k', version: '1', tiers: [memoryTier()], ...options });

describe('a cache', () => {
  test('never answers a tenant with what was made for another, for any order of requests', async () => {
    const request = fc.record({
      tenant: fc.constantFrom('a', 'b', 'a/b', 'a%2Fb', '_'),
      input: fc.constantFrom('x', 'y', 'b/x'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 40 }), async (requests) => {
        const cache = cacheOf({ tiers: [memoryTier({ maxEntries: 4 })] });
        const answers = await Promise.all(
          requests.map((each) => cache.getOrMake(each, async () => `${each.tenant}|${each.input}`)),
        );
        expect(answers.map((answer) => answer.value)).toEqual(requests.map((each) => `${each.tenant}|${each.input}`));
      }),
    );
  });

  test('makes a value once for all who ask at the same time', async () => {
    const cache = cacheOf();
    let made = 0;
    const make = async () => {
      await later(5);
      return `made ${++made}`;
    };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => cache.getOrMake({ tenant: 't', input: 1 }, make)),
    );
    expect(new Set(answers.map((answer) => answer.value))).toEqual(new Set(['made 1']));
    expect(cache.stats()).toMatchObject({ requests: 20, hits: 0, joined: 19 });
    expect(await cache.getOrMake({ tenant: 't', input: 1 }, make)).toEqual({ value: 'made 1', source: 'memory' });
  });

  test('calls the work off when the last caller went away, not before', async () => {
    const cache = cacheOf();
    const callers = [new AbortController(), new AbortController()];
    let signal: AbortSignal | undefined;
    const work = (given: AbortSignal) => {
      signal = given;
      return new Promise<string>(() => undefined);
    };
    const results = Promise.allSettled(
      callers.map((caller) => cache.getOrMake({ tenant: 't', input: 1 }, work, { signal: caller.signal })),
    );
    await later(1);
    callers[0]?.abort();
    expect(signal?.aborted).toBe(false);
    callers[1]?.abort();
    expect(signal?.aborted).toBe(true);
    expect(await results).toMatchObject([{ reason: { code: 'CANCELLED' } }, { reason: { code: 'CANCELLED' } }]);
  });

  test('does not keep errors', async () => {
    const cache = cacheOf();
    await expect(
      cache.getOrMake({ tenant: 't', input: 1 }, async () => Promise.reject(new Error('once'))),
    ).rejects.toThrow('once');
    expect((await cache.getOrMake({ tenant: 't', input: 1 }, async () => 'well')).value).toBe('well');
  });

  test('does not see entries of another version, and forgets at the end of the time to live', async () => {
    let clock = 0;
    const tiers = [memoryTier({ now: () => clock })];
    const old = cacheOf({ tiers, now: () => clock, ttl: 100 });
    await old.set({ tenant: 't', input: 1 }, 'old');
    expect(await cacheOf({ tiers, version: '2', now: () => clock }).get({ tenant: 't', input: 1 })).toBeUndefined();
    clock = 99;
    expect((await old.get({ tenant: 't', input: 1 }))?.value).toBe('old');
    clock = 100;
    expect(await old.get({ tenant: 't', input: 1 })).toBeUndefined();
  });

  test('drops by tag, by tenant, and what was being made while its tag was invalidated', async () => {
    const cache = cacheOf();
    const at = (tenant: string, input: number) => ({ tenant, input });
    await cache.set(at('a', 1), 'tagged', { tags: ['bank-7'] });
    await cache.set(at('a', 2), 'untagged');
    await cache.set(at('b', 1), 'other tenant');
    await cache.invalidate(['bank-7']);
    expect([await cache.get(at('a', 1)), (await cache.get(at('a', 2)))?.value]).toEqual([undefined, 'untagged']);
    await cache.invalidateTenant('a');
    expect([await cache.get(at('a', 2)), (await cache.get(at('b', 1)))?.value]).toEqual([undefined, 'other tenant']);

    const making = cache.getOrMake(
      at('a', 3),
      async () => {
        await later(10);
        return 'from before';
      },
      { tags: ['bank-8'] },
    );
    await later(1);
    await cache.invalidate(['bank-8']);
    await making;
    expect(await cache.get(at('a', 3))).toBeUndefined();
  });

  test('cannot be made to drop a tenant by a tag of that spelling', async () => {
    const cache = cacheOf();
    await cache.set({ tenant: 'a', input: 1 }, 'stays');
    for (const tag of ['a', 'u:a', '*', 't:a']) await cache.invalidate([tag]);
    expect((await cache.get({ tenant: 'a', input: 1 }))?.value).toBe('stays');
  });

  test('promotes from a slower tier, and takes an entry that cannot be decoded for a miss', async () => {
    const fast = memoryTier();
    const slow = { ...memoryTier(), name: 'redis' as const };
    const cache = cacheOf({ tiers: [fast, slow] });
    await cache.set({ tenant: 't', input: 1 }, 'value');
    await fast.clear();
    expect((await cache.get({ tenant: 't', input: 1 }))?.source).toBe('redis');
    expect((await cache.get({ tenant: 't', input: 1 }))?.source).toBe('memory');
    const strict = cacheOf({
      tiers: [fast],
      codec: {
        encode: (text) => Buffer.from(text),
        decode: () => {
          throw new Error('not ours');
        },
      },
    });
    expect(await strict.get({ tenant: 't', input: 1 })).toBeUndefined();
  });

  test('warms what is missing only, and reports hits per tier as metrics', async () => {
    const registry = new Registry();
    const cache = cacheOf({ registry });
    const requests = Array.from({ length: 10 }, (_, input) => ({ tenant: 't', input }));
    await cache.set({ tenant: 't', input: 0 }, 'there');
    const made = await cache.warm(requests, async ({ input }) =>
      input === 5 ? Promise.reject(new Error('no')) : 'made',
    );
    expect(made).toBe(8);
    await cache.get({ tenant: 't', input: 3 });
    const page = await registry.metrics();
    expect(page).toContain('quintet_cache_requests_total{cache="c",source="memory"} 2');
    expect(page).toContain('quintet_cache_entries{cache="c",tier="memory"} 9');
  });
});

describe('predictive prefetch', () => {
  const setUp = (fetched: string[]) =>
    prefetcher<string>({
      name: 'p',
      keyOf: (request) => request,
      window: 20,
      horizon: 3,
      fetch: async (tenant, request) => fetched.push(`${tenant}:${request}`),
    });

  test('learns a sequence, fetches ahead, and reports its precision', async () => {
    const fetched: string[] = [];
    const prefetch = setUp(fetched);
    for (let round = 0; round < 12; round++) for (const page of ['a', 'b', 'c']) prefetch.observe('t', page);
    await prefetch.settled();
    expect(fetched).toContain('t:b');
    expect(prefetch.precision).toBe(1);
    expect(prefetch.active).toBe(true);
  });

  test('stops fetching while it is mostly wrong, goes on judging, and begins again when it is right', async () => {
    const fetched: string[] = [];
    const prefetch = setUp(fetched);
    const wrong = (sessions: number, name: string) => {
      for (let at = 0; at < sessions; at++)
        for (const page of ['a', 'b', 'a', 'b', 'a', 'x', 'y', 'z']) prefetch.observe(`${name}${at}`, page);
    };
    wrong(10, 'first');
    await prefetch.settled();
    expect(prefetch).toMatchObject({ precision: 0, active: false });
    const before = fetched.length;
    wrong(10, 'second');
    await prefetch.settled();
    expect(fetched.length).toBe(before);
    for (let round = 0; round < 20; round++) for (const page of ['p', 'q', 'r']) prefetch.observe('steady', page);
    await prefetch.settled();
    expect(prefetch).toMatchObject({ precision: 1, active: true });
    expect(fetched.length).toBeGreaterThan(before);
  });

  test('never predicts for one tenant from the habits of another', async () => {
    const fetched: string[] = [];
    const prefetch = setUp(fetched);
    for (let round = 0; round < 12; round++) for (const page of ['a', 'b', 'c']) prefetch.observe('one', page);
    prefetch.observe('two', 'a');
    await prefetch.settled();
    expect(fetched.filter((each) => each.startsWith('two'))).toEqual([]);
  });
});
