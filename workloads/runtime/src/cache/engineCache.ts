// The cache that an engine's settings ask for: memory, then disk if one is given, then Memcached or Redis if there is one. Purges reach all
// replicas through Redis: a Memcached holds nothing from before a purge that nobody remembers.
import { join } from 'node:path';
import type { Registry } from '../metrics.ts';
import type { RedisConnection } from '../redis.ts';
import { encryptionKeys, redisPrefix, type Settings } from '../settings.ts';
import { type Cache, type CacheOptions, createCache } from './cache.ts';
import { diskTier } from './disk.ts';
import { epochs } from './epochs.ts';
import { type MemoryTier, memoryTier } from './memory.ts';
import { memcachedTier, redisTier } from './shared.ts';
import type { Tier } from './tier.ts';

export interface EngineCacheOptions<V> extends Pick<CacheOptions<V>, 'name' | 'kind' | 'version' | 'codec'> {
  /** As the context of `runEngine` has them. */
  settings: Settings;
  redis?: RedisConnection | undefined;
  registry?: Registry | undefined;
}

/** With `memory`, for healing to shrink and grow it. Throws when the disk's folder or the encryption key cannot be used. */
export async function engineCache<V>(
  options: EngineCacheOptions<V>,
): Promise<Cache<V> & { readonly memory: MemoryTier }> {
  const { name, redis, registry, settings } = options;
  const { memory: bounds, disk, memcached, ttl, compression } = settings.cache;
  const format = {
    compression: compression === 'Enabled' ? ('zstd' as const) : ('none' as const),
    encryptionKeys: encryptionKeys(settings),
  };
  const memory = memoryTier({ maxEntries: bounds.maxEntries, maxBytes: bounds.maxSize });
  const tiers: Tier[] = [memory];
  const directory = disk && join(disk.directory, name);
  if (disk && directory !== undefined) tiers.push(await diskTier({ directory, maxBytes: disk.maxSize, ...format }));
  const purges = epochs({
    namespace: name,
    ...(redis ? { redis } : {}),
    ...(directory === undefined ? {} : { file: join(directory, 'epochs.json') }),
  });
  if (memcached) {
    const namespace = `${redisPrefix(name, settings).keyPrefix ?? ''}${name}`;
    tiers.push(
      memcachedTier({
        ...memcached,
        namespace,
        generation: purges.generation,
        ...format,
        ...(registry && { registry }),
      }),
    );
  } else if (redis) tiers.push(redisTier({ redis, namespace: name, ...format }));
  const cache = createCache<V>({
    name,
    kind: options.kind,
    version: options.version,
    tiers,
    ttl,
    epochs: purges,
    ...(options.codec ? { codec: options.codec } : {}),
    ...(registry ? { registry } : {}),
  });
  const close = async () => {
    await purges.close();
    await cache.close();
  };
  return { ...cache, memory, close };
}
