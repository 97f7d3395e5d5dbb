// Asynchronous jobs, by priority: what a store of them does, and one in this process for where there is no Redis.
import { QuintetError } from '@quintet/runtime';
import type { CompressAnswer, CompressRequest, JobAnswer } from './schema.ts';

export type Priority = JobAnswer['priority'];
export interface Job {
  readonly id: string;
  readonly tenant: string;
  readonly priority: Priority;
  readonly request: CompressRequest;
}
export type JobOutcome = { result: CompressAnswer } | { error: NonNullable<JobAnswer['error']> };

export interface JobStore {
  /** Throws `OVERLOADED` when all places, or those of the tenant, are taken. */
  submit(job: Job): Promise<void>;
  /** The most urgent job, now running here; undefined when none waits. */
  take(): Promise<Job | undefined>;
  finish(job: Job, outcome: JobOutcome): Promise<void>;
  /** A job that was begun here and is to be done elsewhere: first in its queue again. */
  giveBack(job: Job): Promise<void>;
  read(tenant: string, id: string): Promise<JobAnswer>;
  cancel(tenant: string, id: string): Promise<JobAnswer>;
  waiting(): Promise<number>;
  /** Processes that take jobs of this store, and live as far as is known. */
  replicas(): Promise<number>;
  /** Calls `listener` for jobs running here that were cancelled: at once, or at the next tick. */
  onCancel(listener: (id: string) => void): void;
  /** Says that this replica lives, and takes back jobs of replicas that do not. */
  tick(): Promise<void>;
}

export interface JobLimits {
  readonly maxQueued: () => number;
  /** Most places that one tenant may take; all when left out. */
  readonly maxOfTenant?: () => number;
  readonly retentionMs: () => number;
  readonly priorities: () => readonly Priority[];
  /** Seconds without a sign of life after which a replica's jobs go to others; default 10. */
  readonly aliveSeconds?: number;
  /** Characters of results that are kept; the oldest go first. Default 64 Mi here, 256 Mi in Redis. */
  readonly mostKept?: number;
}

/** Times that a job is begun: one that ended so many replicas is not given to a further one. */
export const mostAttempts = 3;
export const attemptsError = {
  code: 'WORKER_FAILED',
  message: `the job was begun ${mostAttempts} times and its replica ended each time`,
};

/** The configured order; what it leaves out comes last, as it was accepted. */
export function orderOf(listed: readonly Priority[]): Priority[] {
  return [...new Set<Priority>([...listed, 'High', 'Normal', 'Low'])];
}

export function memoryJobs(limits: JobLimits): JobStore {
  const jobs = new Map<
    string,
    { job: Job | undefined; tenant: string; answer: JobAnswer; ends: number; size: number }
  >();
  const queues: Record<Priority, string[]> = { High: [], Normal: [], Low: [] };
  const listeners: ((id: string) => void)[] = [];
  const mostKept = limits.mostKept ?? 64 * 1024 * 1024;
  let kept = 0;
  const forget = (id: string): void => {
    kept -= jobs.get(id)?.size ?? 0;
    jobs.delete(id);
  };
  const find = (tenant: string, id: string) => {
    const found = jobs.get(id);
    if (found?.tenant !== tenant) throw new QuintetError('NOT_FOUND', { what: `Job ${id}` });
    return found;
  };
  const queued = (tenant?: string): number => {
    let count = 0;
    for (const each of jobs.values())
      if (each.answer.status === 'Queued' && (tenant === undefined || each.tenant === tenant)) count++;
    return count;
  };
  return {
    waiting: async () => queued(),
    replicas: async () => 1,
    async submit(job) {
      refuseFull(limits, queued(), limits.maxOfTenant ? queued(job.tenant) : 0);
      jobs.set(job.id, {
        job,
        tenant: job.tenant,
        answer: { id: job.id, priority: job.priority, status: 'Queued' },
        ends: Date.now() + limits.retentionMs(),
        size: 0,
      });
      queues[job.priority].push(job.id);
    },
    async take() {
      for (const priority of orderOf(limits.priorities())) {
        for (let id = queues[priority].shift(); id !== undefined; id = queues[priority].shift()) {
          const found = jobs.get(id);
          if (found?.answer.status !== 'Queued' || !found.job) continue;
          found.answer = { ...found.answer, status: 'Running' };
          return found.job;
        }
      }
      return undefined;
    },
    async finish({ id }, outcome) {
      const found = jobs.get(id);
      if (!found) return;
      // The text is not needed any more; the answer is, for a while.
      found.job = undefined;
      if (found.answer.status !== 'Running') return;
      found.answer = { ...found.answer, status: 'result' in outcome ? 'Succeeded' : 'Failed', ...outcome };
      found.size = JSON.stringify(outcome).length;
      kept += found.size;
      for (const [oldest, { size }] of jobs) {
        if (kept <= mostKept) break;
        if (size > 0) forget(oldest);
      }
    },
    async giveBack({ id, priority }) {
      const found = jobs.get(id);
      if (found?.answer.status !== 'Running') return;
      found.answer = { ...found.answer, status: 'Queued' };
      queues[priority].unshift(id);
    },
    read: async (tenant, id) => find(tenant, id).answer,
    async cancel(tenant, id) {
      const found = find(tenant, id);
      const { status } = found.answer;
      if (status !== 'Queued' && status !== 'Running') return found.answer;
      found.answer = { ...found.answer, status: 'Cancelled' };
      found.job = undefined;
      if (status === 'Running') for (const listener of listeners) listener(id);
      return found.answer;
    },
    onCancel: (listener) => void listeners.push(listener),
    async tick() {
      const now = Date.now();
      for (const [id, { ends }] of jobs) if (ends < now) forget(id);
    },
  };
}

/** @throws OVERLOADED */
export function refuseFull(limits: JobLimits, waiting: number, ofTenant: number): void {
  const most = limits.maxQueued();
  const mine = limits.maxOfTenant?.() ?? most;
  if (waiting >= most) throw new QuintetError('OVERLOADED', { queue: 'jobs', waiting, retryAfter: 5 });
  if (ofTenant >= mine)
    throw new QuintetError('OVERLOADED', { queue: 'jobs of the tenant', waiting: ofTenant, retryAfter: 5 });
}
