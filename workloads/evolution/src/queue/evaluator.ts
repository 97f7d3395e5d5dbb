// The coordinator's side of the queue: a task becomes a job whose id is its key, and its result is whatever lies under that key.
//
// A result is the same whoever computes it, so it does not matter how often a job runs. Events only make things quick; a look at all open keys every
// second makes them sure, also after Redis was away, and puts back jobs that a lost Redis has forgotten.
import { Queue, QueueEvents } from 'bullmq';
import type { Problem } from '../data/problem.ts';
import { evaluationKey } from '../evaluate/cache.ts';
import type { Evaluation, EvaluationTask, Evaluator, Judging, Outcome } from '../evaluate/task.ts';
import { forgetQueue, noteQueue, queueName, removeLeftovers } from './leftovers.ts';
import { dataKey, openRedis, redisCache, shipProblem, within } from './store.ts';

export interface QueueOptions {
  readonly url: string;
  /** Names the queue; workers of the run are told the same. */
  readonly runId: string;
  readonly timeLimit: number;
  readonly retries: number;
  readonly keepResults: number;
  readonly keepData: number;
}

/** What a worker gets. */
export interface JobData {
  readonly task: EvaluationTask;
  readonly judging: Judging;
  readonly timeLimit: number;
  readonly keepResults: number;
}

export interface QueueEvaluator extends Evaluator {
  readonly waiting: number;
  stop: () => void;
  /** Ends the run for its workers too. */
  close: () => Promise<void>;
}

interface Open {
  readonly task: EvaluationTask;
  readonly settle: (outcome: Outcome) => void;
}

const sweepEvery = 1000;
/** How often the data set's time is renewed, and the queue's. */
const renewEvery = 60_000;
/** BullMQ's priorities are 1 (first) to 2^21; 0 would pass all others. */
const mostPriority = 2 ** 21 - 1;

export function endedKey(runId: string): string {
  return `quintet:evolution:ended:${runId}`;
}

export async function queueEvaluator(
  problem: Problem,
  judging: Judging,
  options: QueueOptions,
): Promise<QueueEvaluator> {
  const redis = openRedis(options.url);
  await redis.del(endedKey(options.runId));
  await noteQueue(redis, options.runId);
  void removeLeftovers(redis).catch(() => undefined);
  await shipProblem(redis, problem, options.keepData);
  const name = queueName(options.runId);
  const queueConnection = openRedis(options.url);
  const queue = new Queue<JobData>(name, { connection: queueConnection });
  const eventConnection = openRedis(options.url);
  const events = new QueueEvents(name, { connection: eventConnection });
  queue.on('error', () => undefined);
  events.on('error', () => undefined);
  const results = redisCache(redis, options.keepResults);
  const open = new Map<string, Open>();
  let stopped = false;

  const settle = (key: string, outcome: Outcome): void => {
    const found = open.get(key);
    open.delete(key);
    found?.settle(outcome);
  };
  const finished = async (key: string): Promise<void> => {
    if (!open.has(key)) return;
    const evaluation: Evaluation | undefined = await results.get(key);
    if (evaluation) settle(key, { ok: true, cached: false, ...evaluation });
  };
  const add = (key: string, task: EvaluationTask) =>
    queue.add(
      'evaluate',
      { task, judging, timeLimit: options.timeLimit, keepResults: options.keepResults },
      {
        jobId: key,
        priority: Math.max(1, Math.min(mostPriority, task.priority + 2)),
        attempts: options.retries + 1,
        backoff: { type: 'exponential', delay: 500 },
        removeOnComplete: true,
        removeOnFail: { age: 3600 },
      },
    );
  events.on('completed', ({ jobId }) => void finished(jobId).catch(() => undefined));
  events.on('failed', ({ jobId, failedReason }) => settle(jobId, failureOf(failedReason)));

  let renewed = performance.now();
  /** A Redis that restarted, or made room, has lost the data: workers that start now wait for it. */
  const keepData = async (): Promise<void> => {
    const due = performance.now() - renewed > renewEvery;
    if (!due && (await redis.exists(dataKey(problem.hash))) === 1) return;
    await noteQueue(redis, options.runId);
    await shipProblem(redis, problem, options.keepData);
    renewed = performance.now();
  };
  const sweep = async (): Promise<void> => {
    if (redis.status === 'ready') await keepData();
    const keys = [...open.keys()];
    if (keys.length === 0 || redis.status !== 'ready') return;
    const there = await results.has(keys);
    for (const [i, key] of keys.entries()) {
      const wanted = open.get(key);
      if (there[i]) await finished(key);
      else if (wanted) await again(key, wanted.task);
    }
  };
  const again = async (key: string, task: EvaluationTask): Promise<void> => {
    const job = await queue.getJob(key);
    if (!job) await add(key, task);
    else if (await job.isFailed()) settle(key, failureOf(job.failedReason));
  };
  let sweeping = false;
  const timer = setInterval(() => {
    if (sweeping) return;
    sweeping = true;
    void sweep()
      .catch(() => undefined)
      .finally(() => (sweeping = false));
  }, sweepEvery);

  const stop = (): void => {
    stopped = true;
    clearInterval(timer);
    for (const key of open.keys()) settle(key, stoppedOutcome);
  };
  return {
    get waiting() {
      return open.size;
    },
    evaluate: (task) =>
      stopped
        ? Promise.resolve(stoppedOutcome)
        : new Promise((resolve) => {
            const key = evaluationKey(judging, task);
            open.set(key, { task, settle: resolve });
            // A job that cannot be added now is added by the next sweep.
            void add(key, task).catch(() => undefined);
          }),
    stop,
    close: async () => {
      stop();
      const ending = async (): Promise<void> => {
        await redis.set(endedKey(options.runId), '1', 'EX', 86_400);
        await queue.obliterate({ force: true });
        await forgetQueue(redis, options.runId);
      };
      // While Redis is away there is nobody to take leave of.
      const patience = redis.status === 'ready' ? 5000 : 200;
      await within(patience, ending());
      await within(patience, Promise.all([events.close(), queue.close()]));
      for (const connection of [redis, queueConnection, eventConnection]) connection.disconnect();
    },
  };
}

const stoppedOutcome: Outcome = { ok: false, kind: 'Stopped', reason: 'the search has ended' };

function failureOf(reason: string): Outcome {
  return { ok: false, kind: 'Failed', reason };
}
