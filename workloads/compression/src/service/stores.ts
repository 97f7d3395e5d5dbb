// The stores that a service may have of its own beside the shared Redis: for originals, and for jobs.
import { connectRedis, type EngineContext, type RedisConnection } from '@quintet/runtime';
import { mountedUrl, type ServiceConfig } from './config.ts';
import type { OriginalStores } from './originals.ts';
import { postgresOriginals } from './postgres.ts';

export interface Stores {
  readonly originals: OriginalStores;
  readonly jobs: RedisConnection | undefined;
  /** First part of keys. */
  readonly prefix: string;
  /** Forgets what is past its retention, once in a while. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

const sweepMs = 60_000;

/** Throws when a Secret that the spec names cannot be read. */
export function openStores({ config, settings, redis, registry }: EngineContext<ServiceConfig>): Stores {
  const { resource } = settings;
  // Several services may name the same store: their keys and rows stay apart.
  const owner = resource && `${resource.namespace}/${resource.name}`;
  const prefix = owner ? `quintet:compression:${owner}` : 'quintet:compression';
  const own: RedisConnection[] = [];
  const redisOf = (url: string | undefined): RedisConnection | undefined => {
    if (url === undefined) return redis;
    const connection = connectRedis({ url });
    own.push(connection);
    return connection;
  };
  const postgresUrl = mountedUrl(config.originals.postgres, 'originals.postgres');
  const postgres = postgresUrl === undefined ? undefined : postgresOriginals(postgresUrl, registry, owner);
  const originals = { prefix, postgres, redis: redisOf(mountedUrl(config.originals.redis, 'originals.redis')) };
  const jobs = redisOf(mountedUrl(config.jobs.redis, 'jobs.redis'));
  let swept = Date.now();
  return {
    originals,
    jobs,
    prefix,
    async sweep() {
      if (!postgres || Date.now() - swept < sweepMs) return;
      swept = Date.now();
      await postgres.sweep();
    },
    async close() {
      await Promise.all([postgres?.close(), ...own.map((each) => each.close())]);
    },
  };
}
