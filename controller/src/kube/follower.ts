// Follows one collection in one namespace (or all): list, watch, resume, and list anew when the past is gone.
// Nothing here gives up: every failure is waited out, and the wait grows while nothing comes through.
import { Backoff, pause } from './backoff.ts';
import type { Client } from './client.ts';
import { ApiError, apiErrorOf, isExpired, isNotFound, isRewound } from './errors.ts';
import { LineSplitter } from './lines.ts';
import { type Log, silentLog } from './log.ts';
import { keyOf, type Query } from './paths.ts';
import { isNewer } from './store.ts';
import type { KubeObject, ResourceType, WatchEvent } from './types.ts';

export interface FollowerOptions {
  labelSelector?: string;
  fieldSelector?: string;
  log?: Log;
  /** Ask the server to stream the list (`sendInitialEvents`): neither side then holds it whole. Default true. */
  streamList?: boolean;
  /** Objects per page where the list is paged. Default 500. */
  pageSize?: number;
  /** A watch without a byte for so long is taken for dead. The server sends a bookmark a minute. Default 150 000 ms. */
  idleMs?: number;
  /** How long a watch is asked to last, drawn at random, in seconds. Default 300 to 600. */
  watchSeconds?: readonly [number, number];
  /** Waits between failures in milliseconds: first and longest. Default 100 and 30 000. */
  backoff?: readonly [number, number];
  /** Told of every list and every watch opened, and why: for metrics and tests. */
  onOpen?: (what: 'list' | 'watch', type: ResourceType) => void;
}

/** Where the follower brings what it learns. */
export interface Sink {
  /** @param force Also when what is stored looks newer: the server's history was set back. */
  store(object: KubeObject, force: boolean): void;
  remove(key: string, resourceVersion: string | undefined): void;
  known(): Iterable<KubeObject>;
  /** Whether this very version is stored already. */
  has(key: string, resourceVersion: string): boolean;
}

/** A line that is no watch event: the stream cannot be trusted any further. */
class MalformedLineError extends Error {
  override readonly name = 'MalformedLineError';
}

const maxLineBytes = 16 * 1024 * 1024;
const initialEventsEnd = 'k8s.io/initial-events-end';
/** A watch that lived so long was healthy. */
const healthyMs = 5_000;
/** How often a type that the server lacks is asked for again. */
const absentMs = 60_000;
/** While something comes through, the waits grow no further than this many doublings. */
const easedAttempts = 3;

export class Follower {
  readonly synced: Promise<void>;
  isSynced = false;
  /** Everything up to this version has been brought to the sink. */
  resourceVersion: string | undefined;
  readonly #client: Client;
  #type: ResourceType;
  readonly #namespace: string | undefined;
  readonly #options: FollowerOptions;
  readonly #sink: Sink;
  readonly #log: Log;
  readonly #backoff: Backoff;
  #markSynced: () => void;
  #streamList: boolean;
  #mustList = true;
  /** While the server streams its list: the keys it named so far. */
  #listed: Set<string> | undefined;
  #gotNews = false;
  readonly #versions: readonly string[];
  /** Versions of an optional type that were not tried yet since it was last absent. */
  #untried: string[];
  /** The server knows less than we do (etcd restored from a backup): its versions count, not ours. */
  #rewound = false;

  constructor(client: Client, type: ResourceType, namespace: string | undefined, options: FollowerOptions, sink: Sink) {
    this.#client = client;
    this.#type = type;
    this.#namespace = namespace;
    this.#options = options;
    this.#sink = sink;
    this.#log = options.log ?? silentLog;
    const [baseMs, maxMs] = options.backoff ?? [100, 30_000];
    this.#backoff = new Backoff({ baseMs, maxMs });
    this.#streamList = options.streamList ?? true;
    this.#versions = [type.version, ...(type.olderVersions ?? [])];
    this.#untried = this.#versions.slice(1);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#markSynced = resolve;
  }

  /** Runs until the signal aborts; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const start = performance.now();
      this.#gotNews = false;
      let waitMs = 0;
      try {
        if (this.#mustList && !this.#streamList) await this.#list();
        await this.#watch(signal);
        waitMs = this.#waitAfterEnd(performance.now() - start);
      } catch (error) {
        if (signal.aborted) return;
        waitMs = this.#waitAfter(error, performance.now() - start);
      }
      await pause(waitMs, signal);
    }
  }

  /** A watch ends of itself after minutes. One that ends sooner is waited after, or it would spin. */
  #waitAfterEnd(livedMs: number): number {
    if (livedMs > healthyMs) {
      this.#backoff.reset();
      return 0;
    }
    if (this.#gotNews) this.#backoff.ease(easedAttempts);
    return this.#backoff.next();
  }

  #waitAfter(error: unknown, livedMs: number): number {
    const { message } = error as Error;
    const fields = { type: this.#type.plural, namespace: this.#namespace, error: message };
    if (this.#type.optional && isNotFound(error)) {
      this.#mustList = true;
      return this.#isLeftToTry() ? 0 : this.#absent(fields);
    }
    if (this.#mustList && this.#streamList && isRefusal(error)) {
      this.#log.info(fields, 'the server does not stream lists; paging instead');
      this.#streamList = false;
      return 0;
    }
    if (this.#gotNews) this.#backoff.ease(easedAttempts);
    if (livedMs > healthyMs) this.#backoff.reset();
    if (isExpired(error)) {
      this.#log.info(fields, 'the watched past is gone; listing anew');
      this.#mustList = true;
      this.#rewound ||= isRewound(error);
    } else {
      this.#log.warn(fields, 'watch interrupted');
    }
    const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
    return Math.max(asked, this.#backoff.next());
  }

  #isLeftToTry(): boolean {
    const version = this.#untried.shift();
    if (version !== undefined) this.#type = { ...this.#type, version };
    return version !== undefined;
  }

  /** No version of the type is served: then there is no object of it either. */
  #absent(fields: object): number {
    const [first = '', ...older] = this.#versions;
    this.#type = { ...this.#type, version: first };
    this.#untried = older;
    if (!this.isSynced) this.#log.info(fields, 'the server does not have this type');
    for (const object of this.#sink.known()) {
      const isHere = this.#namespace === undefined || object.metadata.namespace === this.#namespace;
      if (isHere) this.#sink.remove(keyOf(object.metadata), undefined);
    }
    this.isSynced = true;
    this.#markSynced();
    return absentMs;
  }

  async #list(): Promise<void> {
    this.#options.onOpen?.('list', this.#type);
    const { labelSelector, fieldSelector, pageSize = 500 } = this.#options;
    const listed = new Set<string>();
    const { group, version, kind } = this.#type;
    const apiVersion = group === '' ? version : `${group}/${version}`;
    const query = { namespace: this.#namespace, labelSelector, fieldSelector, limit: pageSize };
    const { resourceVersion } = await this.#client.list(this.#type, query, (items) => {
      for (const item of items) {
        // Items of a list carry no type of their own.
        item.apiVersion ??= apiVersion;
        item.kind ??= kind;
        listed.add(keyOf(item.metadata));
        this.#sink.store(item, this.#rewound);
      }
    });
    this.#completeList(listed, resourceVersion);
  }

  /** What we know and the server did not name is gone, unless it is younger than the list. */
  #completeList(listed: Set<string>, resourceVersion: string): void {
    const gone: string[] = [];
    for (const object of this.#sink.known()) {
      if (this.#namespace !== undefined && object.metadata.namespace !== this.#namespace) continue;
      const key = keyOf(object.metadata);
      if (!listed.has(key)) gone.push(key);
    }
    for (const key of gone) this.#sink.remove(key, this.#rewound ? undefined : resourceVersion);
    this.resourceVersion = resourceVersion;
    this.#mustList = false;
    this.#rewound = false;
    this.#gotNews = true;
    if (this.isSynced) return;
    this.isSynced = true;
    this.#markSynced();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    this.#options.onOpen?.('watch', this.#type);
    this.#listed = this.#mustList ? new Set() : undefined;
    const { idleMs = 150_000, watchSeconds: [least, most] = [300, 600] } = this.#options;
    const seconds = Math.round(least + (most - least) * Math.random());
    const query = this.#query(seconds);
    const lines = new LineSplitter(maxLineBytes);
    const onLine = (line: string): void => this.#onLine(line);
    const ended = new AbortController();
    const end = (): void => ended.abort();
    signal.addEventListener('abort', end, { once: true });
    // The server may forget to end the watch; then we do.
    const overdue = setTimeout(end, (seconds + 30) * 1000);
    try {
      const body = await this.#client.watch(this.#type, this.#namespace, query, idleMs, ended.signal);
      for await (const chunk of body as AsyncIterable<Buffer>) lines.push(chunk, onLine);
    } finally {
      clearTimeout(overdue);
      signal.removeEventListener('abort', end);
    }
    if (lines.pendingBytes > 0) throw new MalformedLineError('the stream ended inside a line');
    if (this.#listed) throw new MalformedLineError('the stream ended inside the initial list');
  }

  #query(timeoutSeconds: number): Query {
    const { labelSelector, fieldSelector } = this.#options;
    const common = { labelSelector, fieldSelector, allowWatchBookmarks: true, timeoutSeconds };
    if (this.#mustList) return { ...common, sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' };
    return { ...common, resourceVersion: this.resourceVersion };
  }

  #onLine(line: string): void {
    if (!this.#listed && this.#isKnown(line)) return;
    const event = parseEvent(line);
    const { object } = event;
    if (event.type === 'ERROR') throw apiErrorOf((object as { code?: number }).code ?? 500, JSON.stringify(object));
    const { resourceVersion } = object.metadata;
    if (resourceVersion === undefined) throw new MalformedLineError(`a ${event.type} event without resourceVersion`);
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#listed?.add(keyOf(object.metadata));
        this.#sink.store(object, this.#rewound);
        break;
      case 'DELETED':
        this.#listed?.delete(keyOf(object.metadata));
        this.#sink.remove(keyOf(object.metadata), resourceVersion);
        break;
      case 'BOOKMARK':
        if (this.#listed && object.metadata.annotations?.[initialEventsEnd] === 'true') {
          this.#completeList(this.#listed, resourceVersion);
          this.#listed = undefined;
        }
        break;
    }
    // The initial list comes in no order: it counts only when it is whole.
    if (!this.#listed) this.#advanceTo(resourceVersion);
  }

  /** What a write of ours was answered with comes again as an event: that is told by its first bytes, and not read twice. */
  #isKnown(line: string): boolean {
    const [, name, namespace, resourceVersion] = eventStart.exec(line) ?? [];
    if (name === undefined || resourceVersion === undefined) return false;
    if (!this.#sink.has(`${namespace ?? ''}/${name}`, resourceVersion)) return false;
    this.#advanceTo(resourceVersion);
    return true;
  }

  #advanceTo(resourceVersion: string): void {
    if (!isNewer(resourceVersion, this.resourceVersion)) return;
    this.resourceVersion = resourceVersion;
    this.#gotNews = true;
  }
}

/**
 * How an event begins that stores an object of a built-in type: name, namespace and version are among its first fields.
 * Custom resources have their keys sorted and do not match.
 */
const eventStart =
  /^\{"type":"(?:ADDED|MODIFIED)","object":\{"kind":"\w+","apiVersion":"[\w./]+","metadata":\{"name":"([^"\\]+)",(?:"namespace":"([^"\\]+)",)?"uid":"[^"\\]+","resourceVersion":"(\d+)"/;

const eventTypes = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

function parseEvent(line: string): WatchEvent {
  let event: Partial<WatchEvent>;
  try {
    event = JSON.parse(line) as Partial<WatchEvent>;
  } catch {
    throw new MalformedLineError(`a line is not JSON: ${line.slice(0, 80)}`);
  }
  const { type, object } = event ?? {};
  const whole = type !== undefined && eventTypes.has(type) && typeof object === 'object' && object !== null;
  if (!whole || (type !== 'ERROR' && typeof object.metadata !== 'object')) {
    throw new MalformedLineError(`a line is no watch event: ${line.slice(0, 80)}`);
  }
  return event as WatchEvent;
}

/** Answers by which a server says that it cannot stream lists. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 400 || error.status === 422);
}
