// The coordinator of a run in a cluster: data in, search over the queue, results into registry and output, and one line for the resource's status.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import {
  type EvolutionRun,
  type EvolutionRunSpec,
  parseDecimal,
  parseDuration,
  parsePercentage,
  partAsking,
} from '@quintet/crds';
import { type Problem, problemOf, withFrozen } from '../data/problem.ts';
import { readTable } from '../data/table.ts';
import { EvolutionError } from '../errors.ts';
import type { EvaluationCache } from '../evaluate/cache.ts';
import { startPool } from '../evaluate/pool.ts';
import type { Judging } from '../evaluate/task.ts';
import { isError, type Metric } from '../metrics/metrics.ts';
import { queueEvaluator } from '../queue/evaluator.ts';
import { checkRedis, openRedis, redisCache } from '../queue/store.ts';
import { Registry } from '../registry/registry.ts';
import type { Decision, Promotion, RunAttempt } from '../registry/rows.ts';
import { artifactFiles, type RunRecord, sizeOf, writeArtifacts } from '../run/artifacts.ts';
import type { Before } from '../run/clock.ts';
import { problemOptionsOf } from '../run/local.ts';
import { packModel } from '../run/model.ts';
import { withinBudget } from '../run/reading.ts';
import { type RunProgress, runEvolution } from '../run/run.ts';
import { heapOf, tableOptionsOf } from '../run/settings.ts';
import { shareableSpec } from '../run/shareable.ts';
import type { Cut } from '../search/search.ts';
import { startOf } from '../text.ts';
import { type Attempt, beginAttempt } from './attempt.ts';
import { type Bucket, checkBucket, upload } from './bucket.ts';
import { dataFileOf } from './data.ts';
import { frozenModelsOf } from './frozen.ts';
import { deploymentOf, modelNameOf, type RunSummary, rowsOf, summaryOf } from './results.ts';

export interface CoordinatorOptions {
  readonly resource: EvolutionRun;
  readonly redisUrl: string | undefined;
  readonly postgresUrl: string | undefined;
  /** Folder for artifacts. */
  readonly output: string | undefined;
  /** Processes, where there is no queue. */
  readonly processes: number;
  readonly signal?: AbortSignal;
  /** Whether whoever stops it has said that nobody wants the run any more. */
  readonly isCancelled?: () => boolean;
  readonly onProgress?: (progress: RunProgress) => void;
}

type Registered = RunAttempt & { readonly registry: Registry; readonly before: Before };

/** Longest start of a run's id: with its mark and the model's number it stays within 64 characters. */
const longestName = 47;
/** Of a reason in the status: names of columns may be long. */
const longestWhy = 300;
/** Milliseconds between notes of how far the run is. */
const paceEvery = 3000;

/** The same resource that asks for the same search is the same run, however often its coordinator starts, and on what. */
export function runIdOf({ metadata, spec }: EvolutionRun): string {
  const mark = createHash('sha256')
    .update(JSON.stringify([metadata.uid ?? '', sorted(partAsking(spec, 'Search'))]))
    .digest('hex');
  return `${metadata.name.slice(0, longestName).replace(/[-.]+$/, '')}-${mark.slice(0, 12)}`;
}

export async function coordinate(options: CoordinatorOptions): Promise<RunSummary> {
  const { resource, postgresUrl } = options;
  const { spec, metadata } = resource;
  const runId = runIdOf(resource);
  const registry = postgresUrl === undefined ? undefined : await Registry.open(postgresUrl);
  let attempt: Attempt | undefined;
  try {
    const { name, namespace, uid } = metadata;
    const teams = spec.share ?? [];
    const { seed } = spec.search;
    const start = await registry?.startRun({ runId, name, namespace, uid, spec: shareableSpec(spec), seed, teams });
    attempt = registry && start && beginAttempt(registry, start, options);
    const run = registry && start && { ...start, registry };
    const summary = run?.finished ? await revised(options, run) : await searched(options, runId, run);
    return { ...summary, ...(registry && (await promotedBy(registry, resource, summary.best.modelId))) };
  } catch (error) {
    await attempt?.fail(error);
    throw error;
  } finally {
    await attempt?.end();
    await registry?.close();
  }
}

/** What became of the run's model, and who answers under its name. */
async function promotedBy(
  registry: Registry,
  resource: EvolutionRun,
  modelId: string,
): Promise<Pick<RunSummary, 'promotion' | 'deployment'>> {
  const asked = resource.spec.promotion.mode !== 'None';
  const promotion = asked ? await registry.decisionOn(modelId) : undefined;
  const deployment = await registry.deployment(modelNameOf(resource));
  return {
    ...(promotion && { promotion: shortened(promotion) }),
    ...(deployment?.champion ? { deployment: deploymentOf(deployment) } : {}),
  };
}

function shortened({ role, why }: Decision): Decision {
  return { role, ...(why !== undefined && { why: startOf(why, longestWhy) }) };
}

/** Of a run that has ended: its spec asks for something else of what it found. Its search is repeated, to the same end, only for files that are not there. */
async function revised(options: CoordinatorOptions, run: Registered): Promise<RunSummary> {
  const { runId, registry } = run;
  const { spec } = options.resource;
  const known = (await registry.resultOf(runId)) as RunSummary;
  const model = await registry.model(known.best.modelId);
  const uri = outputUri(options, runId);
  const isThere = uri === undefined || uri === known.output?.uri;
  const { output } = isThere ? known : await searched(options, runId, run, model?.sha256);
  const result = { ...known, ...(output && { output }) };
  if (model)
    await registry.reviseRun({ runId, spec: shareableSpec(spec), result }, promotionOf(spec, model.metric as Metric));
  return result;
}

/** @param known Digest of the model that it found before */
async function searched(
  options: CoordinatorOptions,
  runId: string,
  run: Registered | undefined,
  known?: string,
): Promise<RunSummary> {
  const { resource, redisUrl, signal, onProgress } = options;
  const { spec } = resource;
  const started = performance.now();
  if (spec.output?.s3) await checkBucket(spec.output.s3);
  const first = await frontToStartFrom(spec, run?.registry);
  const { problem, notes } = await withinBudget(spec, signal, (stop) => problemOfSpec(spec, stop));
  const pace = run && paceKeeper(run);
  const redis = redisUrl === undefined ? undefined : openRedis(redisUrl);
  let latest: RunProgress | undefined;
  try {
    if (redis) await checkRedis(redis);
    const result = await runEvolution({
      spec,
      problem,
      started,
      evaluators: (data, judging) => evaluatorsOf(options, runId, data, judging),
      ...(redis ? { cache: kept(redisCache(redis, parseDuration(spec.caches.evaluation))) } : {}),
      ...(run ? { before: run.before, onCut: (cut: Cut) => run.registry.keepCut(run, cut) } : {}),
      ...(first ? { first } : {}),
      ...(signal ? { signal } : {}),
      onProgress: (progress) => {
        latest = progress;
        pace?.(progress);
        onProgress?.(progress);
      },
    });
    // Told to stop is not done: the next coordinator goes on from what is cached.
    signal?.throwIfAborted();
    const record = { spec, problem, notes, result };
    if (known !== undefined && packModel(result.model.stored).sha256 !== known) throw anotherModel(runId);
    const output = await keptOutput(options, runId, record);
    const summary = summaryOf(runId, result, output);
    if (latest) await run?.registry.keepPace(run, latest.secondsUsed, latest.placed);
    await run?.registry.finishRun(
      runId,
      rowsOf(resource, runId, record, summary),
      promotionOf(spec, result.judging.metric),
    );
    result.model.close();
    return summary;
  } finally {
    redis?.disconnect();
  }
}

/** @throws EvolutionError InvalidResource when the registry has no such run */
async function frontToStartFrom({ search: { warmStart } }: EvolutionRunSpec, registry: Registry | undefined) {
  if (warmStart === undefined) return undefined;
  const front = await registry?.frontOf(warmStart);
  if (front) return front;
  throw new EvolutionError('InvalidResource', `the registry has no front of a run ${warmStart}`, {
    field: 'spec.search.warmStart',
    fix: 'name a run that has ended, by status.runId',
  });
}

function promotionOf({ promotion }: EvolutionRunSpec, metric: Metric): Promotion {
  return {
    mode: promotion.mode,
    weight: parsePercentage(promotion.weight),
    minImprovement: parseDecimal(promotion.minImprovement),
    greaterIsBetter: !isError(metric),
  };
}

/** Notes every few seconds how far the run is; a note that fails is made up for by the next. */
function paceKeeper(run: Registered): (progress: RunProgress) => void {
  let last = performance.now();
  return ({ secondsUsed, placed }) => {
    if (performance.now() - last < paceEvery) return;
    last = performance.now();
    void run.registry.keepPace(run, secondsUsed, placed).catch(() => undefined);
  };
}

function anotherModel(runId: string): EvolutionError {
  return new EvolutionError(
    'DataInvalid',
    `what ${runId} found cannot be found again: its data or the engine have changed since`,
    {
      field: 'spec.output',
      fix: 'leave output as it was, or ask for a new run by spec.search.seed',
    },
  );
}

/** Writes the run's files where the spec says; undefined where it says nothing. */
async function keptOutput(
  options: CoordinatorOptions,
  runId: string,
  record: RunRecord,
): Promise<RunSummary['output']> {
  const uri = outputUri(options, runId);
  if (uri === undefined) return undefined;
  const { s3 } = options.resource.spec.output ?? {};
  const report = `${uri}/report.html`;
  if (!s3) return { uri, report, bytes: (await writeArtifacts(join(options.output!, runId), record)).bytes };
  const files = artifactFiles(record);
  await upload(s3, prefixOf(s3, options, runId), files);
  return { uri, report, bytes: sizeOf(files).bytes };
}

/** Where the spec wants the run's files. */
function outputUri(options: CoordinatorOptions, runId: string): string | undefined {
  const { name } = options.resource.metadata;
  const { s3, persistentVolumeClaim: claim } = options.resource.spec.output ?? {};
  if (s3) return `s3://${s3.bucket}/${prefixOf(s3, options, runId)}`;
  if (options.output === undefined) return undefined;
  return `claim://${claim?.claimName ?? `${name}-evolution`}/${claim?.path ?? name}/${runId}`;
}

function prefixOf({ prefix }: Bucket, { resource: { metadata } }: CoordinatorOptions, runId: string): string {
  return `${prefix ?? `${metadata.namespace}/${metadata.name}`}/${runId}`;
}

/** Workers leave results in Redis themselves. */
function kept({ get }: EvaluationCache): EvaluationCache {
  return { get, set: async () => undefined };
}

async function problemOfSpec(spec: EvolutionRunSpec, signal: AbortSignal) {
  const file = await dataFileOf(spec, signal);
  try {
    const table = await readTable(file.path, { ...tableOptionsOf(spec), signal });
    const { problem, notes } = problemOf(table, problemOptionsOf(spec));
    return { problem: withFrozen(problem, await frozenModelsOf(spec, signal)), notes };
  } finally {
    await file.release();
  }
}

function evaluatorsOf(
  { resource: { spec }, redisUrl, processes }: CoordinatorOptions,
  runId: string,
  problem: Problem,
  judging: Judging,
) {
  const timeLimit = 1000 * parseDuration(spec.evaluation.timeLimit);
  const { retries } = spec.evaluation;
  if (redisUrl === undefined) return startPool(problem, judging, { processes, timeLimit, retries, ...heapOf(spec) });
  return queueEvaluator(problem, judging, {
    url: redisUrl,
    runId,
    timeLimit,
    retries,
    keepResults: parseDuration(spec.caches.evaluation),
    keepData: parseDuration(spec.caches.dataset),
  });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
}
