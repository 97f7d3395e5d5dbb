// CompressionService: the compression library behind HTTP and WebSocket, on the runtime every engine stands on.
import {
  cpuThreads,
  createPool,
  type EngineContext,
  type EngineDefinition,
  memoryLimit,
  type Pool,
  QuintetError,
} from '@quintet/runtime';
import { actions } from './actions.ts';
import { type Compressor, openCompressor } from './compressor.ts';
import { config, type ServiceConfig } from './config.ts';
import { type Job, type JobStore, memoryJobs } from './jobs.ts';
import { jobsTold } from './jobsTold.ts';
import { type ServiceModels, serviceModels } from './models.ts';
import { redisJobs } from './redisJobs.ts';
import { answerOrError, routes } from './routes.ts';
import { openStores, type Stores } from './stores.ts';
import { streamRoute } from './stream.ts';

/** Part of every cache key: results of another version of the strategies are not served. */
const version = '2';
const pollMs = 100;
const tickMs = 3000;
const busyMs = 200;
/** Milliseconds that a job may take. */
const jobLimit = 600_000;

export function compressionService(): EngineDefinition<typeof config> {
  let pool: Pool;
  let compressor: Compressor;
  let stores: Stores;
  let models: ServiceModels;
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
    ...actions(
      () => compressor,
      () => models,
    ),
    async start() {
      // A thread takes a task when it has its tokenizer: the first request does not wait for that.
      const task = { options: { text: 'Ready. Set. Go.', ratio: 1 }, maxTokens: 100 };
      await Promise.all([...Array.from({ length: pool.threads }, () => pool.run(task)), models.load(stopping.signal)]);
    },
    async routes(server, context) {
      const filename = new URL(import.meta.url.endsWith('.ts') ? './work.ts' : './work.js', import.meta.url).href;
      const threads = cpuThreads();
      // A text that needs more ends its thread, not the pod with all that it holds.
      const maxHeap = Math.max(256, Math.floor((memoryLimit() * 0.6) / threads / 1024 / 1024));
      const { registry } = context;
      pool = createPool({ name: 'compression', filename, registry, threads, minThreads: threads, maxHeap });
      stores = openStores(context);
      models = serviceModels(context);
      compressor = await openCompressor(context, pool, version, stores.originals, models);
      const jobs = openJobs(context, stores);
      routes(server, compressor, jobs, context);
      streamRoute(server, compressor, {
        maxMessageSize: context.config.streaming.maxMessageSize,
        maxConnections: () => context.config.streaming.maxConnections,
      });
      const running = new Map<string, AbortController>();
      jobs.onCancel((id) => running.get(id)?.abort(new QuintetError('CANCELLED')));
      for (let i = 0; i < pool.threads; i++)
        loops.push(workOff({ jobs, compressor, running, context }, stopping.signal));
      const tellJobs = jobsTold(context.registry, jobs, () => running.size);
      const tick = () => Promise.all([jobs.tick().then(tellJobs), compressor.sync(), stores.sweep()]);
      loops.push(every(tickMs, stopping.signal, tick));
    },
    async onDrain() {
      stopping.abort();
      await Promise.all(loops);
      await compressor.sync().catch(() => undefined);
      await compressor.close();
      await stores.close();
      await models.close();
      await pool.close();
    },
  };
}

function openJobs(context: EngineContext<ServiceConfig>, { jobs: redis, prefix }: Stores): JobStore {
  const maxQueued = (): number => context.config.jobs.maxQueued;
  const limits = {
    maxQueued,
    retentionMs: () => context.config.jobs.retention,
    priorities: () => context.config.jobs.priorities,
    // Where there are several tenants, none fills the queue for all.
    ...(context.settings.auth && { maxOfTenant: () => Math.max(1, Math.ceil(maxQueued() / 2)) }),
  };
  return redis ? redisJobs(redis, limits, `${prefix}:jobs`) : memoryJobs(limits);
}

interface Workplace {
  readonly jobs: JobStore;
  readonly compressor: Compressor;
  /** Jobs at work here, to be called off. */
  readonly running: Map<string, AbortController>;
  readonly context: EngineContext<ServiceConfig>;
}

/** Takes one job after another until the engine stops; what is at work then goes back to its queue. */
async function workOff(place: Workplace, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const job = await place.jobs.take();
      if (job) await workOn(job, place, signal);
      else await pause(pollMs, signal);
    } catch (error) {
      place.context.log.warn({ err: error }, 'a job could not be taken or kept; trying again');
      await pause(1000, signal);
    }
  }
}

async function workOn(job: Job, { jobs, compressor, running, context }: Workplace, signal: AbortSignal): Promise<void> {
  const off = new AbortController();
  running.set(job.id, off);
  const any = AbortSignal.any([off.signal, signal, AbortSignal.timeout(jobLimit)]);
  try {
    const answer = await patiently(() => answerOrError(compressor, job.tenant, job.request, any, context.log), any);
    await keep(() => jobs.finish(job, 'error' in answer ? { error: answer.error } : { result: answer }), signal);
  } catch (error) {
    if (!any.aborted) throw error;
    if (signal.aborted) await jobs.giveBack(job);
    else if (off.signal.aborted) await jobs.finish(job, { error: { code: 'CANCELLED', message: 'it was cancelled' } });
    else {
      const message = `it took longer than ${jobLimit / 1000} s`;
      await keep(() => jobs.finish(job, { error: { code: 'DEADLINE_EXCEEDED', message } }), signal);
    }
  } finally {
    running.delete(job.id);
  }
}

/** Repeats while the threads have no room: a job waits, it does not fail for what others ask. */
async function patiently<T extends object>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const answer = await work();
    if (!('error' in answer) || (answer.error as { code: string }).code !== 'OVERLOADED') return answer;
    await pause(busyMs, signal);
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
