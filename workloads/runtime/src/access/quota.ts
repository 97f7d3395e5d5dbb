// What a tenant may use: requests per minute, and units (tokens, images, points) per day. Shared through Redis when there is one.
import { LRUCache } from 'lru-cache';
import { QuintetError } from '../errors.ts';
import { counter, type Registry } from '../metrics.ts';
import type { RedisConnection } from '../redis.ts';
import { type Hold, holds } from './holds.ts';

/** Limits of one tenant; what is left out is unlimited. */
export interface TenantLimits {
  requestsPerMinute?: number | undefined;
  /** Units of the engine in a UTC day. */
  unitsPerDay?: number | undefined;
  /** In a month of UTC, beside those of a day. */
  unitsPerMonth?: number | undefined;
}

export interface QuotaOptions {
  name: string;
  limits: Readonly<Record<string, TenantLimits>>;
  /** For tenants without an entry; unlimited when left out. */
  otherwise?: TenantLimits;
  redis?: RedisConnection;
  /**
   * While Redis does not answer: false (the default) lets each replica count alone, which may give a quota out once a replica; true refuses what has a
   * limit with `DEPENDENCY_UNAVAILABLE`, so that it never is, and gives back what a replica that died had reserved and not used.
   */
  strict?: boolean;
  /** Strict: milliseconds after which a reservation of a dead replica lapses; a minute when left out. */
  lease?: number;
  registry?: Registry;
  now?: () => number;
}

export interface Quotas {
  /** Counts one request; throws `QUOTA_EXCEEDED`. */
  request: (tenant: string) => Promise<void>;
  /**
   * Takes `units` before the work; throws `QUOTA_EXCEEDED` and takes nothing when they do not fit. See `strict` for when Redis is away.
   * @param spent What the work has used so far; of a strict reservation it stays taken when the replica dies.
   */
  reserve: (tenant: string, units: number, spent?: () => number) => Promise<Reservation>;
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
const longestMonth = 31 * day;

/** A day or a month of UTC. */
interface Period {
  quota: string;
  limit: (limits: TenantLimits | undefined) => number | undefined;
  keyOf: (now: number, tenant: string) => string;
  /** When the next begins. */
  end: (now: number) => number;
  longest: number;
}

const daily: Period = {
  quota: 'units per day',
  limit: (limits) => limits?.unitsPerDay,
  keyOf: (now, tenant) => `d:${Math.floor(now / day)}:${tenant}`,
  end: (now) => now - (now % day) + day,
  longest: day,
};
const monthly: Period = {
  quota: 'units per month',
  limit: (limits) => limits?.unitsPerMonth,
  keyOf: (now, tenant) => `mo:${new Date(now).toISOString().slice(0, 7)}:${tenant}`,
  end: (now) => Date.UTC(new Date(now).getUTCFullYear(), new Date(now).getUTCMonth() + 1),
  longest: longestMonth,
};

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

  const refuse = (
    tenant: string,
    { quota, limit, end }: { quota: string; limit: number; end: number },
    { used, asked }: { used: number; asked: number },
  ): never => {
    refused?.inc({ tenant, quota });
    const left = Math.max(0, limit - used);
    throw new QuintetError('QUOTA_EXCEEDED', { tenant, quota, limit, left, asked, retryAfter: (end - now()) / 1000 });
  };
  const { redis, lease = minute } = options;
  const heldIn =
    options.strict && redis ? ({ longest }: Period) => holds({ redis, lease, live: 2 * longest }) : undefined;
  const held = heldIn && new Map([daily, monthly].map((period) => [period, heldIn(period)]));

  /** Units of one period; without a limit nothing can be refused: what was used is counted once, when it is known. */
  const reserveIn = async (period: Period, tenant: string, units: number, spent?: () => number): Promise<Hold> => {
    const limit = period.limit(limitsOf(tenant));
    const key = period.keyOf(now(), tenant);
    const strictly = held?.get(period);
    const refuseUnits = (most: number, used: number) =>
      refuse(tenant, { quota: period.quota, limit: most, end: period.end(now()) }, { used, asked: units });
    if (strictly && limit !== undefined) {
      const heldKey = `q:held:${options.name}:${key}`;
      const hold = await strictly.take(heldKey, units, limit, spent);
      return hold ?? refuseUnits(limit, await strictly.used(heldKey));
    }
    const reserved = limit === undefined ? 0 : units;
    if (limit !== undefined) {
      const [fits, used] = await take(key, reserved, limit, period.longest);
      if (!fits) refuseUnits(limit, used);
    }
    return {
      settle: async (final) => {
        if (final !== reserved) await take(key, final - reserved, undefined, period.longest);
      },
    };
  };

  return {
    request: async (tenant) => {
      const limit = limitsOf(tenant)?.requestsPerMinute;
      if (limit === undefined) return;
      const [fits, used] = await take(`m:${Math.floor(now() / minute)}:${tenant}`, 1, limit, minute);
      const end = now() - (now() % minute) + minute;
      if (!fits) refuse(tenant, { quota: 'requests per minute', limit, end }, { used, asked: 1 });
    },
    reserve: async (tenant, units, spent) => {
      const reserved = Math.max(0, Math.ceil(units));
      const ofDay = await reserveIn(daily, tenant, reserved, spent);
      const ofMonth =
        limitsOf(tenant)?.unitsPerMonth === undefined
          ? undefined
          : await reserveIn(monthly, tenant, reserved, spent).catch(async (error: unknown) => {
              await ofDay.settle(0);
              throw error;
            });
      let open = true;
      return {
        settle: async (used) => {
          if (!open) return;
          open = false;
          const final = Math.max(0, Math.ceil(used));
          usage?.inc({ tenant }, final);
          await Promise.all([ofDay.settle(final), ofMonth?.settle(final)]);
        },
      };
    },
    used: async (tenant) => {
      const key = daily.keyOf(now(), tenant);
      if (held && daily.limit(limitsOf(tenant)) !== undefined)
        return (await held.get(daily)?.used(`q:held:${options.name}:${key}`)) ?? 0;
      return (await take(key, 0, undefined, day))[1];
    },
    update: (next) => {
      limits = next;
    },
  };
}
