// The coordinator of a run in a cluster: data in, search over the queue, results into registry and output, and one line for the resource's status.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type EvolutionRun, type EvolutionRunSpec, parseDecimal, parseDuration, parsePercentage } from '@quintet/crds';
import { type Problem, problemOf } from '../data/problem.ts';
import { readTable } from '../data/table.ts';
import { startPool } from '../evaluate/pool.ts';
import type { Judging } from '../evaluate/task.ts';
import { isError, scoreOf } from '../metrics/metrics.ts';
import { queueEvaluator } from '../queue/evaluator.ts';
import { checkRedis, openRedis, redisCache } from '../queue/store.ts';
import { Registry, type RunRows } from '../registry/registry.ts';
import { metricsOf, writeArtifacts } from '../run/artifacts.ts';
import { problemOptionsOf } from '../run/local.ts';
import { packModel } from '../run/model.ts';
import { type RunProgress, type RunResult, runEvolution } from '../run/run.ts';
import { heapOf, tableOptionsOf } from '../run/settings.ts';
import { mixedPredictions } from '../search/ensemble.ts';
import { frontsOf } from '../search/nsga2.ts';
import { type DataFile, dataFileOf } from './data.ts';

export interface CoordinatorOptions {
  readonly resource: EvolutionRun;
  readonly redisUrl: string | undefined;
  readonly postgresUrl: string | undefined;
  /** Folder for artifacts. */
  readonly output: string | undefined;
  /** Processes, where there is no queue. */
  readonly processes: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: RunProgress) => void;
}

/** What goes into the resource's status. */
export interface RunSummary {
  readonly step: 'coordinator';
  readonly runId: string;
  readonly generation: number;
  readonly evaluations: {
    readonly done: number;
    readonly cached: number;
    readonly racedOut: number;
    readonly failed: number;
  };
  readonly best: {
    readonly modelId: string;
    readonly learner: string;
    readonly score?: string;
    readonly holdout?: string;
    readonly inferenceTime?: string;
  };
  readonly suspectColumns?: readonly string[];
  readonly output?: { readonly uri: string; readonly report: string; readonly bytes: number };
}

/** The same resource with the same spec is the same run, however often its coordinator starts. */
export function runIdOf({ metadata, spec }: EvolutionRun): string {
  const { suspend: _s, ttlAfterFinished: _t, activeDeadline: _d, retries: _r, workers: _w, ...search } = spec;
  const mark = createHash('sha256')
    .update(JSON.stringify([metadata.uid ?? '', sorted(search)]))
    .digest('hex');
  return `${metadata.name}-${mark.slice(0, 12)}`;
}

export async function coordinate(options: CoordinatorOptions): Promise<RunSummary> {
  const { resource, redisUrl, postgresUrl } = options;
  const { spec, metadata } = resource;
  const runId = runIdOf(resource);
  const registry = postgresUrl === undefined ? undefined : await Registry.open(postgresUrl);
  try {
    const start = await registry?.startRun({
      runId,
      name: metadata.name,
      spec,
      seed: spec.search.seed,
      teams: spec.share ?? [],
    });
    if (start?.finished) return (await registry!.resultOf(runId)) as RunSummary;
    // A coordinator that comes back has what is left of the time.
    const started = performance.now() - (start ? Math.max(0, Date.now() - start.startedAt.getTime()) : 0);
    const file = await dataFileOf(spec);
    const { problem, notes } = await problemIn(file, spec);
    const redis = redisUrl === undefined ? undefined : openRedis(redisUrl);
    try {
      if (redis) await checkRedis(redis);
      const result = await runEvolution({
        spec,
        problem,
        started,
        evaluators: (data, judging) => evaluatorsOf(options, runId, data, judging),
        ...(redis ? { cache: redisCache(redis, parseDuration(spec.caches.evaluation)) } : {}),
        ...(options.signal ? { signal: options.signal } : {}),
        ...(options.onProgress ? { onProgress: options.onProgress } : {}),
      });
      // Told to stop is not done: the next coordinator goes on from what is cached.
      options.signal?.throwIfAborted();
      const artifacts =
        options.output === undefined
          ? undefined
          : await writeArtifacts(join(options.output, runId), { spec, problem, notes, result });
      const summary = summaryOf(
        resource,
        runId,
        result,
        artifacts && {
          uri: outputUri(resource, runId),
          report: `${outputUri(resource, runId)}/report.html`,
          bytes: artifacts.bytes,
        },
      );
      await registry?.finishRun(
        runId,
        rowsOf(resource, runId, problem, result, summary, metricsOf({ spec, problem, notes, result })),
        {
          mode: spec.promotion.mode,
          weight: parsePercentage(spec.promotion.weight),
          minImprovement: parseDecimal(spec.promotion.minImprovement),
          greaterIsBetter: !isError(result.judging.metric),
        },
      );
      result.model.close();
      return summary;
    } finally {
      redis?.disconnect();
    }
  } finally {
    await registry?.close();
  }
}

async function problemIn(file: DataFile, spec: EvolutionRunSpec) {
  try {
    return problemOf(await readTable(file.path, tableOptionsOf(spec)), problemOptionsOf(spec));
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

function outputUri({ spec, metadata }: EvolutionRun, runId: string): string {
  const claim = spec.output?.persistentVolumeClaim;
  return `claim://${claim?.claimName ?? `${metadata.name}-evolution`}/${[claim?.path ?? metadata.name, runId].join('/')}`;
}

function modelIdOf(runId: string): string {
  return `${runId.slice(0, 50)}-m1`;
}

function summaryOf(
  _resource: EvolutionRun,
  runId: string,
  result: RunResult,
  output: RunSummary['output'],
): RunSummary {
  const { search, suspects } = result;
  const columns = [
    ...new Set(suspects.flatMap((suspect) => (suspect.column === undefined ? [] : [suspect.column.slice(0, 256)]))),
  ].slice(0, 8);
  return {
    step: 'coordinator',
    runId,
    generation: search.generation,
    evaluations: {
      done: search.complete.length,
      cached: search.cached,
      racedOut: search.racedOut,
      failed: search.failed,
    },
    best: {
      modelId: modelIdOf(runId),
      learner: learnerOf(result),
      ...(result.score === undefined ? {} : { score: result.score.toFixed(5) }),
      ...(result.holdout === undefined ? {} : { holdout: result.holdout.toFixed(5) }),
      ...(result.inferenceTime === undefined ? {} : { inferenceTime: `${result.inferenceTime.toPrecision(3)}ms` }),
    },
    ...(columns.length > 0 ? { suspectColumns: columns } : {}),
    ...(output ? { output } : {}),
  };
}

function learnerOf({ ensemble }: RunResult): string {
  const members = ensemble?.members ?? [];
  if (members.length === 0) return 'Constant';
  return members.length === 1 ? members[0]!.individual.genome.learner : `Ensemble of ${members.length}`;
}

function rowsOf(
  resource: EvolutionRun,
  runId: string,
  problem: Problem,
  result: RunResult,
  summary: RunSummary,
  parameters: unknown,
): RunRows {
  const { search, judging, ensemble, truths } = result;
  const front = new Set(frontsOf(search.complete)[0] ?? []);
  const { bytes, sha256 } = packModel(result.model.stored);
  const overFolds = (metric: 'RocAUC' | 'F1') =>
    !ensemble || problem.task === 'Regression'
      ? null
      : truths.reduce((sum, truth, fold) => sum + scoreOf(metric, truth, mixedPredictions(ensemble.members, fold)), 0) /
        truths.length;
  const byGeneration = Map.groupBy(search.complete, (each) => each.generation);
  return {
    metric: judging.metric,
    result: summary,
    dataset: {
      hash: problem.hash,
      rows: problem.rows,
      features: problem.features.length,
      target: problem.target,
      schema: result.model.stored.features.map(({ name, column, type, kind }) => ({ name, column, type, kind })),
    },
    generations: [...byGeneration].map(([generation, members]) => ({
      generation,
      complete: members.length,
      best: Math.max(...members.map((member) => member.score)),
    })),
    individuals: search.complete.map((each, i) => ({
      index: each.index,
      generation: each.generation,
      island: each.island,
      key: each.key,
      learner: each.genome.learner,
      genes: each.genome.genes,
      parents: each.parents,
      score: each.score,
      foldScores: each.scores,
      cost: each.cost,
      onFront: front.has(i),
    })),
    model: {
      modelId: modelIdOf(runId),
      name: resource.spec.promotion.model ?? resource.metadata.name,
      type: learnerOf(result),
      score: result.score ?? null,
      holdout: result.holdout ?? null,
      rocAuc: overFolds('RocAUC'),
      f1Score: overFolds('F1'),
      parameters,
      sha256,
      content: bytes,
    },
  };
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
