// The work queue: which keys wait, which are being worked on, which come back later. One key is never worked on twice
// at once; a key added while it is worked on is worked on once more afterwards.
import { type BackoffOptions, backoffMs } from '../kube/backoff.ts';
import type { Metrics } from './metrics.ts';

export interface QueueOptions {
  name: string;
  metrics?: Metrics;
  /** Waits after failures of one key. Default from 50 ms to two minutes. */
  backoff?: BackoffOptions;
  /** Monotonic milliseconds. */
  now?: () => number;
  /** For tests: how a wait is made. Returns its cancellation. */
  schedule?: (run: () => void, ms: number) => () => void;
}

/** Higher goes first. */
export const priorities = { normal: 0, low: -1 } as const;
export type Priority = (typeof priorities)[keyof typeof priorities];

/** So long those of low priority let others go first; from then on one of them goes after so many others. */
const patienceMs = 5_000;
const othersBetween = 3;

export class WorkQueue {
  /** Waiting keys in order of arrival, with the moment they came. */
  readonly #waiting: Record<Priority, Map<string, number>> = {
    [priorities.normal]: new Map(),
    [priorities.low]: new Map(),
  };
  /** Keys being worked on, with the moment it began. */
  readonly #working = new Map<string, number>();
  /** Keys added while being worked on. */
  readonly #dirty = new Map<string, Priority>();
  readonly #failures = new Map<string, number>();
  readonly #later: Later;
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #backoff: BackoffOptions;
  readonly #now: () => number;
  readonly #measure: Measure | undefined;
  /** Keys of normal priority taken since one of low priority was. */
  #passedBy = 0;
  #closed = false;

  constructor({ name, metrics, backoff, now, schedule }: QueueOptions) {
    this.#now = now ?? (() => performance.now());
    this.#backoff = backoff ?? { baseMs: 50, maxMs: 120_000 };
    this.#later = new Later(this.#now, schedule ?? timer, (key) => this.add(key));
    this.#measure = metrics && measure(metrics, name, this, this.#now);
  }

  /** Keys that could be taken now. */
  get depth(): number {
    return this.#waiting[priorities.normal].size + this.#waiting[priorities.low].size;
  }

  /** Moments at which the work under way began. */
  get workStarts(): Iterable<number> {
    return this.#working.values();
  }

  /** Nothing waits, is worked on, or comes later. */
  get isIdle(): boolean {
    return this.depth === 0 && this.#working.size === 0 && this.#later.size === 0;
  }

  /** A key that failed the last time waits until what has not failed has been seen to, though not for ever. */
  add(key: string, asked: Priority = priorities.normal): void {
    if (this.#closed) return;
    const priority = this.#failures.has(key) ? priorities.low : asked;
    if (this.#working.has(key)) {
      const before = this.#dirty.get(key);
      if (before === undefined) this.#measure?.adds.inc();
      if (before === undefined || before < priority) this.#dirty.set(key, priority);
      return;
    }
    if (this.#waiting[priorities.normal].has(key)) return;
    const since = this.#waiting[priorities.low].get(key);
    if (since !== undefined && priority === priorities.low) return;
    if (since === undefined) this.#measure?.adds.inc();
    else this.#waiting[priorities.low].delete(key);
    this.#waiting[priority].set(key, since ?? this.#now());
    this.#serve();
  }

  /** Adds the key after `ms`, or earlier if that was asked before. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) this.add(key);
    else this.#later.set(key, this.#now() + ms);
  }

  /** Adds the key after its own growing wait, but not before `atLeastMs` (what the server asked for). Answers the wait. */
  retry(key: string, atLeastMs = 0): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#measure?.retries.inc();
    const wait = Math.max(atLeastMs, backoffMs(failures, this.#backoff));
    this.addAfter(key, wait);
    return wait;
  }

  /** Failures in a row. */
  failuresOf(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The key did well: its next failure waits shortly again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, when there is one; undefined when the queue is closed. Give it back with `done`. */
  async take(): Promise<string | undefined> {
    if (this.#closed) return undefined;
    const key = this.#next();
    if (key !== undefined) return key;
    return await new Promise((resolve) => this.#takers.push(resolve));
  }

  /** The work on a key ended. @throws Error when it was not taken. */
  done(key: string): void {
    const start = this.#working.get(key);
    if (start === undefined) throw new Error(`${key} was not taken`);
    this.#working.delete(key);
    this.#measure?.work.observe((this.#now() - start) / 1000);
    const priority = this.#dirty.get(key);
    if (priority === undefined) return;
    this.#dirty.delete(key);
    if (this.#closed) return;
    this.#waiting[priority].set(key, this.#now());
    this.#serve();
  }

  /** Whoever waits gets undefined, and nothing is added any more. */
  close(): void {
    this.#closed = true;
    this.#later.clear();
    for (const take of this.#takers.splice(0)) take(undefined);
  }

  #serve(): void {
    while (this.#takers.length > 0) {
      const key = this.#next();
      if (key === undefined) return;
      this.#takers.shift()?.(key);
    }
  }

  #next(): string | undefined {
    const normal = this.#waiting[priorities.normal];
    const low = this.#waiting[priorities.low];
    const now = this.#now();
    const [patient] = low.values();
    const isTooLate = patient !== undefined && now - patient > patienceMs && this.#passedBy >= othersBetween;
    for (const waiting of isTooLate ? [low, normal] : [normal, low]) {
      for (const [key, since] of waiting) {
        this.#passedBy = waiting === low ? 0 : this.#passedBy + 1;
        waiting.delete(key);
        this.#working.set(key, now);
        this.#later.delete(key, now);
        this.#measure?.wait.observe((now - since) / 1000);
        return key;
      }
    }
    return undefined;
  }
}

/** Keys with a due time, and one timer for the earliest. */
class Later {
  readonly #due = new Map<string, number>();
  readonly #now: () => number;
  readonly #schedule: NonNullable<QueueOptions['schedule']>;
  readonly #fire: (key: string) => void;
  #cancel: (() => void) | undefined;
  #next = Number.POSITIVE_INFINITY;

  constructor(now: () => number, schedule: NonNullable<QueueOptions['schedule']>, fire: (key: string) => void) {
    this.#now = now;
    this.#schedule = schedule;
    this.#fire = fire;
  }

  get size(): number {
    return this.#due.size;
  }

  set(key: string, due: number): void {
    const before = this.#due.get(key);
    if (before !== undefined && before <= due) return;
    this.#due.set(key, due);
    if (due < this.#next) this.#arm(due);
  }

  /** The key is worked on now: what was due by now is fulfilled. */
  delete(key: string, now: number): void {
    const due = this.#due.get(key);
    if (due !== undefined && due <= now) this.#due.delete(key);
  }

  clear(): void {
    this.#cancel?.();
    this.#due.clear();
    this.#next = Number.POSITIVE_INFINITY;
  }

  #arm(due: number): void {
    this.#cancel?.();
    this.#next = due;
    // A timer takes at most 2^31 ms; a wait beyond a day is looked at again then.
    this.#cancel = this.#schedule(() => this.#run(), Math.min(86_400_000, Math.max(0, due - this.#now())));
  }

  #run(): void {
    const now = this.#now();
    let next = Number.POSITIVE_INFINITY;
    const due: string[] = [];
    for (const [key, at] of this.#due) {
      if (at <= now) due.push(key);
      else if (at < next) next = at;
    }
    this.#next = Number.POSITIVE_INFINITY;
    for (const key of due) this.#due.delete(key);
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
    for (const key of due) this.#fire(key);
  }
}

function timer(run: () => void, ms: number): () => void {
  const timeout = setTimeout(run, Math.ceil(ms));
  return () => clearTimeout(timeout);
}

interface Measure {
  adds: { inc(): void };
  retries: { inc(): void };
  wait: { observe(seconds: number): void };
  work: { observe(seconds: number): void };
}

function measure(metrics: Metrics, name: string, queue: WorkQueue, now: () => number): Measure {
  const labels = { name, controller: name };
  const collect = (gauge: object, read: () => number): void => {
    const collected = gauge as { collect?: () => void; set(labels: object, value: number): void };
    const others = collected.collect;
    collected.collect = () => {
      others?.();
      collected.set(labels, read());
    };
  };
  const ages = (): number[] => [...queue.workStarts].map((start) => (now() - start) / 1000);
  collect(metrics.queueDepth, () => queue.depth);
  collect(metrics.unfinishedSeconds, () => ages().reduce((sum, age) => sum + age, 0));
  collect(metrics.longestRunningSeconds, () => Math.max(0, ...ages()));
  return {
    adds: metrics.queueAdds.labels(labels),
    retries: metrics.queueRetries.labels(labels),
    wait: metrics.queueSeconds.labels(labels),
    work: metrics.workSeconds.labels(labels),
  };
}
