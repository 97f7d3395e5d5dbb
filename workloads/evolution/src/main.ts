// The engine in a pod: `main coordinator | worker | serve`. What it reads comes from the environment, what it found goes to the termination log as one JSON
// object, and how it gets on to standard output, a JSON object a line.
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type EvolutionRun, evolutionRun, fileOf, parseStored, referenceAt } from '@quintet/crds';
import { cpuThreads, runEngine } from '@quintet/runtime';
import { EvolutionError, messageOf } from './errors.ts';
import { startWorker } from './queue/worker.ts';
import { Registry } from './registry/registry.ts';
import type { RunProgress } from './run/run.ts';
import { heapOf } from './run/settings.ts';
import { coordinate, runIdOf } from './service/coordinator.ts';
import { openPage } from './service/page.ts';
import { modelNameOf, type RunSummary, suspicionOf } from './service/results.ts';
import { lastWord, type StepFailure } from './service/termination.ts';
import { predictEngine } from './serving/engine.ts';

const roles = ['coordinator', 'worker', 'serve'] as const;
/** EX_TEMPFAIL: the same may succeed another time. */
const temporary = 75;
/** EX_CONFIG: only another spec, or other data, can help, and the Job need not try again. */
const refused = 78;
/** Requests for predictions at once: they are computed one after the other, and each may be 1 MiB. */
const mostPredicting = '64';

const role = process.argv[2] as (typeof roles)[number];
const stopping = new AbortController();
if (role !== 'serve') for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort());

process.exit(await main());

async function main(): Promise<number> {
  try {
    if (!roles.includes(role)) throw new EvolutionError('InvalidResource', `usage: main ${roles.join(' | ')}`);
    const resource = resourceAt(required('QUINTET_RESOURCE'));
    if (role === 'serve') return await serve(resource);
    log('started', { run: runIdOf(resource) });
    return role === 'coordinator' ? await coordinator(resource) : await worker(resource);
  } catch (error) {
    return fail(error);
  }
}

async function coordinator(resource: EvolutionRun): Promise<number> {
  const runId = runIdOf(resource);
  let latest: RunProgress | undefined;
  let heard = 0;
  /** A long evaluation says nothing, and time goes by. */
  const page = () =>
    latest &&
    progressOf(runId, { ...latest, secondsLeft: Math.max(0, latest.secondsLeft - (performance.now() - heard) / 1000) });
  let logged = 0;
  // It stops nothing, and so needs no proof of who says it: it is only the word for an end that the kubelet brings.
  let cancelled = false;
  const server = await openPage({
    port: Number(process.env['PORT'] ?? 8080),
    ready: () => true,
    progress: page,
    onCancelled: () => (cancelled = true),
    figures: {
      quintet_evolution_placed_total: { help: 'Pipelines that have taken their place.', read: () => latest?.placed },
      quintet_evolution_generation: { help: 'Generation at work.', read: () => latest?.generation },
      quintet_evolution_best_score: { help: 'Best score, greater being better.', read: () => latest?.best?.score },
      quintet_evolution_seconds_left: { help: 'Budget that is left.', read: () => latest?.secondsLeft },
    },
  });
  const summary = await coordinate({
    resource,
    redisUrl: urlOf(resource, 'queue.redis.secretRef', 'QUINTET_REDIS_URL'),
    postgresUrl: urlOf(resource, 'registry.postgres.secretRef', 'QUINTET_POSTGRES_URL'),
    output: process.env['QUINTET_OUTPUT'],
    processes: Math.max(1, Math.min(availableParallelism(), cpuThreads())),
    signal: stopping.signal,
    isCancelled: () => cancelled,
    onProgress: (progress) => {
      latest = progress;
      heard = performance.now();
      if (performance.now() - logged < 1000 && progress.phase !== 'Done') return;
      logged = performance.now();
      log('progress', progressOf(runId, progress));
    },
  });
  if (stopping.signal.aborted) return 143;
  report(summary);
  log('finished', summary);
  await server.close();
  return 0;
}

async function worker(resource: EvolutionRun): Promise<number> {
  const url = urlOf(resource, 'queue.redis.secretRef', 'QUINTET_REDIS_URL');
  if (url === undefined) {
    throw new EvolutionError('QueueUnavailable', 'workers need a queue', {
      field: 'spec.queue.redis',
      fix: 'name a Secret with the url of a Redis',
    });
  }
  const running = startWorker({ url, runId: runIdOf(resource), concurrency: 1, ...heapOf(resource.spec) });
  const page = await openPage({
    port: Number(process.env['PORT'] ?? 8080),
    ready: () => true,
    progress: () => ({ done: running.done, failed: running.failed, busy: running.busy }),
    figures: {
      quintet_evolution_tasks_done_total: { help: 'Tasks evaluated by this worker.', read: () => running.done },
      quintet_evolution_tasks_failed_total: { help: 'Tasks that failed on this worker.', read: () => running.failed },
      quintet_evolution_tasks_busy: { help: 'Tasks at work.', read: () => running.busy },
    },
  });
  const told = new Promise<void>((resolve) =>
    stopping.signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  // A run that has ended may go on with a new spec; the controller takes the worker away when it is not needed.
  void running.ended.then(() => log('idle', { done: running.done }));
  await told;
  await running.close();
  await page.close();
  return 0;
}

/** Never returns but by throwing: the runtime ends the process. */
async function serve(resource: EvolutionRun): Promise<number> {
  const { promotion } = resource.spec;
  const url = urlOf(resource, 'registry.postgres.secretRef', 'QUINTET_POSTGRES_URL');
  if (url === undefined)
    throw new EvolutionError('RegistryUnavailable', 'predictions need a registry', { field: 'spec.registry.postgres' });
  const tokens = referenceAt(resource.spec, 'promotion.serving.auth.secretRef');
  const engine = predictEngine({
    open: () => Registry.open(url, { migrate: false }),
    name: modelNameOf(resource),
    drift: promotion.serving?.drift !== 'Disabled',
  });
  await runEngine(engine, {
    env: {
      QUINTET_CONFIG__RATE_LIMITS__MAX_CONCURRENT: mostPredicting,
      ...process.env,
      ...(tokens && { QUINTET_CONFIG__AUTH__DIRECTORY: tokens.mountPath }),
    },
  });
  return 0;
}

function progressOf(runId: string, progress: RunProgress): Record<string, unknown> {
  const { best, phase, generation, placed, racedOut, failed, cached, queued, secondsLeft, share, score } = progress;
  return {
    runId,
    phase,
    generation,
    placed,
    evaluations: { done: placed - racedOut - failed, cached, racedOut, failed, queued },
    secondsLeft: Math.round(secondsLeft),
    percent: Math.round(100 * share),
    best: { learner: best?.genome.learner, score: score?.toFixed(5) },
    ...suspicionOf(progress.suspects),
  };
}

function resourceAt(path: string): EvolutionRun {
  try {
    return parseStored(evolutionRun, JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new EvolutionError('InvalidResource', `${path}: ${messageOf(cause)}`, {}, cause);
  }
}

/** From the mounted Secret, else from the environment: what the chart sets for its own. */
function urlOf(resource: EvolutionRun, path: string, variable: string): string | undefined {
  const reference = referenceAt(resource.spec, path);
  if (!reference) return process.env[variable];
  try {
    return readFileSync(fileOf(reference, 'url'), 'utf8').trim();
  } catch (cause) {
    throw new EvolutionError(
      'InvalidResource',
      `the Secret ${reference.name} has no key url`,
      { field: `spec.${path}` },
      cause,
    );
  }
}

function fail(error: unknown): number {
  if (stopping.signal.aborted) return 143;
  const known = error instanceof EvolutionError;
  const reason = known ? error.reason : 'EngineFailed';
  const field = known ? error.where.field : undefined;
  log('failed', { reason, message: messageOf(error), field, ...(!known && { stack: (error as Error)?.stack }) });
  report({
    step: role,
    error: { reason, message: messageOf(error), ...(field !== undefined && { field }) },
  });
  return !known ? 1 : error.retryable ? temporary : refused;
}

function report(said: RunSummary | StepFailure): void {
  const path = process.env['QUINTET_TERMINATION_LOG'] ?? '/dev/termination-log';
  try {
    writeFileSync(path, lastWord(said));
  } catch (error) {
    log('unreported', { path, message: messageOf(error) });
  }
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new EvolutionError('InvalidResource', `the environment variable ${name} is not set`);
  return value;
}

function log(message: string, fields: object): void {
  process.stdout.write(
    `${JSON.stringify({ level: message === 'failed' ? 'error' : 'info', time: new Date().toISOString(), message, role, ...fields })}\n`,
  );
}
