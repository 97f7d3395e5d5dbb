// Jobs in Redis: submitted to any replica, done by any, and done again by another when the one at work dies.
import { randomUUID } from 'node:crypto';
import { QuintetError, type RedisConnection } from '@quintet/runtime';
import {
  attemptsError,
  type Job,
  type JobLimits,
  type JobStore,
  mostAttempts,
  orderOf,
  type Priority,
  refuseFull,
} from './jobs.ts';
import type { CompressAnswer, JobAnswer } from './schema.ts';

const allPriorities = orderOf([]);

/**
 * Ends a job and keeps its outcome, unless it was cancelled; then drops the oldest outcomes beyond the bounds.
 * KEYS: job, work list, finished (sorted by time), size of all kept. ARGV: id, status, field, outcome, retention, now,
 * most characters, most results. Keys of other jobs are made from the first, as the connection may put a prefix before it.
 */
const finishScript = `
local prefix = string.sub(KEYS[1], 1, -#ARGV[1] - 1)
local kept = 0
redis.call('HDEL', KEYS[1], 'job')
if redis.call('HGET', KEYS[1], 'status') == 'Running' then
  redis.call('HSET', KEYS[1], 'status', ARGV[2], ARGV[3], ARGV[4])
  kept = #ARGV[4]
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[6], ARGV[1] .. ' ' .. kept)
local size = redis.call('INCRBY', KEYS[4], kept)
while true do
  local oldest = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  if not oldest[1] then break end
  local expired = tonumber(oldest[2]) + tonumber(ARGV[5]) < tonumber(ARGV[6])
  if not expired and size <= tonumber(ARGV[7]) and redis.call('ZCARD', KEYS[3]) <= tonumber(ARGV[8]) then break end
  redis.call('ZREM', KEYS[3], oldest[1])
  local id, length = string.match(oldest[1], '^(%S+) (%d+)$')
  if not expired then redis.call('DEL', prefix .. id) end
  size = redis.call('DECRBY', KEYS[4], length)
end
return 1`;

export function redisJobs(
  redis: RedisConnection,
  limits: JobLimits,
  prefix: string,
  replica: string = randomUUID(),
): JobStore {
  const jobKey = (id: string): string => `${prefix}:job:${id}`;
  const queueKey = (priority: Priority): string => `${prefix}:queue:${priority}`;
  const workKey = (of: string): string => `${prefix}:work:${of}`;
  const tenantKey = (tenant: string): string => `${prefix}:waiting:${tenant}`;
  const atWork = new Set<string>();
  const listeners: ((id: string) => void)[] = [];
  let unowned = new Set<string>();
  const waiting = (): Promise<number> =>
    redis.call(async (client) => {
      const lengths = await Promise.all(allPriorities.map((priority) => client.llen(queueKey(priority))));
      return lengths.reduce((a, b) => a + b, 0);
    });
  const ofTenant = (tenant: string): Promise<number> =>
    redis.call((client) => client.zcount(tenantKey(tenant), Date.now(), '+inf'));
  const read = async (tenant: string, id: string): Promise<JobAnswer> => {
    const fields = await redis.call((client) => client.hgetall(jobKey(id)));
    if (fields['tenant'] !== tenant) throw new QuintetError('NOT_FOUND', { what: `Job ${id}` });
    return answerOf(id, fields);
  };
  const finish: JobStore['finish'] = async ({ id }, outcome) => {
    const failed = 'error' in outcome;
    const [status, field] = failed ? (['Failed', 'error'] as const) : (['Succeeded', 'result'] as const);
    const keys = [jobKey(id), workKey(replica), `${prefix}:finished`, `${prefix}:kept`];
    const kept = JSON.stringify(failed ? outcome.error : outcome.result);
    const bounds = [limits.mostKept ?? 256 * 1024 * 1024, Math.max(1000, 10 * limits.maxQueued())];
    const values = [id, status, field, kept, limits.retentionMs(), Date.now(), ...bounds];
    await redis.call((client) => client.eval(finishScript, keys.length, ...keys, ...values));
    atWork.delete(id);
  };
  /** Back to the front of its own queue. */
  const putBack = (from: string, id: string): Promise<void> =>
    redis.call(async (client) => {
      const priority = ((await client.hget(jobKey(id), 'priority')) ?? 'Normal') as Priority;
      if ((await client.lrem(workKey(from), 1, id)) > 0) await client.lpush(queueKey(priority), id);
    });
  return {
    waiting,
    read,
    finish,
    async submit(job) {
      refuseFull(limits, await waiting(), limits.maxOfTenant ? await ofTenant(job.tenant) : 0);
      const { tenant, priority, id } = job;
      await redis.call(async (client) => {
        const ends = Date.now() + limits.retentionMs();
        await client
          .multi()
          .hset(jobKey(id), { tenant, priority, status: 'Queued', job: JSON.stringify(job) })
          .pexpire(jobKey(id), limits.retentionMs())
          .zremrangebyscore(tenantKey(tenant), '-inf', Date.now())
          .zadd(tenantKey(tenant), ends, id)
          .pexpire(tenantKey(tenant), limits.retentionMs())
          .rpush(queueKey(priority), id)
          .exec();
      });
    },
    async take() {
      for (const priority of orderOf(limits.priorities())) {
        for (;;) {
          const taken = await redis.call(async (client): Promise<{ job?: Job; attempts: number } | undefined> => {
            const id = await client.lmove(queueKey(priority), workKey(replica), 'LEFT', 'RIGHT');
            if (id === null) return undefined;
            const [status, text] = await client.hmget(jobKey(id), 'status', 'job');
            if (!text || (status !== 'Queued' && status !== 'Running')) {
              // Cancelled or expired while it waited.
              await client.lrem(workKey(replica), 1, id);
              return { attempts: 0 };
            }
            const job = JSON.parse(text) as Job;
            const [attempts] = await Promise.all([
              client.hincrby(jobKey(id), 'attempts', 1),
              client.hset(jobKey(id), 'status', 'Running'),
              client.zrem(tenantKey(job.tenant), id),
            ]);
            atWork.add(id);
            return { job, attempts };
          });
          if (!taken) break;
          if (!taken.job) continue;
          if (taken.attempts <= mostAttempts) return taken.job;
          await finish(taken.job, { error: attemptsError });
        }
      }
      return undefined;
    },
    async giveBack({ id }) {
      await redis.call((client) => client.hincrby(jobKey(id), 'attempts', -1));
      await putBack(replica, id);
      atWork.delete(id);
    },
    async cancel(tenant, id) {
      const { status } = await read(tenant, id);
      if (status === 'Queued' || status === 'Running')
        await redis.call((client) =>
          client
            .multi()
            .hset(jobKey(id), 'status', 'Cancelled')
            .hdel(jobKey(id), 'job')
            .zrem(tenantKey(tenant), id)
            .exec(),
        );
      if (atWork.has(id)) for (const listener of listeners) listener(id);
      return read(tenant, id);
    },
    onCancel: (listener) => void listeners.push(listener),
    async tick() {
      await redis.call((client) =>
        client
          .multi()
          .set(`${prefix}:alive:${replica}`, '1', 'EX', limits.aliveSeconds ?? 10)
          .sadd(`${prefix}:replicas`, replica)
          .exec(),
      );
      for (const id of atWork) {
        const status = await redis.call((client) => client.hget(jobKey(id), 'status'));
        if (status === 'Cancelled') for (const listener of listeners) listener(id);
      }
      // Taken, but Redis' answer was lost on the way. Twice in a row, as one may just be on its way.
      const mine = await redis.call((client) => client.lrange(workKey(replica), 0, -1));
      const stray = new Set(mine.filter((id) => !atWork.has(id)));
      for (const id of stray) {
        if (!unowned.has(id)) continue;
        await putBack(replica, id);
        stray.delete(id);
      }
      unowned = stray;
      for (const other of await redis.call((client) => client.smembers(`${prefix}:replicas`))) {
        if (other === replica || (await redis.call((client) => client.exists(`${prefix}:alive:${other}`)))) continue;
        for (const id of await redis.call((client) => client.lrange(workKey(other), 0, -1))) await putBack(other, id);
        await redis.call((client) => client.srem(`${prefix}:replicas`, other));
      }
    },
  };
}

function answerOf(id: string, { status, priority, result, error }: Record<string, string>): JobAnswer {
  return {
    id,
    status: status as JobAnswer['status'],
    priority: priority as Priority,
    ...(result && { result: JSON.parse(result) as CompressAnswer }),
    ...(error && { error: JSON.parse(error) as NonNullable<JobAnswer['error']> }),
  };
}
