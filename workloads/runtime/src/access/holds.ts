// Units held while work is under way, counted in Redis over all replicas. Holds are renewed with what the work has used so far: of a replica that died they
// lapse, and what it had not used comes back.
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { RedisConnection } from '../redis.ts';

export interface Holds {
  /**
   * Holds `units`; undefined where they do not fit into `limit`. Throws `DEPENDENCY_UNAVAILABLE` while Redis is away.
   * @param spent What the work has used so far; nothing when left out.
   */
  take: (key: string, units: number, limit: number, spent?: () => number) => Promise<Hold | undefined>;
  /** Units used and held. */
  used: (key: string) => Promise<number>;
}

export interface Hold {
  /** Replaces the held units by those used. Never throws: where Redis is away for longer than two seconds it is told later. */
  settle: (units: number) => Promise<void>;
}

export interface HoldsOptions {
  redis: RedisConnection;
  /** Milliseconds after which a hold that nobody renews lapses. */
  lease: number;
  /** Milliseconds that a key lives after its last hold. */
  live: number;
}

/** One hash a key, so that a cluster keeps it in one place: `used`, and for each hold `held spent until`, by the clock of Redis. */
const common = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(number) return string.format('%.0f', number) end
local function held(id)
  local value = redis.call('HGET', KEYS[1], id)
  return value and tonumber(string.match(value, '^%d+')) or 0
end
local function add(units)
  if units ~= 0 then redis.call('HINCRBY', KEYS[1], 'used', whole(units)) end
end`;
/** ARGV: id, units, limit, lease, life. What lapsed is looked for only where the units do not fit. */
const takeScript = `${common}
local units, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local used = tonumber(redis.call('HGET', KEYS[1], 'used') or '0')
if units > 0 and used + units > limit then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local most, spent, last = string.match(all[i + 1], '^(%d+) (%d+) (%d+)$')
    if most and tonumber(last) < now and most ~= spent then
      used = used - most + spent
      redis.call('HSET', KEYS[1], 'used', whole(used), all[i], spent .. ' ' .. spent .. ' 0')
    end
  end
  if used + units > limit then return 0 end
end
add(units)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' 0 ' .. whole(now + ARGV[4]))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1`;
/** ARGV: lease, life, then id, units and spent of each. A hold that Redis has lost, or that had lapsed while its work went on, is taken again. */
const renewScript = `${common}
for i = 3, #ARGV, 3 do
  local most = math.max(tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]))
  add(most - held(ARGV[i]))
  redis.call('HSET', KEYS[1], ARGV[i], whole(most) .. ' ' .. ARGV[i + 2] .. ' ' .. whole(now + ARGV[1]))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`;
/** ARGV: id, units, life, and whether it may have been heard before: then a hold that is gone is settled, and nothing is counted a second time. */
const settleScript = `${common}
if ARGV[4] == 'again' and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
add(ARGV[2] - held(ARGV[1]))
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`;

/** Milliseconds that the end of work waits for Redis. */
const patience = 2000;
/** In the time of a lease: a slow Redis may miss most of them. */
const renewals = 6;

interface Open {
  key: string;
  units: number;
  spent: () => number;
}

interface Late {
  key: string;
  units: number;
  /** It was sent to Redis, which may have done it without the answer having come. */
  sent?: boolean;
  /** While Redis is told. */
  settling?: Promise<unknown>;
}

export function holds({ redis, lease, live }: HoldsOptions): Holds {
  const open = new Map<string, Open>();
  /** What Redis did not answer to. */
  const late = new Map<string, Late>();
  let timer: NodeJS.Timeout | undefined;

  const settle = (id: string, one: Late) =>
    redis.call((client) => {
      const again = one.sent ? 'again' : 'first';
      one.sent ||= client.status === 'ready';
      return client.eval(settleScript, 1, one.key, id, one.units, live, again);
    });
  const settleAgain = async (id: string, one: Late): Promise<void> => {
    one.settling ??= settle(id, one).finally(() => delete one.settling);
    await one.settling;
    late.delete(id);
  };
  const settleLate = (key?: string) =>
    Promise.all([...late].filter(([, one]) => one.key === (key ?? one.key)).map(([id, one]) => settleAgain(id, one)));
  const renewKey = (key: string, all: readonly (readonly [string, Open])[]) =>
    redis.call(async (client) => {
      // As it is when it is sent: what ended meanwhile is not to be held anew.
      const still = all.filter(([id]) => open.has(id));
      const values = still.flatMap(([id, { units, spent }]) => [id, units, Math.max(0, Math.ceil(spent()))]);
      if (values.length > 0) await client.eval(renewScript, 1, key, lease, live, ...values);
    });
  const renew = async (): Promise<void> => {
    await settleLate().catch(() => undefined);
    const keys = Map.groupBy(open, ([, one]) => one.key);
    // All at once: where Redis is slow, one after the other would not come to the last within a lease.
    await Promise.allSettled([...keys].map(([key, all]) => renewKey(key, all)));
  };
  let renewing: Promise<void> | undefined;
  const tend = () => {
    timer ??= setInterval(() => {
      if (open.size > 0 || late.size > 0) {
        renewing ??= renew().finally(() => (renewing = undefined));
        return;
      }
      clearInterval(timer);
      timer = undefined;
    }, lease / renewals);
    timer.unref();
  };
  const endLater = (id: string, ended: Late) => {
    late.set(id, ended);
    tend();
  };
  /** Were this replica killed before Redis knows, what was used would be given out again: it is worth some waiting. */
  const told = async (id: string, ended: Late): Promise<void> => {
    for (const until = Date.now() + patience; late.has(id) && Date.now() < until; ) {
      await pause(patience / 20);
      await settleAgain(id, ended).catch(() => undefined);
    }
  };

  return {
    take: async (key, units, limit, spent = () => 0) => {
      // Before it is known what was used nothing more is given out.
      await settleLate(key);
      const id = randomUUID();
      let sent = false;
      const taking = redis.call((client) => {
        sent = client.status === 'ready';
        return client.eval(takeScript, 1, key, id, units, limit, lease, live);
      });
      const fits = await taking.catch((error: unknown) => {
        // It may have been taken, for nobody.
        if (sent) endLater(id, { key, units: 0, sent });
        throw error;
      });
      if (fits !== 1) return undefined;
      open.set(id, { key, units, spent });
      tend();
      return {
        settle: async (final) => {
          open.delete(id);
          const ended: Late = { key, units: final };
          await settle(id, ended).catch(() => {
            endLater(id, ended);
            return told(id, ended);
          });
        },
      };
    },
    used: async (key) => Number((await redis.call((client) => client.hget(key, 'used'))) ?? 0),
  };
}
