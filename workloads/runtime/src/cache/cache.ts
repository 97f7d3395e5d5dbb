// The cache of an engine: tiers from fast to shared, one making of a value at a time, invalidation by tag, statistics per tier.
import { counter, gaugeOf, histogram, type Registry } from '../metrics.ts';
import { type Epochs, epochs, lenientPrefix } from './epochs.ts';
import { type CacheKey, cacheKey } from './key.ts';
import { singleFlight } from './singleFlight.ts';
import type { Entry, Tier, TierUsage } from './tier.ts';

/** How values become bytes. `decode` may throw: the entry then is a miss and is made again. */
export interface Codec<V> {
  encode: (value: V) => Buffer;
  decode: (bytes: Buffer) => V;
}

export const jsonCodec = <V>(): Codec<V> => ({
  encode: (value) => Buffer.from(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(bytes.toString('utf8')) as V,
});
/** For values that are bytes already, such as bodies of answers. Readers must not write into them. */
export const bytesCodec: Codec<Buffer> = { encode: (value) => value, decode: (bytes) => bytes };

export interface CacheOptions<V> {
  name: string;
  /** What kind of value, such as `compress`; part of every key. */
  kind: string;
  /** Part of every key: another version never sees these entries. Take in the digest of the model. */
  version: string;
  /** From the fastest to the slowest; each may be shared by several caches. */
  tiers: readonly Tier[];
  /** Milliseconds that an entry lives; 3 600 000 when left out. */
  ttl?: number;
  /** JSON when left out. */
  codec?: Codec<V>;
  /** Own epochs, not shared and not kept, when left out. */
  epochs?: Epochs;
  registry?: Registry;
  now?: () => number;
}

/** What an answer depends on. */
export interface CacheRequest {
  tenant: string;
  input: unknown;
}

export interface MakeOptions {
  /**
   * Purge keys of the entry, of 1 to 256 characters. With Redis configured but away, tagged entries are not served:
   * another replica may have purged them. Entries without tags are.
   */
  tags?: readonly string[];
  ttl?: number;
  /** Of the caller; the work is called off when all who wait for it went away. */
  signal?: AbortSignal;
}

export type Source = 'miss' | Tier['name'];

export interface Cache<V> {
  /** The kept value, or the one that `make` makes; `source` tells which. An error of `make` is thrown and not kept. */
  getOrMake: (
    request: CacheRequest,
    make: (signal: AbortSignal) => Promise<V>,
    options?: MakeOptions,
  ) => Promise<{ value: V; source: Source }>;
  get: (request: CacheRequest) => Promise<{ value: V; source: Source } | undefined>;
  set: (request: CacheRequest, value: V, options?: MakeOptions & { cost?: number }) => Promise<void>;
  delete: (request: CacheRequest) => Promise<void>;
  /** Makes stale what carries one of the tags, on every tier and replica. */
  invalidate: (tags: readonly string[]) => Promise<void>;
  /** Makes stale everything of a tenant, on every tier and replica. */
  invalidateTenant: (tenant: string) => Promise<void>;
  /** Makes what is missing, `concurrency` at a time; returns how many were made. A failure is skipped. */
  warm: (
    requests: Iterable<CacheRequest>,
    make: (request: CacheRequest) => Promise<V>,
    options?: { concurrency?: number },
  ) => Promise<number>;
  /** Empties what this process holds (memory and disk). */
  clear: () => Promise<void>;
  stats: () => CacheStats;
  close: () => Promise<void>;
}

export interface TierStats {
  hits: number;
  misses: number;
  /** Undefined for tiers that others use too. */
  usage: TierUsage | undefined;
}

export interface CacheStats {
  requests: number;
  hits: number;
  /** 0…1; 0 before the first request. */
  hitRate: number;
  /** Requests that joined work which another had begun. */
  joined: number;
  stale: number;
  tiers: Partial<Record<Tier['name'], TierStats>>;
}

const hour = 3_600_000;

/** Tags are kept apart from tenants, so that no tag can be mistaken for one. */
const tagOf = (tag: string) => {
  if (tag === '' || tag.length > 256) throw new RangeError('a tag has 1 to 256 characters');
  return `t:${tag}`;
};
const tenantTag = (tenant: string) => `${lenientPrefix}${tenant}`;

export function createCache<V>(options: CacheOptions<V>): Cache<V> {
  const { tiers, kind, version, ttl = hour } = options;
  const codec = options.codec ?? jsonCodec<V>();
  const tagEpochs = options.epochs ?? epochs({ namespace: options.name });
  const now = options.now ?? Date.now;
  const flights = singleFlight<V>();
  const stats = recorder(options.name, tiers, options.registry);
  const keyOf = ({ tenant, input }: CacheRequest) => cacheKey({ tenant, kind, version, input });
  const tagsOf = (request: CacheRequest, tags: readonly string[] = []) => [
    tenantTag(request.tenant),
    ...tags.map(tagOf),
  ];

  const lookUp = async (key: CacheKey): Promise<{ value: V; source: Source } | undefined> => {
    for (const [at, tier] of tiers.entries()) {
      const started = performance.now();
      // A memory hit stays synchronous: no turn of the event loop under load.
      const looked = tier.get(key);
      const entry = looked instanceof Promise ? await looked : looked;
      const fresh = entry !== undefined && isFresh(entry);
      stats.tier(tier.name, fresh, started);
      if (!fresh) {
        if (entry) stats.stale(tier.name);
        continue;
      }
      const decoded = decode(codec, entry);
      if (!decoded) {
        await tier.delete(key);
        continue;
      }
      for (const faster of tiers.slice(0, at)) void faster.set(key, entry);
      return { value: decoded.value, source: tier.name };
    }
    return undefined;
  };
  const isFresh = (entry: Entry) => entry.expiresAt > now() && tagEpochs.isFresh(entry.tags);

  const keep = async (
    key: CacheKey,
    value: V,
    cost: number,
    tags: Readonly<Record<string, string>> | undefined,
    life: number,
  ) => {
    if (!tags) return;
    const entry: Entry = { value: codec.encode(value), expiresAt: now() + life, cost: Math.max(cost, 0), tags };
    await Promise.all(tiers.map(async (tier) => tier.set(key, entry)));
  };

  const get: Cache<V>['get'] = async (request) => {
    const found = await lookUp(keyOf(request));
    stats.request(found?.source ?? 'miss');
    return found;
  };

  const getOrMake: Cache<V>['getOrMake'] = async (request, make, more = {}) => {
    const key = keyOf(request);
    const found = await lookUp(key);
    stats.request(found?.source ?? 'miss');
    if (found) return found;
    const flying = flights.size;
    const value = flights.run(
      key,
      async (signal) => {
        // Taken before the work: what is invalidated while it runs is not to be kept as fresh.
        const current = tagEpochs.current(tagsOf(request, more.tags));
        const started = performance.now();
        const made = await make(signal);
        // The answer does not wait for slow tiers, but the flight stays up until memory has it.
        void keep(key, made, performance.now() - started, current, more.ttl ?? ttl).catch(() => undefined);
        return made;
      },
      more.signal,
    );
    if (flights.size === flying) stats.joined();
    return { value: await value, source: 'miss' };
  };

  return {
    get,
    getOrMake,
    set: (request, value, more = {}) =>
      keep(keyOf(request), value, more.cost ?? 1, tagEpochs.current(tagsOf(request, more.tags)), more.ttl ?? ttl),
    delete: async (request) => {
      const key = keyOf(request);
      await Promise.all(tiers.map(async (tier) => tier.delete(key)));
    },
    invalidate: (tags) => tagEpochs.invalidate(tags.map(tagOf)),
    invalidateTenant: (tenant) => tagEpochs.invalidate([tenantTag(tenant)]),
    warm: async (requests, make, { concurrency = 2 } = {}) => {
      const waiting = requests[Symbol.iterator]();
      let made = 0;
      const worker = async () => {
        for (let next = waiting.next(); !next.done; next = waiting.next()) {
          const request = next.value;
          const result = await getOrMake(request, () => make(request)).catch(() => undefined);
          if (result?.source === 'miss') made += 1;
        }
      };
      await Promise.all(Array.from({ length: concurrency }, worker));
      return made;
    },
    clear: async () => {
      await Promise.all(tiers.map(async (tier) => tier.clear()));
    },
    stats: stats.read,
    close: async () => {
      if (!options.epochs) await tagEpochs.close();
      await Promise.all(tiers.map(async (tier) => tier.close()));
    },
  };
}

function decode<V>(codec: Codec<V>, entry: Entry): { value: V } | undefined {
  try {
    return { value: codec.decode(entry.value) };
  } catch {
    return undefined;
  }
}

function recorder(cache: string, tiers: readonly Tier[], registry: Registry | undefined) {
  const counts = new Map(tiers.map((tier) => [tier.name, { hits: 0, misses: 0 }]));
  const totals = { requests: 0, hits: 0, joined: 0, stale: 0 };
  const requests =
    registry &&
    counter(registry, 'quintet_cache_requests_total', 'Requests to a cache by the tier that answered, or miss.', [
      'cache',
      'source',
    ]);
  const lookups =
    registry &&
    counter(registry, 'quintet_cache_lookups_total', 'Lookups in a tier by result.', ['cache', 'tier', 'result']);
  const seconds =
    registry &&
    histogram(
      registry,
      'quintet_cache_lookup_seconds',
      'Duration of lookups in a tier.',
      ['cache', 'tier'],
      [0.0001, 0.001, 0.005, 0.01, 0.05, 0.25],
    );
  const joined =
    registry &&
    counter(registry, 'quintet_cache_joined_total', 'Requests that joined work already under way.', ['cache']);
  if (registry) usageGauges(cache, tiers, registry);
  return {
    request: (source: Source) => {
      totals.requests += 1;
      if (source !== 'miss') totals.hits += 1;
      requests?.inc({ cache, source });
    },
    tier: (tier: Tier['name'], hit: boolean, started: number) => {
      const count = counts.get(tier);
      if (count) count[hit ? 'hits' : 'misses'] += 1;
      lookups?.inc({ cache, tier, result: hit ? 'hit' : 'miss' });
      seconds?.observe({ cache, tier }, (performance.now() - started) / 1000);
    },
    stale: (tier: Tier['name']) => {
      totals.stale += 1;
      lookups?.inc({ cache, tier, result: 'stale' });
    },
    joined: () => {
      totals.joined += 1;
      joined?.inc({ cache });
    },
    read: (): CacheStats => ({
      ...totals,
      hitRate: totals.requests === 0 ? 0 : totals.hits / totals.requests,
      tiers: Object.fromEntries(
        tiers.map((tier) => [tier.name, { hits: 0, misses: 0, ...counts.get(tier.name), usage: tier.usage() }]),
      ),
    }),
  };
}

function usageGauges(cache: string, tiers: readonly Tier[], registry: Registry): void {
  const add = (name: string, help: string, figure: keyof TierUsage) =>
    gaugeOf(registry, name, help, ['cache', 'tier'], () =>
      tiers.flatMap((tier) => {
        const usage = tier.usage();
        return usage ? [[{ cache, tier: tier.name }, usage[figure]]] : [];
      }),
    );
  add('quintet_cache_entries', 'Entries in a tier of this process.', 'entries');
  add('quintet_cache_bytes', 'Bytes in a tier of this process.', 'bytes');
  add('quintet_cache_evictions', 'Entries given up for lack of room since the start.', 'evictions');
}
