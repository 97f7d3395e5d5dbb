// The engine in a pod: `main plan | shard | finish`, and `main serve` for mode Service. What it reads comes from the
// environment, what it found goes to the termination log as one JSON object, and how it gets on to standard output, a JSON
// object a line.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fieldJob, parseStored } from '@quintet/crds';
import { isBucket } from './compute/bucket.ts';
import { FieldError, outputError } from './errors.ts';
import { finish } from './job/finish.ts';
import { planByTurns } from './job/plan.ts';
import { type Problem, resolve } from './job/problem.ts';
import { type Progress, shard } from './job/shard.ts';
import { mountedFile } from './job/tables.ts';
import { begin, leave, takeOver } from './job/takeover.ts';

const steps = ['plan', 'shard', 'finish'] as const;
type Step = (typeof steps)[number];

/** Kubernetes keeps 4096 bytes of a termination message. */
const longestMessage = 3500;
const shownTargets = 20;
const shownWarnings = 8;

const step = process.argv[2] as Step;
if (process.argv[2] === 'serve') await serve();
else process.exitCode = await main();

/** Until SIGTERM. A resource that nothing can be solved for is told as the steps tell it. */
async function serve(): Promise<void> {
  const [{ runEngine }, { fieldService, resourceName }] = await Promise.all([
    import('@quintet/runtime'),
    import('./service/engine.ts'),
  ]);
  const definition = fieldService(resourceName(process.env.QUINTET_RESOURCE));
  const { routes } = definition;
  await runEngine({
    ...definition,
    routes: async (server, context) => {
      try {
        await routes?.(server, context);
      } catch (error) {
        process.exit(fail(error));
      }
    },
  });
}

async function main(): Promise<number> {
  process.on('SIGTERM', () => {
    // Finished chunks are whole files; whatever is under way lies in the staging folder and is made anew.
    log('stopping', { signal: 'SIGTERM' });
    leaveShard();
    process.exit(143);
  });
  try {
    if (!steps.includes(step))
      throw new FieldError('InvalidResource', `usage: main ${[...steps, 'serve'].join(' | ')}`);
    const folder = required('QUINTET_OUTPUT');
    const problem = readProblem(required('QUINTET_RESOURCE'));
    prepare(folder);
    log('started', { name: problem.name });
    const result = await run(problem, folder);
    log('finished', result);
    report(result);
    return 0;
  } catch (error) {
    return fail(error);
  }
}

/** Not in a bucket, whose server may be the reason and is waited for. */
function leaveShard(): void {
  const { QUINTET_OUTPUT: folder, JOB_COMPLETION_INDEX: index } = process.env;
  if (step !== 'shard' || !folder || isBucket(folder)) return;
  try {
    leave(folder, Number(index));
  } catch (error) {
    log('unreported', { path: folder, message: (error as Error).message });
  }
}

async function run(problem: Problem, folder: string): Promise<Record<string, unknown>> {
  if (step === 'plan') {
    const result = await planByTurns(problem, folder);
    const { solution, warnings } = result;
    return {
      ...result,
      solution: { ...solution, targets: solution.targets.slice(0, shownTargets) },
      warnings: warnings.slice(0, shownWarnings),
    };
  }
  const onProgress = everySecond((progress) => log('progress', { ...progress }));
  if (step === 'shard') {
    const index = Number(required('JOB_COMPLETION_INDEX'));
    begin(folder, index);
    const result = await shard(problem, folder, index, { onProgress });
    const onFailure = (error: unknown): void => log('no longer helps', { error: String(error) });
    const ended = await takeOver(problem, folder, index, { onFailure });
    if (ended.length > 0) log('took over', { shards: ended });
    return { ...result };
  }
  const result = await finish(problem, folder, { onProgress });
  return { ...result, solution: { ...result.solution, targets: result.solution.targets.slice(0, shownTargets) } };
}

function readProblem(path: string): Problem {
  let stored: unknown;
  try {
    stored = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new FieldError('InvalidResource', `${path}: ${(error as Error).message}`, undefined, error);
  }
  try {
    return resolve(parseStored(fieldJob, stored), mountedFile);
  } catch (error) {
    if (error instanceof FieldError) throw error;
    throw new FieldError('InvalidResource', (error as Error).message, undefined, error);
  }
}

function prepare(folder: string): void {
  if (isBucket(folder)) return;
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw outputError(error, folder);
  }
}

function fail(error: unknown): number {
  const known = error instanceof FieldError;
  const { reason, message, field } = known
    ? error
    : { reason: 'EngineFailed', message: (error as Error).message, field: undefined };
  log('failed', { reason, message, field, ...(!known && { stack: (error as Error)?.stack }) });
  report({ step, error: { reason, message: message.slice(0, 1500), ...(field !== undefined && { field }) } });
  return known ? error.exitCode : 1;
}

function report(result: Record<string, unknown>): void {
  const text = JSON.stringify(result);
  const path = process.env.QUINTET_TERMINATION_LOG ?? '/dev/termination-log';
  try {
    if (Buffer.byteLength(text) > longestMessage) throw new Error(`result of ${text.length} characters is too long`);
    writeFileSync(path, text);
  } catch (error) {
    log('unreported', { path, message: (error as Error).message });
  }
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new FieldError('InvalidResource', `the environment variable ${name} is not set`);
  return value;
}

function log(message: string, fields: object): void {
  process.stdout.write(
    `${JSON.stringify({ level: message === 'failed' ? 'error' : 'info', time: new Date().toISOString(), message, step, ...fields })}\n`,
  );
}

function everySecond(say: (progress: Progress) => void): (progress: Progress) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (progress) => {
    const now = performance.now();
    if (now - last < 1000 && progress.done < progress.total) return;
    last = now;
    say({ ...progress, pointsPerSecond: Math.round(progress.pointsPerSecond) });
  };
}
