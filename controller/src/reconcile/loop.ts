// Carries out one kind: events become keys, keys become reconciles, each of them observe → desired → apply → status.
import type { Client } from '../kube/client.ts';
import { ApiError, FencedError, isNotFound } from '../kube/errors.ts';
import { type Log, silentLog } from '../kube/log.ts';
import { keyOf } from '../kube/paths.ts';
import { Slots } from '../kube/slots.ts';
import type { KubeObject } from '../kube/types.ts';
import type { Watcher } from '../kube/watcher.ts';
import { Children } from './apply.ts';
import { hasEnded } from './conditions.ts';
import { BlockedError, TerminalError } from './errors.ts';
import type { Recorder } from './events.ts';
import { Keys } from './keys.ts';
import type { Kind, StatusDecision } from './kind.ts';
import type { Metrics } from './metrics.ts';
import { FailedMounts } from './mounts.ts';
import { askNamespace, endChildren, isRefusedByNamespace } from './namespace.ts';
import { CachedObserved } from './observed.ts';
import { type ChildWrites, Pace } from './pace.ts';
import { priorities, WorkQueue } from './queue.ts';
import type { Shard } from './shard.ts';
import {
  decisionOf,
  failureConditions,
  isTerminal,
  StatusWriter,
  statusOf,
  withFailure,
  withoutFailure,
} from './status.ts';
import { conditionsOnly, type Watches } from './watches.ts';

export interface ControllerOptions {
  client: Client;
  watches: Watches;
  /** Reconciles at once. Default 16. Those under way for half a second no longer count, up to seven times as many. */
  workers?: number;
  /** Left out: every namespace that is watched. */
  shard?: Pick<Shard, 'has' | 'onJoin'>;
  metrics?: Metrics;
  recorder?: Recorder;
  log?: Log;
  /** Default: the API server's clock, as its answers tell it. */
  now?: () => Date;
  /** How often what is in the way (a name that is taken) is looked at again. Default 60 000 ms. */
  conflictRetryMs?: number;
}

interface Applied {
  uid: string | undefined;
  generation: number | undefined;
}

export class Controller<R extends KubeObject = KubeObject> {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly #kind: Kind<R>;
  readonly #options: ControllerOptions;
  readonly #log: Log;
  readonly #now: () => Date;
  readonly #resources: Watcher;
  readonly #children: Children;
  /** Of the children that end before their namespace does. */
  readonly #ending: readonly Watcher[];
  readonly #status: StatusWriter;
  readonly #observe: (resource: KubeObject, now: Date) => CachedObserved;
  readonly #keys: Keys;
  readonly #pace = new Pace();
  /** By key: the generation for which all children were brought last. */
  readonly #applied = new Map<string, Applied>();
  /** Keys reconciled once more only because their status was written. */
  readonly #echoed = new Set<string>();
  #workers: Promise<unknown> | undefined;
  #isStarted = false;

  /** Watches what the kind needs; nothing is reconciled before `start`. */
  constructor(kind: Kind<R>, options: ControllerOptions) {
    const { client, watches, metrics, recorder } = options;
    this.#kind = kind;
    this.#options = options;
    this.name = kind.type.kind.toLowerCase();
    this.#keys = new Keys(kind.type);
    this.#log = options.log ?? silentLog;
    this.#now = options.now ?? (() => client.now());
    this.queue = new WorkQueue({ name: this.name, ...(metrics && { metrics }) });
    this.#resources = watches.all(kind.type);
    const children = kind.children.map((type) => watches.own(type));
    this.#ending = children.filter(({ type }) => kind.namespaceEnd?.types.includes(type));
    const observed = kind.observes.map((type) => watches.own(type));
    const dependents = (kind.dependents ?? []).map((type) => watches.foreign(type, conditionsOnly));
    this.#children = new Children({ client, owner: kind.type, watchers: children, log: this.#log });
    this.#status = new StatusWriter({
      client,
      watcher: this.#resources,
      ...(recorder && { onTransition: (resource, note) => recorder.record(resource, note) }),
    });
    const mounts = new FailedMounts(client);
    this.#observe = (resource, now) => {
      const key = keyOf(resource.metadata);
      const again = (afterMs: number) => this.queue.addAfter(key, afterMs);
      const failedMount = (pod: KubeObject) => mounts.said(pod, now, again);
      return new CachedObserved(kind.type.kind, resource, now, children, observed, dependents, failedMount);
    };

    this.#resources.onChange((object, change) => this.#onResource(object, change === 'deleted'));
    for (const watcher of children) {
      watcher.onChange((object, change) => {
        this.#enqueue(this.#keys.ofChild(object));
        if (change === 'deleted') this.#children.forget(object.metadata.uid ?? '');
      });
    }
    for (const watcher of observed) watcher.onChange((object) => this.#enqueue(this.#keys.ofObserved(object)));
    for (const watcher of dependents)
      watcher.onChange((object) => this.#enqueue(this.#keys.ofDependent(object, children)));
    options.shard?.onJoin((namespace) => {
      for (const { metadata } of this.#resources.store.values())
        if (metadata.namespace === namespace) this.#enqueue(keyOf(metadata));
    });
  }

  /** Starts the workers: call it once the watches are synced, and only as the leader. */
  start(): void {
    this.#isStarted = true;
    // What is settled waits until what is new has been seen to.
    for (const resource of this.#resources.store.values()) {
      this.#enqueue(keyOf(resource.metadata), isObservedIn(resource) ? priorities.low : priorities.normal);
    }
    const workers = this.#options.workers ?? 16;
    this.#options.metrics?.maxWorkers.set({ controller: this.name }, workers);
    const slow = workers * slowShare;
    const slots = new Slots({ quick: workers, slow, slowAfterMs });
    this.#workers = Promise.all(Array.from({ length: workers + slow }, () => this.#work(slots)));
  }

  /** Ends when the reconciles under way have ended. */
  async stop(): Promise<void> {
    this.queue.close();
    await this.#workers;
  }

  /** Age in milliseconds of the oldest reconcile under way; calls time out, so a great age means that it hangs. */
  get oldestWorkMs(): number {
    let oldest = 0;
    for (const start of this.queue.workStarts) oldest = Math.max(oldest, performance.now() - start);
    return oldest;
  }

  #onResource(object: KubeObject, deleted: boolean): void {
    const key = keyOf(object.metadata);
    this.#keys.note(object, deleted);
    if (deleted) this.#forget(key);
    const isGone = deleted || object.metadata.deletionTimestamp !== undefined;
    if (isGone && this.#isStarted && this.#isOurs(key)) this.#kind.gone?.(this.#observe(object, this.#now()));
    this.#enqueue(key, isObservedIn(object) && !this.#resources.isSynced ? priorities.low : priorities.normal);
  }

  /** Of a resource that is gone, or another's, nothing is kept. */
  #forget(key: string): void {
    this.queue.forget(key);
    this.#pace.forget(key);
    this.#applied.delete(key);
    this.#echoed.delete(key);
  }

  #enqueue(key: string | undefined, priority: (typeof priorities)[keyof typeof priorities] = priorities.normal): void {
    // A standby only keeps its caches: what is there is added at the start.
    if (key === undefined || !this.#isStarted || !this.#isOurs(key)) return;
    const waitMs = this.#pace.waitOf(key);
    if (waitMs > 0) this.queue.addAfter(key, waitMs);
    else this.queue.add(key, priority);
  }

  /** Namespaces leave and join a shard at any time. */
  #isOurs(key: string): boolean {
    const { shard } = this.#options;
    return shard === undefined || shard.has(key.slice(0, key.indexOf('/')));
  }

  async #work(slots: Slots): Promise<void> {
    for (;;) {
      const slot = await slots.take();
      const key = await this.queue.take();
      if (key !== undefined) {
        slot.begin(key.slice(0, key.indexOf('/')));
        await this.#workOn(key);
      }
      slot.release();
      if (key === undefined) return;
    }
  }

  async #workOn(key: string): Promise<void> {
    const { metrics } = this.#options;
    const labelled = { controller: this.name };
    const start = performance.now();
    metrics?.activeWorkers.inc(labelled);
    const result = await this.#reconcile(key).catch((error: unknown) => this.#failed(key, error));
    metrics?.activeWorkers.dec(labelled);
    metrics?.reconciles.inc({ ...labelled, result });
    metrics?.reconcileSeconds.observe(labelled, (performance.now() - start) / 1000);
    this.queue.done(key);
  }

  async #reconcile(key: string): Promise<string> {
    const stored = this.#resources.store.get(key);
    if (!stored || stored.metadata.deletionTimestamp || !this.#isOurs(key)) {
      // Its children are the garbage collector's, or another shard's. What was under way as it went noted it again.
      this.#forget(key);
      return 'success';
    }
    const now = this.#now();
    const observed = this.#observe(stored, now);
    let resource: R | undefined;
    let failure: unknown;
    let requeueAfterMs: number | undefined;
    let written: ChildWrites = { writes: 0, corrections: 0 };
    try {
      resource = this.#parse(stored);
      await this.#askNamespace(stored, observed);
      const desired = this.#kind.desired(resource, observed);
      requeueAfterMs = desired.requeueAfterMs;
      written = await this.#children.bring(stored, desired);
      this.#applied.set(key, { uid: stored.metadata.uid, generation: stored.metadata.generation });
    } catch (error) {
      if (error instanceof FencedError) return this.#fenced(key);
      failure = isRefusedByNamespace(error) ? await this.#atNamespaceEnd(stored, error) : error;
    }
    let decision: StatusDecision | undefined;
    try {
      decision = resource && this.#kind.status(resource, observed);
    } catch (error) {
      failure ??= error;
    }
    const wroteStatus = await this.#writeStatus(stored, decision, observed, failure);
    if (failure !== undefined) return this.#failed(key, failure, wroteStatus === undefined);
    this.queue.forget(key);
    this.#again(key, written, wroteStatus === true);
    if (written.awaitsUnseen) this.queue.addAfter(key, unseenMs);
    if (requeueAfterMs !== undefined) this.queue.addAfter(key, requeueAfterMs);
    return requeueAfterMs === undefined ? 'success' : 'requeue_after';
  }

  /**
   * Refused because the lease was not renewed in time. Mostly another leads soon, and this process ends; but one that stood still for a while, with all
   * others, may renew it after all: then nothing else would bring this resource back.
   */
  #fenced(key: string): 'requeue_after' {
    this.queue.addAfter(key, fencedMs);
    return 'requeue_after';
  }

  /** @throws ApiError when the namespace is being deleted, asked only where things look like it. */
  async #askNamespace(stored: KubeObject, observed: CachedObserved): Promise<void> {
    const { namespaceEnd } = this.#kind;
    if (namespaceEnd?.isLikely(observed)) await askNamespace(this.#options.client, namespaceEnd.asks, stored);
  }

  /** Ends what keeps the namespace from ending; answers what to report. */
  async #atNamespaceEnd(stored: KubeObject, refusal: unknown): Promise<unknown> {
    if (!this.#kind.namespaceEnd) return refusal;
    try {
      const report = await endChildren(this.#options.client, this.#ending, stored);
      this.#log.info({ key: keyOf(stored.metadata), controller: this.name }, report.message);
      return report;
    } catch (error) {
      return error;
    }
  }

  /** @throws TerminalError: as long as it is stored like this, it cannot be read. */
  #parse(stored: KubeObject): R {
    try {
      return this.#kind.parse(withoutFailure(stored));
    } catch (error) {
      if (error instanceof TerminalError) throw error;
      throw new TerminalError('InvalidSpec', error instanceof Error ? error.message : String(error));
    }
  }

  /**
   * @param decision The kind's; undefined where it could not decide: what is stored stays.
   * @returns Whether it was written; undefined when a failure could not be told.
   */
  async #writeStatus(
    stored: KubeObject,
    decision: StatusDecision | undefined,
    observed: CachedObserved,
    failure: unknown,
  ): Promise<boolean | undefined> {
    const { key } = observed;
    let shown = decision ?? decisionOf(statusOf(stored));
    let isObserved = true;
    if (failure !== undefined) {
      const isApplied = decision ? this.#isApplied(stored) : isObservedIn(stored);
      isObserved = isApplied || (isTerminal(failure) && !hasEnded(shown.fields));
      const failures = this.queue.failuresOf(key) + 1;
      shown = withFailure(shown, failureConditions(failure, failures, isApplied));
    }
    try {
      const answer = await this.#status.write(stored, shown, observed.now, isObserved);
      // The cache holds the newer spec now, so the watch has no news of it any more.
      if (answer && answer.metadata.generation !== stored.metadata.generation) this.queue.add(key);
      return answer !== undefined;
    } catch (error) {
      // Deleted meanwhile. What else goes wrong here comes after what went wrong before.
      if (error instanceof FencedError) this.#fenced(key);
      if (isNotFound(error) || error instanceof FencedError) return false;
      if (failure === undefined) throw error;
      this.#log.debug({ err: error, key }, 'the status could not be written');
      return undefined;
    }
  }

  /** Whether the children are those of this generation. After a start, the status tells. */
  #isApplied(stored: KubeObject): boolean {
    const { uid, generation } = stored.metadata;
    const applied = this.#applied.get(keyOf(stored.metadata));
    if (applied?.uid === uid) return applied?.generation === generation;
    const isStalled = statusOf(stored)?.conditions?.some((each) => each.type === 'Stalled' && each.status === 'True');
    return isObservedIn(stored) && !isStalled;
  }

  /** A reconcile that wrote is followed by another: what was written may change what is desired. */
  #again(key: string, written: ChildWrites, wroteStatus: boolean): void {
    const waitMs = this.#pace.note(key, written);
    if (written.corrections > 0 && this.#pace.isNewFight(key)) {
      this.#log.warn({ key, controller: this.name }, 'somebody keeps changing what is set right here; going slower');
    }
    if (waitMs !== undefined) this.queue.addAfter(key, waitMs);
    // Once only: a status that never rests must not spin.
    else if (wroteStatus && !this.#echoed.delete(key)) {
      this.#echoed.add(key);
      this.queue.addAfter(key, statusEchoMs);
    } else this.#echoed.delete(key);
  }

  /** @param isUntold The status does not say so yet: it must not rest, whatever the failure is. */
  #failed(key: string, error: unknown, isUntold = false): string {
    const { metrics } = this.#options;
    const labelled = { controller: this.name };
    if (error instanceof TerminalError) {
      metrics?.terminalErrors.inc(labelled);
      this.#log.warn(
        { key, controller: this.name, reason: error.reason, error: error.message },
        'cannot be carried out',
      );
      if (isUntold) this.queue.retry(key);
      else this.queue.forget(key);
      return 'error';
    }
    metrics?.reconcileErrors.inc(labelled);
    if (error instanceof BlockedError) {
      this.queue.addAfter(key, this.#options.conflictRetryMs ?? 60_000);
      return 'error';
    }
    const waitMs = this.queue.retry(key, error instanceof ApiError ? error.retryAfterMs : 0);
    const known = error instanceof ApiError;
    const fields = {
      key,
      controller: this.name,
      waitMs: Math.round(waitMs),
      ...(known ? { error: error.message } : { err: error }),
    };
    if (known && this.queue.failuresOf(key) < 3) this.#log.debug(fields, 'reconcile failed');
    else this.#log.warn(fields, 'reconcile failed');
    return 'error';
  }
}

function isObservedIn(resource: KubeObject): boolean {
  return statusOf(resource)?.observedGeneration === resource.metadata.generation;
}

/** One resource that is slow to bring about must not keep others waiting; it is likely to be all of its namespace. */
const slowAfterMs = 500;
const slowShare = 7;
/** After a write of status alone, what follows from it may take its time. */
const statusEchoMs = 100;
/** What no watch of ours sees end is looked at again. */
const unseenMs = 1_000;
/** A renewal that was late is tried again within two seconds. */
const fencedMs = 1_000;
