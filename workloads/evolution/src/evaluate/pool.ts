// Evaluations in processes of their own: one that hangs, leaks or crashes is killed, and costs nobody else anything.
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import type { Problem } from '../data/problem.ts';
import { EvolutionError } from '../errors.ts';
import { after } from '../timer.ts';
import type { EvaluationTask, Evaluator, Judging, Outcome } from './task.ts';
import type { FromProcess, ToProcess } from './worker.ts';

export interface PoolOptions {
  readonly processes: number;
  /** Milliseconds of one task. */
  readonly timeLimit: number;
  /** How often a task is tried again whose process ended by itself. */
  readonly retries: number;
  /** Megabytes of heap of a process. */
  readonly heap?: number;
  /** Module that answers tasks; the one beside this file when left out. */
  readonly module?: string;
}

export interface EvaluationPool extends Evaluator {
  /** Kills every process at once; tasks under way and waiting end as Stopped. */
  stop: () => void;
  /** As `stop`, and removes what was written. */
  close: () => Promise<void>;
}

/** Bytes that a process can read at once. */
const largestProblem = 2 ** 31 - 1;
/** Processes in a row that end before they are ready: then what waits has waited long enough. */
const mostStillborn = 3;

interface Waiting {
  readonly task: EvaluationTask;
  attempts: number;
  readonly settle: (outcome: Outcome) => void;
}

export async function startPool(problem: Problem, judging: Judging, options: PoolOptions): Promise<EvaluationPool> {
  const folder = await mkdtemp(join(tmpdir(), 'quintet-evolution-'));
  const file = join(folder, 'problem');
  const bytes = serialize(problem);
  if (bytes.length > largestProblem) {
    await rm(folder, { recursive: true, force: true });
    throw new EvolutionError('DataTooLarge', `the table takes ${bytes.length} bytes, more than ${largestProblem}`, {
      field: 'spec.dataset',
      fix: 'use fewer rows, or declare columns Ignore',
    });
  }
  await writeFile(file, bytes, { mode: 0o600 });
  const queue: Waiting[] = [];
  let stopped = false;
  let stillborn = 0;
  const slots = Array.from(
    { length: options.processes },
    () => new Slot({ type: 'problem', file, judging }, options, { take, giveBack, born }),
  );
  for (const slot of slots) slot.start();

  function take(): Waiting | undefined {
    return queue.shift();
  }
  function giveBack(waiting: Waiting): void {
    enqueue(waiting);
  }
  function enqueue(waiting: Waiting): void {
    const at = queue.findIndex((each) => each.task.priority > waiting.task.priority);
    queue.splice(at < 0 ? queue.length : at, 0, waiting);
    for (const slot of slots) slot.wake();
  }
  /** A process that cannot start, for want of memory, fails what it could have worked on: nobody else would ever end it. */
  function born(trouble: string | undefined): void {
    stillborn = trouble === undefined ? 0 : stillborn + 1;
    if (trouble === undefined || stillborn < mostStillborn) return;
    const reason = `${trouble} before it was ready; raise spec.evaluation.memoryLimit`;
    for (const waiting of queue.splice(0)) waiting.settle({ ok: false, kind: 'Failed', reason });
  }
  const stop = (): void => {
    stopped = true;
    for (const slot of slots) slot.stop();
    for (const waiting of queue.splice(0)) waiting.settle(stoppedOutcome);
  };
  return {
    evaluate: (task) =>
      stopped ? Promise.resolve(stoppedOutcome) : new Promise((settle) => enqueue({ task, attempts: 0, settle })),
    stop,
    close: async () => {
      stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const stoppedOutcome: Outcome = { ok: false, kind: 'Stopped', reason: 'the search has ended' };

/** What a slot asks of its pool. */
interface Slots {
  take: () => Waiting | undefined;
  giveBack: (waiting: Waiting) => void;
  /** Hears of every process that became ready, or of why it did not. */
  born: (trouble: string | undefined) => void;
}

class Slot {
  readonly #problem: ToProcess;
  readonly #options: PoolOptions;
  readonly #pool: Slots;
  #child: ChildProcess | undefined;
  #ready = false;
  #work: Waiting | undefined;
  /** Stops the time of what is under way. */
  #untime: (() => void) | undefined;
  #ended = false;
  #crashes = 0;

  constructor(problem: ToProcess, options: PoolOptions, pool: Slots) {
    this.#problem = problem;
    this.#options = options;
    this.#pool = pool;
  }

  start(): void {
    const { heap, module } = this.#options;
    const child = fork(module ?? workerModule(), [], {
      serialization: 'advanced',
      execArgv: [...conditions(process.execArgv), ...(heap ? [`--max-old-space-size=${heap}`] : [])],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // OpenMP would start a thread for each core even for one thread's work.
      env: { ...process.env, OMP_NUM_THREADS: '1' },
    });
    this.#child = child;
    this.#ready = false;
    child.on('message', (message: FromProcess) => this.#hear(message));
    child.on('error', () => undefined);
    child.once('exit', (code, signal) => {
      if (this.#child === child) this.#exited(`its process ended (${signal ?? code})`);
    });
    child.send(this.#problem, () => undefined);
  }

  wake(): void {
    if (!this.#ready || this.#work || this.#ended) return;
    const work = this.#pool.take();
    if (!work) return;
    this.#work = work;
    this.#untime = after(this.#options.timeLimit, () => this.#tooLong());
    this.#child!.send({ type: 'task', task: work.task } satisfies ToProcess, () => undefined);
  }

  stop(): void {
    this.#ended = true;
    this.#untime?.();
    this.#child?.kill('SIGKILL');
    this.#finish(stoppedOutcome);
  }

  #hear(message: FromProcess): void {
    if (this.#ended) return;
    if (!this.#ready) this.#pool.born(undefined);
    this.#ready = true;
    if (message.type === 'done') {
      this.#crashes = 0;
      this.#finish({ ok: true, cached: false, ...message.evaluation });
    } else if (message.type === 'failed') this.#finish({ ok: false, kind: 'Failed', reason: message.reason });
    this.wake();
  }

  #finish(outcome: Outcome): void {
    this.#untime?.();
    const work = this.#work;
    this.#work = undefined;
    work?.settle(outcome);
  }

  #tooLong(): void {
    const child = this.#child;
    this.#child = undefined;
    this.#ready = false;
    child?.kill('SIGKILL');
    this.#finish({ ok: false, kind: 'TimeLimit', reason: `it took longer than ${this.#options.timeLimit / 1000} s` });
    if (!this.#ended) this.start();
  }

  #exited(reason: string): void {
    if (this.#ended) return;
    this.#untime?.();
    // Whatever comes back to the queue now must not come to the dead.
    this.#child = undefined;
    if (!this.#ready) this.#pool.born(reason);
    this.#ready = false;
    const work = this.#work;
    this.#work = undefined;
    this.#crashes++;
    if (work && work.attempts < this.#options.retries) this.#pool.giveBack({ ...work, attempts: work.attempts + 1 });
    else work?.settle({ ok: false, kind: 'Failed', reason });
    // A process that cannot even start is tried again ever more slowly.
    setTimeout(() => !this.#ended && this.start(), Math.min(5000, 50 * 2 ** this.#crashes)).unref();
  }
}

/** How this process resolves packages, in either form that Node takes it. */
function conditions(flags: readonly string[]): string[] {
  return flags.flatMap((flag, i) => {
    if (flag.startsWith('--conditions=')) return [flag];
    return flag === '--conditions' || flag === '-C' ? [`--conditions=${flags[i + 1]}`] : [];
  });
}

/** Beside this file: TypeScript in a checkout, JavaScript in an image. */
function workerModule(): string {
  return fileURLToPath(new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
}
