// `quintet run`: the three steps of a FieldJob one after the other in this process.
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { resolve as absolute, dirname, join } from 'node:path';
import { type FieldJob, InvalidResourceError } from '@quintet/crds';
import { parseUserFile } from '@quintet/crds/userfile';
import {
  FieldError,
  type FinishResult,
  finish,
  openPool,
  type PlanResult,
  planByTurns,
  resolve,
  shard,
  usableCores,
} from '@quintet/field';
import { interrupts } from './interrupts.ts';
import { ProgressBar } from './progress.ts';
import { claimed, configMapsOf } from './references.ts';
import { summaryTable } from './table.ts';
import { readTextFile } from './textFile.ts';

export interface RunOptions {
  out: string;
  name?: string;
  threads?: number;
  claim: ReadonlyMap<string, string>;
  json?: boolean;
}

/** @returns the exit code. Everything that went wrong has been said on standard error. */
export async function runField(file: string, options: RunOptions): Promise<number> {
  const { signal, stopListening } = interrupts(new Interrupted());
  try {
    const text = readTextFile(file, 16, 'resource');
    const job = chooseJob(parseUserFile(text, file), file, options.name);
    const result = await compute(job, text, options, signal);
    console.log(
      options.json
        ? JSON.stringify(result.finish)
        : summaryTable(job.metadata.name, result.plan, result.finish, options.out),
    );
    return 0;
  } catch (error) {
    return explain(error, options.out);
  } finally {
    stopListening();
  }
}

async function compute(
  job: FieldJob,
  text: string,
  { out, claim, threads = usableCores() }: RunOptions,
  signal: AbortSignal,
): Promise<{ plan: PlanResult; finish: FinishResult }> {
  const problem = resolve(job, claimed(configMapsOf(text), claim));
  makeFolder(out);
  const progress = new ProgressBar(process.stderr);
  const planned = await planByTurns(problem, out, signal);
  for (const warning of planned.warnings) progress.say(`warning: ${warning}`);
  if (planned.simulation) progress.say(planned.simulation);
  let before = 0;
  const pool = openPool(problem, out, threads);
  try {
    for (let index = 0; index < planned.shards; index++) {
      signal.throwIfAborted();
      const { points } = await shard(problem, out, index, {
        pool,
        signal,
        onProgress: ({ done, pointsPerSecond, steps }) =>
          steps
            ? progress.show(steps.done, steps.total, (pointsPerSecond * steps.total) / planned.points, 'steps')
            : progress.show(before + done, planned.points, pointsPerSecond),
      });
      before += points;
    }
    signal.throwIfAborted();
    return { plan: planned, finish: await finish(problem, out, { pool, signal }) };
  } finally {
    progress.end();
    await pool.close();
  }
}

class Interrupted extends Error {}

/** The command itself must change. */
class UsageError extends Error {}

function explain(error: unknown, out: string): number {
  if (error instanceof Interrupted) {
    console.error(`interrupted; finished chunks are kept in ${out}: the same command goes on from there`);
    return 130;
  }
  if (error instanceof InvalidResourceError || error instanceof UsageError) {
    console.error(error.message);
    return 2;
  }
  if (error instanceof FieldError) {
    const field = error.field ? `${error.field}: ` : '';
    console.error(`${error.reason}: ${field}${error.message}`);
    const begun = existsSync(join(out, '.quintet'));
    if (error.retry && begun) console.error(`what is finished is kept in ${out}: the same command goes on from there`);
    return error.retry ? 75 : 2;
  }
  console.error(error);
  return 1;
}

function chooseJob(
  resources: readonly { kind: string; metadata: { name: string } }[],
  file: string,
  name: string | undefined,
): FieldJob {
  const jobs = resources.filter((each): each is FieldJob => each.kind === 'FieldJob');
  const names = jobs.map(({ metadata }) => metadata.name).join(', ');
  const fitting = name === undefined ? jobs : jobs.filter(({ metadata }) => metadata.name === name);
  const [job] = fitting;
  if (job && fitting.length === 1) return job;
  const message =
    jobs.length === 0
      ? 'holds no FieldJob'
      : name === undefined
        ? `holds ${names}: choose one by --name`
        : `holds ${names}, not ${name}`;
  throw new InvalidResourceError([{ path: [], message, file }]);
}

/** Not Node's own recursive mkdir: it runs for ever where an existing folder answers ENOENT, as those of /proc do. */
function makeFolder(out: string): void {
  if (out === '') throw new UsageError('--out: an empty name is no folder');
  const path = absolute(out);
  try {
    const missing: string[] = [];
    for (let folder = path; !existsSync(folder); folder = dirname(folder)) missing.unshift(folder);
    for (const folder of missing) mkdirSync(folder);
    if (!statSync(path).isDirectory()) throw new UsageError(`--out: ${path} is a file, not a folder`);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new FieldError('OutputUnwritable', `${path}: ${(error as Error).message}`, '--out', error);
  }
  if (existsSync(join(out, 'package.json'))) {
    throw new UsageError(`--out: ${path} looks like a project: choose a folder of its own`);
  }
}
