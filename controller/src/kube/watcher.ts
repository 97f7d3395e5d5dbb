// A lister-watcher: keeps a cache equal to one collection on the API server, whatever happens to the connection.
// One `Watcher` follows all namespaces or some; each of those is a `Follower` with a connection of its own.
import type { Client } from './client.ts';
import { Follower, type FollowerOptions } from './follower.ts';
import { type Log, silentLog } from './log.ts';
import { keyOf } from './paths.ts';
import { Cache, type IndexFunction, isNewer, type Store } from './store.ts';
import type { KubeObject, ResourceType } from './types.ts';

export type Change = 'added' | 'changed' | 'deleted';

/** Must only enqueue. One that throws is logged, and the others still run. */
export type ChangeHandler<T extends KubeObject = KubeObject> = (
  object: T,
  change: Change,
  previous: T | undefined,
) => void;

export interface WatcherOptions extends FollowerOptions {
  client: Client;
  type: ResourceType;
  /** Namespaces to follow; empty or absent: all of them in one watch. */
  namespaces?: readonly string[];
  /** Applied before caching; may change the object it is given. Default: `stripBulk`. */
  transform?: (object: KubeObject) => KubeObject;
  indexes?: Record<string, IndexFunction>;
}

/** What happened to an object while a write of ours to it was under way. */
interface Held<T> {
  object: T;
  change: Change;
  previous: T | undefined;
  /** It came alone: if it is of the version that was answered, it is the write itself. */
  isAlone: boolean;
}

export class Watcher<T extends KubeObject = KubeObject> {
  readonly type: ResourceType;
  /** Resolves when every namespace has been listed once. */
  readonly synced: Promise<void>;
  readonly #cache: Cache<T>;
  readonly #followers = new Map<string, Follower>();
  readonly #handlers: ChangeHandler<T>[] = [];
  /** By the keys of objects that are being written to. */
  readonly #held = new Map<string, Held<T> | undefined>();
  readonly #log: Log;
  readonly #transform: (object: KubeObject) => KubeObject;
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #started = false;

  constructor(options: WatcherOptions) {
    this.type = options.type;
    this.#cache = new Cache<T>(options.indexes);
    this.#log = options.log ?? silentLog;
    this.#transform = options.transform ?? stripBulk;
    const scopes = options.namespaces?.length ? options.namespaces : [undefined];
    for (const namespace of scopes) {
      const follower = new Follower(options.client, options.type, namespace, options, {
        store: (object, force) => this.#store(object, force),
        remove: (key, resourceVersion) => this.#remove(key, resourceVersion),
        known: () => this.#cache.values(),
        has: (key, resourceVersion) => this.#cache.get(key)?.metadata.resourceVersion === resourceVersion,
      });
      this.#followers.set(namespace ?? '', follower);
    }
    this.synced = Promise.all([...this.#followers.values()].map((follower) => follower.synced)).then(() => undefined);
  }

  get store(): Store<T> {
    return this.#cache;
  }

  get isSynced(): boolean {
    return [...this.#followers.values()].every((follower) => follower.isSynced);
  }

  /** Adds a handler; it also hears, as `added`, of everything that is cached already. */
  onChange(handler: ChangeHandler<T>): void {
    this.#handlers.push(handler);
    for (const object of this.#cache.values()) this.#call(handler, object, 'added', undefined);
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#running = Promise.all([...this.#followers.values()].map((follower) => follower.run(this.#stop.signal)));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /**
   * Sends a write to one object and takes its answer into the cache. What the watch brings meanwhile is told afterwards,
   * but for the write itself, which is no news to whoever wrote: no matter which of the two comes first.
   */
  async write(key: string, send: () => Promise<T>): Promise<T> {
    if (this.#held.has(key)) return await this.#send(send);
    this.#held.set(key, undefined);
    let version: string | undefined;
    try {
      const answer = await this.#send(send);
      version = answer.metadata.resourceVersion;
      return answer;
    } finally {
      const held = this.#held.get(key);
      this.#held.delete(key);
      const isEcho = held?.isAlone && held.object.metadata.resourceVersion === version;
      if (held && !isEcho) this.#notify(held.object, held.change, held.previous);
    }
  }

  async #send(send: () => Promise<T>): Promise<T> {
    const answer = await send();
    this.offer(answer);
    return answer;
  }

  /**
   * Read your own writes: takes the object that a write was answered with, so that the next read of the cache sees
   * it before the watch brings it. What the watch has passed already is refused: the object may be gone since.
   * Handlers are not called.
   */
  offer(object: T): void {
    const { namespace, resourceVersion } = object.metadata;
    const follower = this.#followers.get('') ?? this.#followers.get(namespace ?? '');
    if (!follower || !isNewer(resourceVersion, follower.resourceVersion)) return;
    this.#cache.put(this.#transform(object) as T);
  }

  #store(object: KubeObject, force: boolean): void {
    const stored = this.#transform(object) as T;
    const replaced = this.#cache.put(stored, force);
    if (replaced) this.#notify(stored, replaced.previous ? 'changed' : 'added', replaced.previous);
  }

  #remove(key: string, resourceVersion: string | undefined): void {
    const gone = this.#cache.remove(key, resourceVersion);
    if (gone) this.#notify(gone, 'deleted', gone);
  }

  #notify(object: T, change: Change, previous: T | undefined): void {
    if (this.#held.size > 0 && this.#isHeld(object, change, previous)) return;
    for (const handler of this.#handlers) this.#call(handler, object, change, previous);
  }

  #isHeld(object: T, change: Change, previous: T | undefined): boolean {
    const key = keyOf(object.metadata);
    if (!this.#held.has(key)) return false;
    const before = this.#held.get(key);
    if (change !== 'deleted') {
      const first = before ?? { change, previous };
      this.#held.set(key, { ...first, object, isAlone: before === undefined });
      return true;
    }
    this.#held.set(key, undefined);
    return false;
  }

  #call(handler: ChangeHandler<T>, object: T, change: Change, previous: T | undefined): void {
    try {
      handler(object, change, previous);
    } catch (error) {
      this.#log.error({ err: error, type: this.type.plural, name: object.metadata.name }, 'a change handler threw');
    }
  }
}

/** Drops what no reconcile reads and what makes caches large. Set to undefined rather than deleted: V8 keeps the shape. */
export function stripBulk(object: KubeObject): KubeObject {
  const metadata = object.metadata as { managedFields?: unknown; annotations?: Record<string, string> };
  if (metadata.managedFields !== undefined) metadata.managedFields = undefined;
  const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
  if (metadata.annotations?.[lastApplied] !== undefined) delete metadata.annotations[lastApplied];
  return object;
}
