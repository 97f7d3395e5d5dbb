// Worker threads over the CPUs that the cgroup allows, with shared memory in and out.
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { orAborted } from '../abort.ts';
import { QuintetError } from '../errors.ts';
import { counter, gaugeOf, histogram, type Registry } from '../metrics.ts';
import { cpuThreads } from './cgroup.ts';

export interface PoolOptions {
  name: string;
  /** Module whose default export, or export `run` asks for, is called with the task; a URL, such as `import.meta.resolve('./work.ts')`. */
  filename: string;
  /** The CPUs of the cgroup's quota when left out. */
  threads?: number;
  /** Threads that are kept, and made anew when one ends, their module loaded before a task needs them; none when left out. */
  minThreads?: number;
  /** Tasks that may wait; 100 × threads when left out. */
  maxQueue?: number;
  /** Milliseconds that an unused thread lives; 60 000 when left out. */
  idleTimeout?: number;
  /** MiB of heap a thread may use before it is ended, alone; the task then fails with `WORKER_FAILED`. */
  maxHeap?: number;
  registry?: Registry;
}

export interface RunOptions {
  /** Export to call instead of the default one. */
  name?: string;
  signal?: AbortSignal;
  /** Milliseconds; the thread is ended when they have passed, whatever it does. */
  timeout?: number;
  /**
   * For tasks that look whether they are still wanted: when the caller leaves or the time is up, `flag[0]` becomes 1 (it must be
   * shared memory that the task has too), and the thread is ended only if it goes on for `grace` milliseconds more.
   */
  leave?: { readonly flag: Int32Array; readonly grace: number };
  /** Buffers handed over instead of copied. Memory from `shared` needs no handing over. */
  transfer?: Transferable[];
}

export interface Pool {
  readonly threads: number;
  readonly waiting: number;
  /**
   * Throws `OVERLOADED` when the queue is full, `CANCELLED`, `DEADLINE_EXCEEDED`, `WORKER_FAILED` when the thread itself ended,
   * and what the task threw.
   */
  run: <R>(task: unknown, options?: RunOptions) => Promise<R>;
  /** Waits for tasks under way, at most 30 s. */
  close: () => Promise<void>;
}

type Transferable = ArrayBuffer | MessagePort;

export function createPool(options: PoolOptions): Pool {
  const threads = options.threads ?? cpuThreads();
  const maxQueue = options.maxQueue ?? 100 * threads;
  const piscina = new Piscina({
    filename: options.filename,
    minThreads: Math.min(options.minThreads ?? 0, threads),
    maxThreads: threads,
    // Counted here instead: Piscina's limit leaves out tasks that can be cancelled.
    maxQueue: Number.POSITIVE_INFINITY,
    idleTimeout: options.idleTimeout ?? 60_000,
    // Workers that wait by Atomics cannot be reached by messages from outside; asynchronous waiting costs little here.
    atomics: 'async',
    ...(options.maxHeap === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: options.maxHeap } }),
  });
  // A thread that ends between tasks is replaced; one that ends in a task rejects that task.
  piscina.on('error', () => undefined);
  let open = 0;
  const waiting = () => Math.max(0, open - threads);
  const measure = options.registry ? meters(options.name, options.registry, piscina, threads, waiting) : undefined;
  return {
    threads,
    get waiting() {
      return waiting();
    },
    run: async <R>(task: unknown, { name, signal, timeout, transfer, leave }: RunOptions = {}) => {
      if (open >= threads + maxQueue)
        throw new QuintetError('OVERLOADED', { queue: options.name, waiting: maxQueue, retryAfter: 1 });
      open += 1;
      const started = performance.now();
      const limit = timeout === undefined ? undefined : AbortSignal.timeout(timeout);
      const either = limit && signal ? AbortSignal.any([limit, signal]) : (limit ?? signal);
      const ending = either && leave ? afterGrace(either, leave) : either;
      const work = piscina.run(task, piscinaOptions(name, ending, transfer)).finally(() => {
        open -= 1;
      });
      try {
        const result: unknown = await (either && leave ? orAborted(work, either) : work);
        measure?.('ok', started);
        return result as R;
      } catch (error) {
        measure?.('failed', started);
        if (signal?.aborted) throw new QuintetError('CANCELLED', {}, { cause: error });
        if (limit?.aborted) throw new QuintetError('DEADLINE_EXCEEDED', {}, { cause: error });
        throw translated(error);
      }
    },
    close: () => piscina.close(),
  };
}

function piscinaOptions(name?: string, signal?: AbortSignal, transfer?: Transferable[]) {
  return {
    ...(name === undefined ? {} : { name }),
    ...(signal === undefined ? {} : { signal }),
    ...(transfer === undefined ? {} : { transferList: transfer }),
  };
}

/** Sets the flag as soon as `signal` aborts, and aborts itself `grace` later. */
function afterGrace(signal: AbortSignal, { flag, grace }: NonNullable<RunOptions['leave']>): AbortSignal {
  const ending = new AbortController();
  const leave = () => {
    Atomics.store(flag, 0, 1);
    setTimeout(() => ending.abort(signal.reason), grace).unref();
  };
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  return ending.signal;
}

/** A copy of the numbers in memory that threads share: passed to a task, it is neither copied nor moved, and its writes are seen here. */
export function shared<T extends SharableArray>(values: T): T {
  const view = sharedOf(values.constructor as SharableConstructor<T>, values.length);
  view.set(values as never);
  return view;
}

/** Zeroed shared memory for `length` numbers, such as `sharedOf(Float32Array, 1e6)` for results. */
export function sharedOf<T extends SharableArray>(type: SharableConstructor<T>, length: number): T {
  return new type(new SharedArrayBuffer(length * type.BYTES_PER_ELEMENT));
}

export type SharableArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;
export interface SharableConstructor<T> {
  new (buffer: SharedArrayBuffer): T;
  readonly BYTES_PER_ELEMENT: number;
}

function translated(error: unknown): unknown {
  const { message, code } = error as { message?: string; code?: string };
  if (code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new QuintetError('WORKER_FAILED', { reason: 'it ran out of memory' }, { cause: error });
  if (/worker (thread )?exited|process terminated|Terminating worker/i.test(message ?? '')) {
    return new QuintetError('WORKER_FAILED', { reason: message ?? 'it ended' }, { cause: error });
  }
  return error;
}

function meters(pool: string, registry: Registry, piscina: Piscina, threads: number, waiting: () => number) {
  const seconds = histogram(registry, 'quintet_pool_task_seconds', 'Time of a task from submission to result.', [
    'pool',
  ]);
  const tasks = counter(registry, 'quintet_pool_tasks_total', 'Tasks by result.', ['pool', 'result']);
  const add = (name: string, help: string, read: () => number) =>
    gaugeOf(registry, name, help, ['pool'], () => [[{ pool }, read()]]);
  add('quintet_pool_threads', 'Threads that exist.', () => piscina.threads.length);
  add('quintet_pool_threads_limit', 'Threads that may exist.', () => threads);
  add('quintet_pool_waiting', 'Tasks that wait for a thread.', waiting);
  return (result: 'ok' | 'failed', started: number) => {
    tasks.inc({ pool, result });
    seconds.observe({ pool }, (performance.now() - started) / 1000);
  };
}
