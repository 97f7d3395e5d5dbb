// The texts that were compressed, by tenant: what an elision stands for can be had back byte for byte, from any replica.
import { createHash } from 'node:crypto';
import { QuintetError, type RedisConnection } from '@quintet/runtime';

export interface Originals {
  /** Keeps a text; the same text of the same tenant has the same id. */
  keep(tenant: string, text: string): Promise<{ id: string; durable: boolean }>;
  /** Throws `NOT_FOUND` for an id of another tenant as for one that never was. */
  get(tenant: string, id: string): Promise<string>;
}

/** Characters kept in this process where there is no Redis; the oldest go first. */
const mostCharacters = 64 * 1024 * 1024;

export function openOriginals(redis: RedisConnection | undefined, retentionMs: () => number): Originals {
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
      // JSON escapes lone surrogates, which UTF-8 cannot carry.
      const durable = redis
        ? await redis.callOr(
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
      const stored = redis ? await redis.call((client) => client.get(key)) : null;
      if (stored === null) throw new QuintetError('NOT_FOUND', { what: `Original ${id}` });
      return JSON.parse(stored) as string;
    },
  };
}

function keyOf(tenant: string, id: string): string {
  return `quintet:compression:original:${encodeURIComponent(tenant)}:${id}`;
}
