// Gathers requests into batches whose size and wait follow the measured latency; sheds what it cannot serve in time, with Retry-After.
import { orAborted } from '../abort.ts';
import { isQuintetError, QuintetError } from '../errors.ts';
import { counter, gaugeOf, histogram, type Registry } from '../metrics.ts';
import { type PaceOptions, pace } from './pace.ts';
import {
  type BoundedQueue,
  boundedQueue,
  type Priority,
  priorities,
  type QueueItem,
  type QueueOptions,
} from './queue.ts';

export interface BatcherOptions<I, O> extends PaceOptions, Omit<QueueOptions, 'maxSize'> {
  /**
   * Does a batch: as many results as items, in order; an `Error` in a place rejects that item alone, a thrown error all of them.
   * `signal` aborts when every caller of the batch went away, or `batchTimeout` passed.
   */
  run: (items: I[], signal: AbortSignal) => Promise<(O | Error)[]>;
  /** Items that may wait; 1 000 when left out. */
  maxQueue?: number;
  /** Batches at a time; 1 when left out. */
  concurrency?: number;
  /** Milliseconds for one batch; 60 000 when left out. */
  batchTimeout?: number;
  registry?: Registry;
}

export interface SubmitOptions {
  priority?: Priority;
  tenant?: string;
  /** What the item takes, for fair shares between tenants; 1 when left out. */
  cost?: number;
  /** Milliseconds since the epoch. */
  deadline?: number;
  signal?: AbortSignal;
}

export interface Batcher<I, O> {
  /**
   * Rejects with `OVERLOADED`, `TENANT_QUEUE_FULL` or `DEADLINE_UNREACHABLE` at once, with `DEADLINE_EXCEEDED` when the deadline passes
   * while waiting, with `CANCELLED` when `signal` aborts, with `DRAINING` after `close`, and with what `run` threw.
   */
  submit: (item: I, options?: SubmitOptions) => Promise<O>;
  readonly waiting: number;
  readonly running: number;
  /** Size and wait as adapted. */
  readonly pace: { readonly size: number; readonly wait: number };
  /** Seconds until what waits now is done, by the measured pace. */
  retryAfter: () => number;
  update: (options: PaceOptions) => void;
  /** Batches of at most this share, above 0 to 1, of `maxSize`. */
  limit: (share: number) => void;
  /** Takes no more items; resolves when those that wait and run are done. */
  close: () => Promise<void>;
}

interface Waiting<I, O> {
  input: I;
  resolve: (value: O) => void;
  reject: (error: unknown) => void;
  /** The caller went away while the batch ran. */
  gone: boolean;
  onGone: () => void;
}

export function batcher<I, O>(options: BatcherOptions<I, O>): Batcher<I, O> {
  const { name, concurrency = 1, batchTimeout = 60_000 } = options;
  const now = options.now ?? Date.now;
  const tempo = pace(options);
  const queue: BoundedQueue<Waiting<I, O>> = boundedQueue({ ...options, maxSize: options.maxQueue ?? 1000 }, () =>
    retryAfter(),
  );
  const meters = options.registry && batchMeters(options.registry);
  if (options.registry) watchQueue(options.registry, name, { queue, tempo, running: () => running });
  let running = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let idle: (() => void)[] = [];

  /** Milliseconds until `count` items more are done. */
  const timeFor = (count: number) =>
    (Math.ceil(count / tempo.size / concurrency) + (running >= concurrency ? 1 : 0)) * tempo.took;
  const retryAfter = (): number => Math.max(1, Math.ceil(timeFor(queue.size) / 1000));

  const dispatch = () => {
    clearTimeout(timer);
    timer = undefined;
    while (running < concurrency && queue.size > 0) {
      const oldest = queue.oldest() ?? now();
      const patience = oldest + tempo.wait - now();
      if (queue.size < tempo.size && patience > 0 && !closed) {
        timer = setTimeout(dispatch, patience);
        return;
      }
      const batch: QueueItem<Waiting<I, O>>[] = [];
      while (batch.length < tempo.size) {
        const item = queue.pop();
        if (!item) break;
        batch.push(item);
      }
      if (batch.length > 0) void work(batch);
    }
    if (running === 0 && queue.size === 0) for (const told of idle.splice(0)) told();
  };

  const work = async (batch: QueueItem<Waiting<I, O>>[]) => {
    running += 1;
    const left = queue.size;
    const began = now();
    const cancel = new AbortController();
    const signal = AbortSignal.any([cancel.signal, AbortSignal.timeout(batchTimeout)]);
    for (const { value } of batch) {
      value.onGone = () => {
        value.gone = true;
        value.reject(new QuintetError('CANCELLED'));
        if (batch.every((other) => other.value.gone)) cancel.abort(new QuintetError('CANCELLED'));
      };
    }
    try {
      const results = await orAborted(
        options.run(
          batch.map(({ value }) => value.input),
          signal,
        ),
        signal,
      );
      if (results.length !== batch.length)
        throw new TypeError(`${name}: ${results.length} results for ${batch.length} items`);
      for (const [at, { value }] of batch.entries()) {
        const result = results[at] as O | Error;
        if (result instanceof Error) value.reject(result);
        else value.resolve(result);
      }
    } catch (error) {
      const reason =
        signal.aborted && !isQuintetError(error)
          ? new QuintetError('DEADLINE_EXCEEDED', { queue: name }, { cause: error })
          : error;
      for (const { value } of batch) value.reject(reason);
    } finally {
      running -= 1;
      const waited = began - Math.min(...batch.map((item) => item.enqueuedAt));
      tempo.finished({ size: batch.length, waited, took: now() - began, left });
      meters?.(name, batch, began, now());
      dispatch();
    }
  };

  const submit: Batcher<I, O>['submit'] = (input, { signal, ...place } = {}) =>
    new Promise<O>((resolve, reject) => {
      if (closed) throw new QuintetError('DRAINING', { retryAfter: 1 });
      if (signal?.aborted) throw new QuintetError('CANCELLED');
      const expected = timeFor(queue.size + 1);
      if (
        place.deadline !== undefined &&
        place.priority !== 'High' &&
        now() + expected > place.deadline &&
        place.deadline > now()
      ) {
        throw new QuintetError('DEADLINE_UNREACHABLE', {
          queue: name,
          wait: Math.round(expected),
          retryAfter: retryAfter(),
        });
      }
      const leave = () => waiting.onGone();
      const done = <A>(settle: (outcome: A) => void) => {
        return (outcome: A) => {
          signal?.removeEventListener('abort', leave);
          settle(outcome);
        };
      };
      const waiting: Waiting<I, O> = {
        input,
        resolve: done(resolve),
        reject: done(reject),
        gone: false,
        onGone: () => {
          queue.remove(item);
          waiting.reject(new QuintetError('CANCELLED'));
        },
      };
      const item = queue.push({ value: waiting, drop: (error) => waiting.reject(error), ...place });
      signal?.addEventListener('abort', leave, { once: true });
      tempo.arrived(now());
      if (queue.size >= tempo.size) dispatch();
      else timer ??= setTimeout(dispatch, tempo.wait);
    }).catch((error: unknown) => {
      meters?.rejected(name, error);
      throw error;
    });

  return {
    submit,
    get waiting() {
      return queue.size;
    },
    get running() {
      return running;
    },
    pace: tempo,
    retryAfter,
    update: tempo.update,
    limit: (share) => tempo.update({ ...options, maxSize: Math.max(1, Math.floor((options.maxSize ?? 32) * share)) }),
    close: () => {
      closed = true;
      const settled = new Promise<void>((resolve) => idle.push(resolve));
      dispatch();
      return settled;
    },
  };
}

function batchMeters(registry: Registry) {
  const sizes = histogram(
    registry,
    'quintet_batch_size',
    'Items in a batch.',
    ['queue'],
    [1, 2, 4, 8, 16, 32, 64, 128],
  );
  const seconds = histogram(registry, 'quintet_batch_seconds', 'Duration of a batch.', ['queue']);
  const waits = histogram(registry, 'quintet_queue_wait_seconds', 'Time from arrival to the beginning of the batch.', [
    'queue',
    'priority',
  ]);
  const refused = counter(registry, 'quintet_queue_rejected_total', 'Items not served, by error code.', [
    'queue',
    'code',
  ]);
  const measure = (queue: string, batch: readonly QueueItem<unknown>[], began: number, ended: number) => {
    sizes.observe({ queue }, batch.length);
    seconds.observe({ queue }, (ended - began) / 1000);
    for (const { priority, enqueuedAt } of batch) waits.observe({ queue, priority }, (began - enqueuedAt) / 1000);
  };
  return Object.assign(measure, {
    rejected: (queue: string, error: unknown) =>
      refused.inc({ queue, code: isQuintetError(error) ? error.code : 'INTERNAL' }),
  });
}

interface Watched {
  queue: { countByPriority: () => Record<Priority, number> };
  tempo: { readonly size: number; readonly wait: number };
  running: () => number;
}

function watchQueue(registry: Registry, name: string, { queue, tempo, running }: Watched): void {
  gaugeOf(registry, 'quintet_queue_depth', 'Items waiting.', ['queue', 'priority'], () => {
    const counts = queue.countByPriority();
    return priorities.map((priority) => [{ queue: name, priority }, counts[priority]]);
  });
  const add = (metric: string, help: string, read: () => number) =>
    gaugeOf(registry, metric, help, ['queue'], () => [[{ queue: name }, read()]]);
  add('quintet_batch_target_size', 'Size that batches are gathered to.', () => tempo.size);
  add('quintet_batch_wait_seconds', 'How long a batch is waited for.', () => tempo.wait / 1000);
  add('quintet_batches_running', 'Batches under way.', running);
}
