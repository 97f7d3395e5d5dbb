// The texts that were compressed, by tenant: what an elision stands for can be had back byte for byte, from any replica.
import { createHash } from 'node:crypto';
import { QuintetError, type RedisConnection } from '@quintet/runtime';
import type { PostgresOriginals } from './postgres.ts';

export interface Originals {
  /** Keeps a text; the same text of the same tenant has the same id. */
  keep(tenant: string, text: string): Promise<{ id: string; durable: boolean }>;
  /** Throws `NOT_FOUND` for an id of another tenant as for one that never was. */
  get(tenant: string, id: string): Promise<string>;
  /** Hands what is only here to a store that is back, and forgets what is past its retention. */
  flush(): Promise<void>;
}

/** Where they are kept beyond this process; PostgreSQL where both are given. */
export interface OriginalStores {
  readonly redis: RedisConnection | undefined;
  readonly postgres: PostgresOriginals | undefined;
  /** First part of keys in stores that several services may share. */
  readonly prefix: string;
}

interface Held {
  readonly tenant: string;
  readonly id: string;
  readonly text: string;
  readonly ends: number;
}

/** Characters kept in this process where there is no store; the oldest go first. */
const mostCharacters = 64 * 1024 * 1024;

export function openOriginals(stores: OriginalStores, retentionMs: () => number, now = Date.now): Originals {
  const { redis, postgres, prefix } = stores;
  const local = new Map<string, Held>();
  let held = 0;
  const forget = (key: string): void => {
    held -= local.get(key)?.text.length ?? 0;
    local.delete(key);
  };
  const keepHere = (key: string, entry: Held): void => {
    forget(key);
    local.set(key, entry);
    held += entry.text.length;
    for (const oldest of local.keys()) {
      if (held <= mostCharacters) break;
      forget(oldest);
    }
  };
  const store = async (key: string, { tenant, id, text, ends }: Held): Promise<boolean> => {
    const left = ends - now();
    if (postgres) return postgres.put(tenant, id, text, left);
    if (!redis) return false;
    // JSON escapes lone surrogates, which UTF-8 cannot carry.
    return redis.callOr(async (client) => (await client.set(key, JSON.stringify(text), 'PX', left)) === 'OK', false);
  };
  const keyOf = (tenant: string, id: string): string => `${prefix}:original:${encodeURIComponent(tenant)}:${id}`;
  return {
    async keep(tenant, text) {
      const id = createHash('sha256').update(JSON.stringify(text)).digest('hex').slice(0, 32);
      const key = keyOf(tenant, id);
      const entry = { tenant, id, text, ends: now() + retentionMs() };
      const durable = await store(key, entry);
      if (durable) forget(key);
      else keepHere(key, entry);
      return { id, durable };
    },
    async get(tenant, id) {
      const key = keyOf(tenant, id);
      const here = local.get(key);
      if (here && here.ends > now()) return here.text;
      const stored = postgres ? await postgres.get(tenant, id) : await fromRedis(redis, key);
      if (stored === undefined) throw new QuintetError('NOT_FOUND', { what: `Original ${id}` });
      return stored;
    },
    async flush() {
      for (const [key, entry] of local) {
        if (entry.ends <= now() || (await store(key, entry))) forget(key);
        else if (postgres ?? redis) return;
      }
    },
  };
}

async function fromRedis(redis: RedisConnection | undefined, key: string): Promise<string | undefined> {
  const stored = redis ? await redis.call((client) => client.get(key)) : null;
  return stored === null ? undefined : (JSON.parse(stored) as string);
}
