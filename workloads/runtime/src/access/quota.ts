// What a tenant may use: requests per minute, and units (tokens, images, points) per day. Shared through Redis when there is one.
import { LRUCache } from 'lru-cache';
import { QuintetError } from '../errors.ts';
import { counter, type Registry } from '../metrics.ts';
import type { RedisConnection } from '../redis.ts';

/** Limits of one tenant; what is left out is unlimited. */
export interface TenantLimits {
  requestsPerMinute?: number | undefined;
  /** Units of the engine in a UTC day. */
  unitsPerDay?: number | undefined;
}

export interface QuotaOptions {
  name: string;
  limits: Readonly<Record<string, TenantLimits>>;
  /** For tenants without an entry; unlimited when left out. */
  otherwise?: TenantLimits;
  redis?: RedisConnection;
  /**
   * While Redis does not answer: false (the default) lets each replica count alone, which may give a quota out once a replica; true refuses what has a
   * limit with `DEPENDENCY_UNAVAILABLE`, so that it never is.
   */
  strict?: boolean;
  registry?: Registry;
  now?: () => number;
}

export interface Quotas {
  /** Counts one request; throws `QUOTA_EXCEEDED`. */
  request: (tenant: string) => Promise<void>;
  /** Takes `units` before the work; throws `QUOTA_EXCEEDED` and takes nothing when they do not fit. See `strict` for when Redis is away. */
  reserve: (tenant: string, units: number) => Promise<Reservation>;
  /** Units used today. */
  used: (tenant: string) => Promise<number>;
  update: (limits: Readonly<Record<string, TenantLimits>>) => void;
}

export interface Reservation {
  /** Replaces the reserved units by those really used; 0 gives all back. Only the first call counts. */
  settle: (units: number) => Promise<void>;
}

/** Adds only when the sum stays within the limit. KEYS: counter. ARGV: amount, limit (-1 for none), milliseconds to live. */
const takeScript = `
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local limit = tonumber(ARGV[2])
if limit >= 0 and tonumber(ARGV[1]) > 0 and used + tonumber(ARGV[1]) > limit then return {0, used} end
used = redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, used}`;

const minute = 60_000;
const day = 86_400_000;

export function tenantQuotas(options: QuotaOptions): Quotas {
  const now = options.now ?? Date.now;
  let limits = options.limits;
  const local = new LRUCache<string, number>({ max: 50_000 });
  const usage =
    options.registry && counter(options.registry, 'quintet_tenant_units_total', 'Units used by tenants.', ['tenant']);
  const refused =
    options.registry &&
    counter(options.registry, 'quintet_tenant_refused_total', 'Requests beyond a quota.', ['tenant', 'quota']);
  const limitsOf = (tenant: string) => (Object.hasOwn(limits, tenant) ? limits[tenant] : options.otherwise);

  /** Returns whether it fitted and what is used. Redis' figure is kept here too, so that its absence forgives nothing. */
  const take = async (
    key: string,
    amount: number,
    limit: number | undefined,
    period: number,
  ): Promise<[boolean, number]> => {
    const redisKey = `q:quota:${options.name}:${key}`;
    const shared = await options.redis?.callOr(
      (redis) => redis.eval(takeScript, 1, redisKey, amount, limit ?? -1, period * 2) as Promise<[number, number]>,
      undefined,
    );
    if (shared) {
      local.set(key, shared[1]);
      return [shared[0] === 1, shared[1]];
    }
    const used = local.get(key) ?? 0;
    if (limit !== undefined && amount > 0 && used + amount > limit) return [false, used];
    local.set(key, used + amount);
    return [true, used + amount];
  };

  /** Strict: units used beyond what was reserved that Redis has not heard of. Never less: what was given back may have arrived without an answer. */
  const owed = new LRUCache<string, number>({ max: 50_000 });
  const takeStrictly = async (redis: RedisConnection, key: string, amount: number, limit: number): Promise<boolean> => {
    const more = owed.get(key) ?? 0;
    const redisKey = `q:quota:${options.name}:${key}`;
    if (more > 0) {
      await redis.call((client) => client.eval(takeScript, 1, redisKey, more, -1, day * 2));
      owed.set(key, Math.max(0, (owed.get(key) ?? 0) - more));
    }
    const [fits] = (await redis.call((client) => client.eval(takeScript, 1, redisKey, amount, limit, day * 2))) as [
      number,
    ];
    return fits === 1;
  };
  const giveStrictly = async (redis: RedisConnection, key: string, amount: number): Promise<void> => {
    const redisKey = `q:quota:${options.name}:${key}`;
    const heard = await redis.callOr((client) => client.eval(takeScript, 1, redisKey, amount, -1, day * 2), undefined);
    if (heard === undefined && amount > 0) owed.set(key, (owed.get(key) ?? 0) + amount);
  };
  const strictly = options.strict ? options.redis : undefined;

  const refuse = (tenant: string, quota: string, limit: number, period: number): never => {
    refused?.inc({ tenant, quota });
    const retryAfter = (period - (now() % period)) / 1000;
    throw new QuintetError('QUOTA_EXCEEDED', { tenant, quota, limit, retryAfter });
  };
  const dayKey = (tenant: string) => `d:${Math.floor(now() / day)}:${tenant}`;

  return {
    request: async (tenant) => {
      const limit = limitsOf(tenant)?.requestsPerMinute;
      if (limit === undefined) return;
      const [fits] = await take(`m:${Math.floor(now() / minute)}:${tenant}`, 1, limit, minute);
      if (!fits) refuse(tenant, 'requests per minute', limit, minute);
    },
    reserve: async (tenant, units) => {
      const limit = limitsOf(tenant)?.unitsPerDay;
      const key = dayKey(tenant);
      const reserved = Math.max(0, Math.ceil(units));
      // Without a limit nothing can be refused: what was used is counted once, when it is known.
      const held = limit === undefined ? 0 : reserved;
      const [fits] =
        limit === undefined
          ? [true]
          : strictly
            ? [await takeStrictly(strictly, key, held, limit)]
            : await take(key, held, limit, day);
      if (!fits) refuse(tenant, 'units per day', limit ?? 0, day);
      let open = true;
      return {
        settle: async (used) => {
          if (!open) return;
          open = false;
          const final = Math.max(0, Math.ceil(used));
          usage?.inc({ tenant }, final);
          if (final === held) return;
          if (strictly && limit !== undefined) await giveStrictly(strictly, key, final - held);
          else await take(key, final - held, undefined, day);
        },
      };
    },
    used: async (tenant) => (await take(dayKey(tenant), 0, undefined, day))[1],
    update: (next) => {
      limits = next;
    },
  };
}
