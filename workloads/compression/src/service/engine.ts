// CompressionService: the compression library behind HTTP and WebSocket, on the runtime every engine stands on.
import {
  createPool,
  type EngineContext,
  type EngineDefinition,
  type Pool,
  type RedisConnection,
} from '@quintet/runtime';
import { actions } from './actions.ts';
import { type Compressor, openCompressor } from './compressor.ts';
import { config, type ServiceConfig } from './config.ts';
import { type JobStore, memoryJobs, redisJobs } from './jobs.ts';
import { answerOrError, routes } from './routes.ts';
import { openStores, type Stores } from './stores.ts';
import { streamRoute } from './stream.ts';

/** Part of every cache key: results of another version of the strategies are not served. */
const version = '1';
const pollMs = 100;
const tickMs = 3000;
const busyMs = 200;
const neverAborted = new AbortController().signal;

export function compressionService(): EngineDefinition<typeof config> {
  let pool: Pool;
  let compressor: Compressor;
  let stores: Stores;
  const stopping = new AbortController();
  const loops: Promise<void>[] = [];
  return {
    name: 'compression',
    version: '0.1.0',
    config,
    reloadable: [
      'compression',
      'conversations',
      'originals.mode',
      'originals.retention',
      'jobs.priorities',
      'jobs.retention',
      'jobs.maxQueued',
      'streaming.maxConnections',
    ],
    actions: actions(() => compressor),
    async start() {
      // Threads load their tokenizer before the first request does.
      const task = { options: { text: 'Ready. Set. Go.', ratio: 1 }, maxTokens: 100 };
      await Promise.all(Array.from({ length: pool.threads }, () => pool.run(task)));
    },
    async routes(server, context) {
      const filename = new URL(import.meta.url.endsWith('.ts') ? './work.ts' : './work.js', import.meta.url).href;
      pool = createPool({ name: 'compression', filename, registry: context.registry, idleTimeout: 600_000 });
      stores = openStores(context);
      compressor = await openCompressor(context, pool, version, stores.originals);
      const jobs = openJobs(context, stores.jobs);
      routes(server, compressor, jobs, context);
      streamRoute(server, compressor, {
        maxMessageSize: context.config.streaming.maxMessageSize,
        maxConnections: () => context.config.streaming.maxConnections,
      });
      for (let i = 0; i < pool.threads; i++) loops.push(workOff(jobs, compressor, stopping.signal, context));
      loops.push(every(tickMs, stopping.signal, () => Promise.all([jobs.tick(), compressor.sync(), stores.sweep()])));
    },
    async onDrain() {
      stopping.abort();
      await Promise.all(loops);
      await compressor.sync().catch(() => undefined);
      await compressor.close();
      await stores.close();
      await pool.close();
    },
  };
}

function openJobs(context: EngineContext<ServiceConfig>, redis: RedisConnection | undefined): JobStore {
  const limits = {
    maxQueued: () => context.config.jobs.maxQueued,
    retentionMs: () => context.config.jobs.retention,
    priorities: () => context.config.jobs.priorities,
  };
  return redis ? redisJobs(redis, limits) : memoryJobs(limits);
}

/** Takes one job after another until the engine stops. */
async function workOff(
  jobs: JobStore,
  compressor: Compressor,
  signal: AbortSignal,
  { log }: EngineContext<ServiceConfig>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const job = await jobs.take();
      if (!job) {
        await pause(pollMs, signal);
        continue;
      }
      // A job at work is finished even when the engine drains: its time limit is that of the compression.
      const answer = await patiently(() =>
        answerOrError(compressor, job.tenant, job.request, AbortSignal.timeout(600_000)),
      );
      await keep(() => jobs.finish(job, 'error' in answer ? { error: answer.error } : { result: answer }), signal);
    } catch (error) {
      log.warn({ err: error }, 'a job could not be taken or kept; trying again');
      await pause(1000, signal);
    }
  }
}

/** Repeats while the threads have no room: a job waits, it does not fail for what others ask. */
async function patiently<T extends object>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    const answer = await work();
    if (!('error' in answer) || (answer.error as { code: string }).code !== 'OVERLOADED') return answer;
    await pause(busyMs, neverAborted);
  }
}

/** Repeats while the store is away; at the end of the engine the job is left to another replica. */
async function keep(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (signal.aborted) throw error;
      await pause(1000, signal);
    }
  }
}

async function every(ms: number, signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) {
    // Redis away is reported by its own metrics and by readiness; the next turn tries again.
    await work().catch(() => undefined);
    await pause(ms, signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
