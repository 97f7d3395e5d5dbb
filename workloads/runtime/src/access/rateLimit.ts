// Requests per window and client, with blocking of those who go on. Counted in Redis when there is one, else (or meanwhile) in this process.
import { LRUCache } from 'lru-cache';
import { QuintetError } from '../errors.ts';
import type { RedisConnection } from '../redis.ts';

export interface RateLimitOptions {
  /** Prefix of the keys in Redis, so that limiters do not mix. */
  name: string;
  /** Cost allowed in a window; a request costs 1 unless said otherwise. */
  requests: number;
  /** Milliseconds. */
  window: number;
  /** Milliseconds that a client is refused altogether once it went over; 0 refuses only the rest of the window. */
  blockFor?: number;
  redis?: RedisConnection;
  /** Clients remembered in this process; 50 000 when left out. The least recent is forgotten first. */
  maxClients?: number;
  now?: () => number;
}

export interface RateDecision {
  allowed: boolean;
  blocked: boolean;
  limit: number;
  remaining: number;
  /** Milliseconds until the window ends or the block is lifted. */
  resetIn: number;
}

export interface RateLimiter {
  /** Counts `cost` for a client and says whether it may go on. */
  consume: (client: string, cost?: number) => Promise<RateDecision>;
  /** As `consume`; throws `RATE_LIMITED` or `CLIENT_BLOCKED` with `Retry-After`. */
  enforce: (client: string, cost?: number) => Promise<RateDecision>;
  /** Whether the client is blocked, without counting. */
  isBlocked: (client: string) => boolean;
  update: (limits: { requests: number; window: number; blockFor?: number }) => void;
}

/** A fixed window in one atomic step. KEYS: counter, block. ARGV: cost, limit, window, block. Returns used, time left, blocked. */
const script = `
local blocked = redis.call('PTTL', KEYS[2])
if blocked > 0 then return {0, blocked, 1} end
local used = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) left = tonumber(ARGV[3]) end
if used > tonumber(ARGV[2]) and tonumber(ARGV[4]) > 0 then
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[4])
  return {used, tonumber(ARGV[4]), 1}
end
return {used, left, 0}`;

interface Window {
  used: number;
  endsAt: number;
  blockedUntil: number;
}

export function rateLimiter(options: RateLimitOptions): RateLimiter {
  const now = options.now ?? Date.now;
  const windows = new LRUCache<string, Window>({ max: options.maxClients ?? 50_000 });
  let { requests, window, blockFor = 0 } = options;

  const local = (client: string, cost: number): [used: number, left: number, blocked: boolean] => {
    const time = now();
    const known = windows.get(client);
    const current =
      known && (known.endsAt > time || known.blockedUntil > time)
        ? known
        : { used: 0, endsAt: time + window, blockedUntil: 0 };
    if (current.endsAt <= time) Object.assign(current, { used: 0, endsAt: time + window });
    windows.set(client, current);
    if (current.blockedUntil > time) return [current.used, current.blockedUntil - time, true];
    current.used += cost;
    if (current.used > requests && blockFor > 0) {
      current.blockedUntil = time + blockFor;
      return [current.used, blockFor, true];
    }
    return [current.used, current.endsAt - time, false];
  };

  const remember = (client: string, [used, left, blocked]: [number, number, boolean]) => {
    const time = now();
    windows.set(client, { used, endsAt: time + left, blockedUntil: blocked ? time + left : 0 });
  };

  const consume: RateLimiter['consume'] = async (client, cost = 1) => {
    const keys = [`q:rate:${options.name}:${client}`, `q:block:${options.name}:${client}`];
    const shared = await options.redis?.callOr(
      (redis) => redis.eval(script, 2, ...keys, cost, requests, window, blockFor) as Promise<[number, number, number]>,
      undefined,
    );
    const outcome: [number, number, boolean] = shared ? [shared[0], shared[1], shared[2] === 1] : local(client, cost);
    // What Redis knew stays known here, so that nobody is let off because Redis went away.
    if (shared) remember(client, outcome);
    const [used, left, blocked] = outcome;
    return {
      allowed: !blocked && used <= requests,
      blocked,
      limit: requests,
      remaining: Math.max(0, requests - used),
      resetIn: left,
    };
  };

  return {
    consume,
    enforce: async (client, cost) => {
      const decision = await consume(client, cost);
      if (decision.allowed) return decision;
      const seconds = Math.max(1, Math.ceil(decision.resetIn / 1000));
      if (decision.blocked) throw new QuintetError('CLIENT_BLOCKED', { seconds, retryAfter: seconds, ...decision });
      throw new QuintetError('RATE_LIMITED', { window: window / 1000, retryAfter: seconds, ...decision });
    },
    isBlocked: (client) => (windows.peek(client)?.blockedUntil ?? 0) > now(),
    update: (limits) => ({ requests, window, blockFor = 0 } = limits),
  };
}
