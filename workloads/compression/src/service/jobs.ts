// Asynchronous jobs, by priority, in Redis: submitted to any replica, done by any, and done again by another when the one at
// work dies. Without Redis they live in this process.
import { randomUUID } from 'node:crypto';
import { QuintetError, type RedisConnection } from '@quintet/runtime';
import type { CompressAnswer, CompressRequest, JobAnswer } from './schema.ts';

export type Priority = JobAnswer['priority'];
export interface Job {
  readonly id: string;
  readonly tenant: string;
  readonly priority: Priority;
  readonly request: CompressRequest;
}

export interface JobStore {
  submit(job: Job): Promise<void>;
  /** The most urgent job, now running here; undefined when none waits. */
  take(): Promise<Job | undefined>;
  finish(job: Job, outcome: { result: CompressAnswer } | { error: NonNullable<JobAnswer['error']> }): Promise<void>;
  read(tenant: string, id: string): Promise<JobAnswer>;
  cancel(tenant: string, id: string): Promise<JobAnswer>;
  waiting(): Promise<number>;
  /** Says that this replica lives, and takes back jobs of replicas that do not. */
  tick(): Promise<void>;
}

export interface JobLimits {
  readonly maxQueued: () => number;
  readonly retentionMs: () => number;
  readonly priorities: () => readonly Priority[];
  /** Seconds without a sign of life after which a replica's jobs go to others; default 10. */
  readonly aliveSeconds?: number;
}

const prefix = 'quintet:compression:jobs';

export function redisJobs(redis: RedisConnection, limits: JobLimits, replica: string = randomUUID()): JobStore {
  const jobKey = (id: string): string => `${prefix}:job:${id}`;
  const queueKey = (priority: Priority): string => `${prefix}:queue:${priority}`;
  const workKey = (of: string): string => `${prefix}:work:${of}`;
  const atWork = new Set<string>();
  let unowned = new Set<string>();
  const waiting = (): Promise<number> =>
    redis.call(async (client) => {
      const lengths = await Promise.all(limits.priorities().map((priority) => client.llen(queueKey(priority))));
      return lengths.reduce((a, b) => a + b, 0);
    });
  const read = async (tenant: string, id: string): Promise<JobAnswer> => {
    const fields = await redis.call((client) => client.hgetall(jobKey(id)));
    if (fields.tenant !== tenant) throw new QuintetError('NOT_FOUND', { what: `Job ${id}` });
    return answerOf(id, fields);
  };
  return {
    waiting,
    read,
    async submit(job) {
      if ((await waiting()) >= limits.maxQueued()) throw full(limits.maxQueued());
      await redis.call(async (client) => {
        const fields = { tenant: job.tenant, priority: job.priority, status: 'Queued', job: JSON.stringify(job) };
        await client
          .multi()
          .hset(jobKey(job.id), fields)
          .pexpire(jobKey(job.id), limits.retentionMs())
          .rpush(queueKey(job.priority), job.id)
          .exec();
      });
    },
    take: () =>
      redis.call(async (client) => {
        for (const priority of limits.priorities()) {
          for (;;) {
            const id = await client.lmove(queueKey(priority), workKey(replica), 'LEFT', 'RIGHT');
            if (id === null) break;
            const [status, text] = await client.hmget(jobKey(id), 'status', 'job');
            if (text && (status === 'Queued' || status === 'Running')) {
              await client.hset(jobKey(id), 'status', 'Running');
              atWork.add(id);
              return JSON.parse(text) as Job;
            }
            // Cancelled or expired while it waited.
            await client.lrem(workKey(replica), 1, id);
          }
        }
        return undefined;
      }),
    async finish(job, outcome) {
      const fields =
        'result' in outcome
          ? { status: 'Succeeded', result: JSON.stringify(outcome.result) }
          : { status: 'Failed', error: JSON.stringify(outcome.error) };
      await redis.call(async (client) => {
        // What was cancelled meanwhile stays cancelled.
        if ((await client.hget(jobKey(job.id), 'status')) === 'Running') await client.hset(jobKey(job.id), fields);
        await client.multi().pexpire(jobKey(job.id), limits.retentionMs()).lrem(workKey(replica), 1, job.id).exec();
      });
      atWork.delete(job.id);
    },
    async cancel(tenant, id) {
      const { status } = await read(tenant, id);
      if (status === 'Queued' || status === 'Running')
        await redis.call((client) => client.hset(jobKey(id), 'status', 'Cancelled'));
      return read(tenant, id);
    },
    tick: () =>
      redis.call(async (client) => {
        await client
          .multi()
          .set(`${prefix}:alive:${replica}`, '1', 'EX', limits.aliveSeconds ?? 10)
          .sadd(`${prefix}:replicas`, replica)
          .exec();
        // Taken, but Redis' answer was lost on the way. Twice in a row, as one may just be on its way.
        const mine = await client.lrange(workKey(replica), 0, -1);
        const stray = new Set(mine.filter((id) => !atWork.has(id)));
        for (const id of stray) {
          if (!unowned.has(id) || (await client.lrem(workKey(replica), 1, id)) === 0) continue;
          await client.lpush(queueKey(limits.priorities()[0] as Priority), id);
          stray.delete(id);
        }
        unowned = stray;
        for (const other of await client.smembers(`${prefix}:replicas`)) {
          if (other === replica || (await client.exists(`${prefix}:alive:${other}`))) continue;
          while (
            (await client.lmove(workKey(other), queueKey(limits.priorities()[0] as Priority), 'RIGHT', 'LEFT')) !== null
          );
          await client.srem(`${prefix}:replicas`, other);
        }
      }),
  };
}

export function memoryJobs(limits: JobLimits): JobStore {
  const jobs = new Map<string, { job: Job; answer: JobAnswer; ends: number }>();
  const queues: Record<Priority, Job[]> = { High: [], Normal: [], Low: [] };
  const find = (tenant: string, id: string): { job: Job; answer: JobAnswer; ends: number } => {
    const found = jobs.get(id);
    if (found?.job.tenant !== tenant) throw new QuintetError('NOT_FOUND', { what: `Job ${id}` });
    return found;
  };
  return {
    waiting: async () => Object.values(queues).reduce((sum, queue) => sum + queue.length, 0),
    async submit(job) {
      if (Object.values(queues).reduce((sum, queue) => sum + queue.length, 0) >= limits.maxQueued())
        throw full(limits.maxQueued());
      jobs.set(job.id, {
        job,
        answer: { id: job.id, priority: job.priority, status: 'Queued' },
        ends: Date.now() + limits.retentionMs(),
      });
      queues[job.priority].push(job);
    },
    async take() {
      for (const priority of limits.priorities()) {
        for (let job = queues[priority].shift(); job; job = queues[priority].shift()) {
          const found = jobs.get(job.id);
          if (found?.answer.status !== 'Queued') continue;
          found.answer = { ...found.answer, status: 'Running' };
          return job;
        }
      }
      return undefined;
    },
    async finish(job, outcome) {
      const found = jobs.get(job.id);
      if (found?.answer.status === 'Running')
        found.answer = { ...found.answer, status: 'result' in outcome ? 'Succeeded' : 'Failed', ...outcome };
    },
    read: async (tenant, id) => find(tenant, id).answer,
    async cancel(tenant, id) {
      const found = find(tenant, id);
      if (found.answer.status === 'Queued' || found.answer.status === 'Running')
        found.answer = { ...found.answer, status: 'Cancelled' };
      return found.answer;
    },
    async tick() {
      const now = Date.now();
      for (const [id, { ends }] of jobs) if (ends < now) jobs.delete(id);
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

function full(limit: number): QuintetError {
  return new QuintetError('OVERLOADED', { queue: 'jobs', waiting: limit, retryAfter: 5 });
}
