// Third tier, shared by replicas: Redis or Memcached. Away, slow or damaged means: no entry.
import { createHash } from 'node:crypto';
import { Memcache } from 'memcache';
import type { Registry } from '../metrics.ts';
import type { RedisConnection } from '../redis.ts';
import { dependency } from '../resilience.ts';
import { type FrameOptions, frame } from './frame.ts';
import type { CacheKey } from './key.ts';
import type { Tier } from './tier.ts';

export interface RedisTierOptions extends FrameOptions {
  redis: RedisConnection;
  /** First part of every key in Redis; the engine's name. */
  namespace: string;
  now?: () => number;
}

export function redisTier(options: RedisTierOptions): Tier {
  const { redis, namespace } = options;
  const now = options.now ?? Date.now;
  const { seal, open } = frame(options);
  const nameOf = (key: CacheKey) => `q:cache:${namespace}:${key}`;
  return {
    name: 'redis',
    get: async (key) => {
      const bytes = await redis.callOr((client) => client.getBuffer(nameOf(key)), null);
      const entry = bytes && (await open(key, bytes));
      return entry && entry.expiresAt > now() ? entry : undefined;
    },
    set: async (key, entry) => {
      const left = Math.floor(entry.expiresAt - now());
      const bytes = left > 0 ? await seal(key, entry) : undefined;
      if (bytes) await redis.callOr((client) => client.set(nameOf(key), bytes, 'PX', left), null);
    },
    delete: async (key) => {
      await redis.callOr((client) => client.unlink(nameOf(key)), 0);
    },
    clear: () => undefined,
    usage: () => undefined,
    close: () => undefined,
  };
}

export interface MemcachedTierOptions extends FrameOptions {
  /** `host:port` of each server; keys are spread over them by consistent hashing. */
  servers: string[];
  namespace: string;
  /** Part of every key; while it is undefined the tier has nothing and takes nothing. */
  generation?: () => string | undefined;
  /** Milliseconds for one command; 250 when left out. */
  timeout?: number;
  registry?: Registry;
  now?: () => number;
}

/** Memcached's own limit, one MiB with its item header; base64 makes four bytes of three. */
const memcachedLimit = 1_000_000;

export function memcachedTier(options: MemcachedTierOptions): Tier {
  const now = options.now ?? Date.now;
  const { seal, open } = frame(options);
  const timeout = options.timeout ?? 250;
  const client = new Memcache({ nodes: options.servers, timeout });
  client.on('error', () => undefined);
  const guarded = dependency('memcached', {
    timeout: timeout * 2,
    retries: 0,
    openFor: 1000,
    ...(options.registry ? { registry: options.registry } : {}),
  });
  // Keys of Memcached have at most 250 characters; the frame holds the full key against collisions.
  const generation = options.generation ?? (() => '');
  const nameOf = (key: CacheKey) => {
    const of = generation();
    if (of === undefined) return undefined;
    return `q:${createHash('sha256').update(`${options.namespace}:${of}:${key}`).digest('base64url')}`;
  };
  return {
    name: 'memcached',
    get: async (key) => {
      const name = nameOf(key);
      const text = name && (await guarded.callOr(() => client.get(name), undefined));
      const entry = text ? await open(key, Buffer.from(text, 'base64')) : undefined;
      return entry && entry.expiresAt > now() ? entry : undefined;
    },
    set: async (key, entry) => {
      const name = nameOf(key);
      const seconds = Math.floor((entry.expiresAt - now()) / 1000);
      const text = name && seconds > 0 ? (await seal(key, entry))?.toString('base64') : undefined;
      // Beyond 30 days Memcached would read the number as a date.
      if (name && text && text.length < memcachedLimit)
        await guarded.callOr(() => client.set(name, text, Math.min(seconds, 2_592_000)), false);
    },
    delete: async (key) => {
      const name = nameOf(key);
      if (name) await guarded.callOr(() => client.delete(name), false);
    },
    clear: () => undefined,
    usage: () => undefined,
    close: () => client.disconnect(),
  };
}
