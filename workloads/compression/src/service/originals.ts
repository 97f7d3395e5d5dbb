// The texts that were compressed, by tenant: what an elision stands for can be had back byte for byte, from any replica.
import { createHash } from 'node:crypto';
import { QuintetError, type RedisConnection } from '@quintet/runtime';
import type { PostgresOriginals } from './postgres.ts';

export interface Originals {
  /** Keeps a text; the same text of the same tenant has the same id. */
  keep(tenant: string, text: string): Promise<{ id: string; durable: boolean }>;
  /** Throws `NOT_FOUND` for an id of another tenant as for one that never was. */
  get(tenant: string, id: string): Promise<string>;
}

/** Where they are kept beyond this process; PostgreSQL where both are given. */
export interface OriginalStores {
  readonly redis: RedisConnection | undefined;
  readonly postgres: PostgresOriginals | undefined;
}

/** Characters kept in this process where there is no store; the oldest go first. */
const mostCharacters = 64 * 1024 * 1024;

export function openOriginals({ redis, postgres }: OriginalStores, retentionMs: () => number): Originals {
  const local = new Map<string, string>();
  let held = 0;
  const keepHere = (key: string, text: string): void => {
    const before = local.get(key);
    if (before !== undefined) {
      local.delete(key);
      held -= before.length;
    }
    local.set(key, text);
    held += text.length;
    for (const [oldest, { length }] of local) {
      if (held <= mostCharacters) break;
      local.delete(oldest);
      held -= length;
    }
  };
  return {
    async keep(tenant, text) {
      const id = createHash('sha256').update(JSON.stringify(text)).digest('hex').slice(0, 32);
      const key = keyOf(tenant, id);
      const durable = postgres
        ? await postgres.put(tenant, id, text, retentionMs())
        : redis
          ? await redis.callOr(
              // JSON escapes lone surrogates, which UTF-8 cannot carry.
              async (client) => (await client.set(key, JSON.stringify(text), 'PX', retentionMs())) === 'OK',
              false,
            )
          : false;
      if (!durable) keepHere(key, text);
      return { id, durable };
    },
    async get(tenant, id) {
      const key = keyOf(tenant, id);
      const here = local.get(key);
      if (here !== undefined) return here;
      const stored = postgres ? await postgres.get(tenant, id) : await fromRedis(redis, key);
      if (stored === undefined) throw new QuintetError('NOT_FOUND', { what: `Original ${id}` });
      return stored;
    },
  };
}

async function fromRedis(redis: RedisConnection | undefined, key: string): Promise<string | undefined> {
  const stored = redis ? await redis.call((client) => client.get(key)) : null;
  return stored === null ? undefined : (JSON.parse(stored) as string);
}

function keyOf(tenant: string, id: string): string {
  return `quintet:compression:original:${encodeURIComponent(tenant)}:${id}`;
}
