// A worker of one run: takes a task at a time, evaluates it in a process that can be killed, and leaves the result under its key.
import { UnrecoverableError, WaitingError, Worker } from 'bullmq';
import type { Problem } from '../data/problem.ts';
import { evaluationKey } from '../evaluate/cache.ts';
import { type EvaluationPool, startPool } from '../evaluate/pool.ts';
import type { Judging } from '../evaluate/task.ts';
import { endedKey, type JobData } from './evaluator.ts';
import { queueName } from './leftovers.ts';
import { openRedis, receiveProblem, redisCache, within } from './store.ts';

export interface WorkerOptions {
  readonly url: string;
  readonly runId: string;
  /** Tasks at once; each has a process of its own. */
  readonly concurrency: number;
  readonly heap?: number;
  /** Milliseconds after which a silent worker's task goes to another; 30 000 when left out. */
  readonly lockDuration?: number;
  /** Module that evaluates, for tests. */
  readonly module?: string;
}

export interface RunningWorker {
  readonly done: number;
  readonly failed: number;
  readonly busy: number;
  /** Resolves when the run has ended. */
  readonly ended: Promise<void>;
  /** Gives tasks under way back and ends. */
  close: () => Promise<void>;
}

/** Milliseconds. */
const waitForData = 500;
const giveBackTime = 5000;
const mostDamaged = 3;
const closingReason = 'the worker ends';

export function startWorker(options: WorkerOptions): RunningWorker {
  const { url, runId, concurrency } = options;
  const redis = openRedis(url);
  const connection = openRedis(url);
  const counts = { done: 0, failed: 0, busy: 0 };
  let pool: { key: string; made: Promise<EvaluationPool> } | undefined;
  let closing = false;

  /** Waits for data that Redis has lost: the coordinator ships it again, and no task is to blame. */
  const problemOf = async (hash: string): Promise<Problem> => {
    for (let damaged = 0; !closing; ) {
      try {
        const problem = await receiveProblem(redis, hash);
        if (problem) return problem;
      } catch (error) {
        if (++damaged === mostDamaged) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, waitForData));
    }
    throw new Error(closingReason);
  };
  const poolFor = (judging: Judging, timeLimit: number): Promise<EvaluationPool> => {
    const key = JSON.stringify([judging, timeLimit]);
    if (pool?.key !== key) {
      void pool?.made.then((old) => old.close()).catch(() => undefined);
      const made = problemOf(judging.data).then((problem) =>
        startPool(problem, judging, {
          processes: concurrency,
          timeLimit,
          retries: 0,
          ...(options.heap ? { heap: options.heap } : {}),
          ...(options.module ? { module: options.module } : {}),
        }),
      );
      pool = { key, made };
      // A data set that did not come is asked for again by the next task.
      made.catch(() => (pool = undefined));
    }
    return pool.made;
  };

  const worker = new Worker<JobData>(
    queueName(runId),
    async (job, token) => {
      const { task, judging, timeLimit, keepResults } = job.data;
      const key = evaluationKey(judging, task);
      const results = redisCache(redis, keepResults);
      if ((await results.has([key]))[0]) return;
      counts.busy++;
      try {
        const outcome = await poolFor(judging, timeLimit)
          .then((evaluator) => evaluator.evaluate(task))
          .catch((error: unknown) => {
            if (closing) return undefined;
            throw error;
          });
        if (!outcome || (!outcome.ok && outcome.kind === 'Stopped')) {
          // The worker ends, or has a new pool: no fault of the task, which goes back as it came.
          await job.moveToWait(token);
          throw new WaitingError();
        }
        if (outcome.ok) {
          const { ok: _, cached: __, ...evaluation } = outcome;
          await results.set(key, evaluation);
          counts.done++;
          return;
        }
        counts.failed++;
        // What the data or the clock refuse, they refuse again; a dead process may have been bad luck.
        if (!outcome.reason.startsWith('its process ended')) throw new UnrecoverableError(outcome.reason);
        throw new Error(outcome.reason);
      } finally {
        counts.busy--;
      }
    },
    {
      connection,
      concurrency,
      lockDuration: options.lockDuration ?? 30_000,
      stalledInterval: options.lockDuration ?? 30_000,
      // Dying workers are no fault of the task.
      maxStalledCount: 1000,
    },
  );
  worker.on('error', () => undefined);

  let resolveEnded: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (resolveEnded = resolve));
  const watch = setInterval(() => {
    if (redis.status === 'ready')
      void redis
        .exists(endedKey(runId))
        .then((found) => found === 1 && resolveEnded())
        .catch(() => undefined);
  }, 1000);

  return {
    get done() {
      return counts.done;
    },
    get failed() {
      return counts.failed;
    },
    get busy() {
      return counts.busy;
    },
    ended,
    close: async () => {
      if (closing) return;
      closing = true;
      clearInterval(watch);
      // First no new task, then those under way go back; what a silent Redis does not take back, it gives to others by itself.
      await worker.pause(true).catch(() => undefined);
      if (pool)
        await within(
          giveBackTime,
          pool.made.then((made) => made.close()),
        );
      await within(giveBackTime, worker.close());
      redis.disconnect();
      connection.disconnect();
    },
  };
}
