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
import { cancelScript, finishScript, putBackScript, takeScript } from './redisJobScripts.ts';
import type { CompressAnswer, JobAnswer } from './schema.ts';

const allPriorities = orderOf([]);

export function redisJobs(
  redis: RedisConnection,
  limits: JobLimits,
  prefix: string,
  replica: string = randomUUID(),
): JobStore {
  const all = { jobs: `${prefix}:job:`, queues: `${prefix}:queue:`, tenants: `${prefix}:waiting:` };
  const jobKey = (id: string): string => all.jobs + id;
  const queueKey = (priority: Priority): string => all.queues + priority;
  const workKey = (of: string): string => `${prefix}:work:${of}`;
  const tenantKey = (tenant: string): string => all.tenants + tenant;
  const run = (script: string, keys: string[], ...values: (string | number)[]): Promise<unknown> =>
    redis.call((client) => client.eval(script, keys.length, ...keys, ...values));
  /** What Redis was heard to have given here; what it gave without being heard is taken back by `tick`. */
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
    const keys = [jobKey(id), workKey(replica), `${prefix}:finished`, `${prefix}:kept`, all.jobs];
    const kept = JSON.stringify(failed ? outcome.error : outcome.result);
    const bounds = [limits.mostKept ?? 256 * 1024 * 1024, Math.max(1000, 10 * limits.maxQueued())];
    const values = [id, status, field, kept, limits.retentionMs(), Date.now(), ...bounds];
    await run(finishScript, keys, ...values);
    atWork.delete(id);
  };
  const putBack = (from: string, id: string, attempts = 0): Promise<unknown> =>
    run(putBackScript, [workKey(from), jobKey(id), all.queues], id, attempts);
  return {
    waiting,
    replicas: () => redis.call((client) => client.scard(`${prefix}:replicas`)),
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
        const keys = [queueKey(priority), workKey(replica), all.jobs, all.tenants];
        for (;;) {
          const taken = (await run(takeScript, keys)) as [job: string, attempts: number] | null;
          if (!taken) break;
          const job = JSON.parse(taken[0]) as Job;
          if (taken[1] > mostAttempts) {
            await finish(job, { error: attemptsError });
            continue;
          }
          atWork.add(job.id);
          return job;
        }
      }
      return undefined;
    },
    async giveBack({ id }) {
      await putBack(replica, id, -1);
      atWork.delete(id);
    },
    async cancel(tenant, id) {
      await read(tenant, id);
      await run(cancelScript, [jobKey(id), tenantKey(tenant)], id);
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
        await putBack(replica, id, -1);
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
