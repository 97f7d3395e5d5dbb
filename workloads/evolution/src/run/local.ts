// `quintet evolve data.csv --target y --budget 2m`: a whole run on this machine, without Redis or Postgres.
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { type EvolutionRunSpec, evolutionRun, formatIssue, parseDuration, validate } from '@quintet/crds';
import type { Note, Table } from '../data/columns.ts';
import { checkDigest } from '../data/digest.ts';
import { problemOf, type Task, withFrozen } from '../data/problem.ts';
import { formatOf, readTable } from '../data/table.ts';
import { EvolutionError } from '../errors.ts';
import { diskCache } from '../evaluate/cache.ts';
import { startPool } from '../evaluate/pool.ts';
import { type FrozenModel, frozenModel } from '../frozen/model.ts';
import { lightgbmAvailable } from '../learners/lightgbm/library.ts';
import type { Cut } from '../search/search.ts';
import { type Artifacts, writeArtifacts } from './artifacts.ts';
import { checkOutput } from './outputFolder.ts';
import { withinBudget } from './reading.ts';
import { type RunProgress, type RunResult, runEvolution } from './run.ts';
import { heapOf, tableOptionsOf } from './settings.ts';

export interface LocalOptions {
  /** CSV, or Parquet when the name ends so. */
  readonly file: string;
  readonly target: string;
  /** Found in the target's values when left out. */
  readonly task?: Task;
  /** Any further fields of an EvolutionRun's spec, such as `{budget: {time: '2m'}}`. */
  readonly spec?: Readonly<Record<string, unknown>>;
  /** ONNX files that join the ensemble as they are. */
  readonly frozen?: readonly { readonly name: string; readonly file: string }[];
  /** Folder for model, schema, metrics and report; nothing is written when left out. */
  readonly output?: string;
  /** Folder of scores from earlier runs. */
  readonly cache?: string;
  /** Processes; the cores of this machine when left out. */
  readonly workers?: number;
  readonly replay?: Cut;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: RunProgress) => void;
}

export interface LocalResult extends RunResult {
  readonly spec: EvolutionRunSpec;
  readonly notes: readonly Note[];
  readonly artifacts: Artifacts | undefined;
}

/** @throws EvolutionError saying which field, column or row is wrong */
export async function evolve(options: LocalOptions): Promise<LocalResult> {
  const started = performance.now();
  const format = formatOf(options.file);
  // Known now rather than after the whole budget.
  if (options.output !== undefined) await checkOutput(options.output);
  const { spec, table } = await specAndTable(options, format);
  const { sha256 } = spec.dataset;
  if (sha256 !== undefined) await checkDigest(options.file, sha256, 'spec.dataset.sha256');
  const { problem: bare, notes } = problemOf(table, problemOptionsOf(spec));
  const problem = withFrozen(bare, await frozenModels(options, spec));
  const workers = options.workers ?? availableParallelism();
  const result = await runEvolution({
    spec,
    problem,
    started,
    evaluators: (data, judging) =>
      startPool(data, judging, {
        processes: workers,
        timeLimit: 1000 * parseDuration(spec.evaluation.timeLimit),
        retries: spec.evaluation.retries,
        ...heapOf(spec),
      }),
    ...(options.cache === undefined ? {} : { cache: diskCache(options.cache, parseDuration(spec.caches.evaluation)) }),
    ...(options.replay ? { replay: options.replay } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.onProgress ? { onProgress: options.onProgress } : {}),
  });
  const artifacts =
    options.output === undefined
      ? undefined
      : await writeArtifacts(options.output, { spec, problem, notes, result, file: basename(options.file) });
  return { ...result, spec, notes, artifacts };
}

export function problemOptionsOf({ dataset, validation }: EvolutionRunSpec) {
  return {
    target: dataset.target,
    task: dataset.task,
    ...(dataset.positiveClass === undefined ? {} : { positiveClass: dataset.positiveClass }),
    ...(dataset.weight === undefined ? {} : { weight: dataset.weight }),
    ...(validation.groupColumn === undefined ? {} : { groupColumn: validation.groupColumn }),
    ...(validation.timeColumn === undefined ? {} : { timeColumn: validation.timeColumn }),
    told: (dataset.columns ?? []).map((column) => column.name),
  };
}

/** What a cluster would fetch from elsewhere must be given here. @throws EvolutionError InvalidResource, or DataDamaged where a digest is another */
async function frozenModels({ frozen = [] }: LocalOptions, { search }: EvolutionRunSpec): Promise<FrozenModel[]> {
  const wanted = new Map((search.frozen ?? []).map(({ name, sha256 }) => [name, sha256]));
  const missing = [...wanted.keys()].filter((name) => !frozen.some((each) => each.name === name));
  const refused = (field: string, message: string, fix: string) =>
    new EvolutionError('InvalidResource', message, { field, fix });
  if (missing.length > 0)
    throw refused('spec.search.frozen', `${missing.join(', ')} must be files here`, `give --frozen ${missing[0]}.onnx`);
  if (search.warmStart !== undefined)
    throw refused(
      'spec.search.warmStart',
      'earlier runs are in a registry, which there is none of here',
      'leave it out',
    );
  const models = frozen.map(async ({ name, file }) => {
    const sha256 = wanted.get(name);
    if (sha256 !== undefined) await checkDigest(file, sha256, 'spec.search.frozen');
    return frozenModel(name, await readFile(file));
  });
  return Promise.all(models);
}

async function specAndTable(
  options: LocalOptions,
  format: 'CSV' | 'Parquet',
): Promise<{ spec: EvolutionRunSpec; table: Table }> {
  // The types of columns do not depend on the task, but a target of classes is read as such.
  const draft = specOf(options, format, options.task ?? 'Regression');
  return withinBudget(draft, options.signal, async (signal) => {
    const read = (spec: EvolutionRunSpec) => readTable(options.file, { ...tableOptionsOf(spec), signal });
    const table = await read(draft);
    const task = options.task ?? taskOf(table, options.target);
    if (task === draft.dataset.task) return { spec: draft, table };
    const spec = specOf(options, format, task);
    // Words have been read as what they are; numbers that stand for classes are read again, as words.
    const words = table.columns.some(({ name, type }) => name === options.target && type === 'Categorical');
    return { spec, table: words ? table : await read(spec) };
  });
}

/** Whole numbers that are taken for classes; more are values. */
const mostNumbers = 20;

/** Words are classes, and so are a few whole numbers. */
function taskOf(table: Table, target: string): Task {
  const column = table.columns.find((each) => each.name === target);
  if (!column) return 'Regression';
  if (!('codes' in column || 'values' in column)) return 'Multiclass';
  const isMissing = 'codes' in column ? (code: number) => code < 0 : Number.isNaN;
  // Not all of them: a Set holds fewer values than a column may have.
  const distinct = new Set<number>();
  let present = 0;
  for (const value of 'codes' in column ? column.codes : column.values) {
    if (isMissing(value)) continue;
    present++;
    if (distinct.size <= mostNumbers) distinct.add(value);
  }
  if (distinct.size === 2) return 'Binary';
  if ('codes' in column) return 'Multiclass';
  return distinct.size <= mostNumbers && [...distinct].every(Number.isInteger) && distinct.size < present / 10
    ? 'Multiclass'
    : 'Regression';
}

function specOf(options: LocalOptions, format: 'CSV' | 'Parquet', task: Task): EvolutionRunSpec {
  const given = options.spec ?? {};
  const dataset = {
    source: { persistentVolumeClaim: { claimName: 'local', path: 'data' } },
    format,
    target: options.target,
    task,
    maxSize: '64Gi',
    ...(given['dataset'] as Record<string, unknown> | undefined),
  };
  const learners = lightgbmAvailable()
    ? [
        'GradientBoosting',
        'RandomForest',
        'ExtraTrees',
        'Linear',
        'NearestNeighbors',
        ...(task === 'Regression' ? [] : ['NaiveBayes']),
        'NeuralNetwork',
      ]
    : ['Linear', 'NearestNeighbors', 'NeuralNetwork'];
  const search = { learners, population: 24, ...(given['search'] as Record<string, unknown> | undefined) };
  const checked = validate(evolutionRun, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'local' },
    spec: { ...given, dataset, search },
  });
  if ('issues' in checked && checked.issues)
    throw new EvolutionError('InvalidResource', checked.issues.map((issue) => formatIssue(issue)).join('\n'));
  return (checked as unknown as { resource: { spec: EvolutionRunSpec } }).resource.spec;
}
