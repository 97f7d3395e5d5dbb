// Raw JSON over one keep-alive pool: what the controller asks of the API server, with a time-out on every call.
import { createSecureContext } from 'node:tls';
import { type Dispatcher, Pool } from 'undici';
import { pause } from './backoff.ts';
import type { Connection } from './config.ts';
import { ApiError, apiErrorOf, FencedError } from './errors.ts';
import { apiVersionOf, type Query, type Reference, resourcePath, withQuery } from './paths.ts';
import { Slots } from './slots.ts';
import type { KubeObject, ResourceType } from './types.ts';

export interface ClientOptions {
  /**
   * Requests under way at once; further ones wait. Default 16. Those that are not answered within half a second no longer
   * count, up to seven times as many. Watches have connections of their own.
   */
  connections?: number;
  /** Longest time of one call from start to last byte, waiting included, in milliseconds. Default 30 000. */
  timeoutMs?: number;
  /** Field manager of applies. Default `quintet`. */
  fieldManager?: string;
  userAgent?: string;
  /** Asked before each write: false refuses it (FencedError). For leaders that may have lost their lease. */
  mayWrite?: () => boolean;
  /** Told of every answer: for `rest_client_requests_total`. `code` is `<error>` without an answer, as in client-go. */
  onRequest?: (method: string, code: string) => void;
  /** Told when this machine's clock and the server's begin to disagree, and when they agree again (0). */
  onClockSkew?: (aheadMs: number) => void;
  /** This machine's clock. */
  wallClock?: () => number;
}

export interface ListOptions {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /** Objects per page. Default 500; 0 asks for all in one answer. */
  limit?: number;
}

export interface List<T> {
  items: T[];
  resourceVersion: string;
}

export interface DeleteOptions {
  /** Deletes only the object with this uid: never a namesake made since. */
  uid?: string | undefined;
  propagation?: 'Background' | 'Foreground' | 'Orphan';
}

export interface ApplyOptions {
  fieldManager?: string;
  subresource?: string;
}

export interface CreateOptions {
  fieldManager?: string;
  /** Of the object that bears the document's name: `eviction` of a pod. */
  subresource?: string;
  /** Asks whether it would be made, and makes nothing. */
  dryRun?: boolean;
}

/** A document to apply: any fields, as long as it is named. */
export interface Applied {
  metadata: Reference;
  [field: string]: unknown;
}

/** A document to create: any fields; events may leave their name to the server. */
export interface Created {
  metadata: { namespace?: string | undefined; name?: string; generateName?: string };
  [field: string]: unknown;
}

interface Call {
  method: Dispatcher.HttpMethod;
  path: string;
  body?: string;
  contentType?: string;
  accept?: string;
  /** 404 is an answer like any other (undefined): no error is made of it. */
  mayBeAbsent?: boolean;
  signal?: AbortSignal;
}

/** Dates of answers have whole seconds and are as old as the way here took: less than this is no disagreement. */
const clockToleranceMs = 5_000;
/** How often an answer's date is looked at. */
const clockCheckMs = 10_000;
const slowAfterMs = 500;
const slowShare = 7;
const maxThrottleRetries = 3;
/** A longer Retry-After is not waited for here: the caller is told, and its own backoff takes over. */
const maxThrottleWaitMs = 5_000;

export class Client {
  readonly fieldManager: string;
  readonly #connection: Connection;
  readonly #options: ClientOptions;
  readonly #timeoutMs: number;
  readonly #calls: Pool;
  readonly #slots: Slots;
  readonly #watches: Pool;
  readonly #basePath: string;
  readonly #wallClock: () => number;
  /** By how much this machine's clock is ahead of the server's; 0 while they agree. */
  #aheadMs = 0;
  #clockCheckedAt = Number.NEGATIVE_INFINITY;

  constructor(connection: Connection, options: ClientOptions = {}) {
    this.#connection = connection;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#wallClock = options.wallClock ?? Date.now;
    this.fieldManager = options.fieldManager ?? 'quintet';
    const { origin, pathname, protocol } = new URL(connection.server);
    this.#basePath = pathname === '/' ? '' : pathname.replace(/\/$/, '');
    const shared = {
      allowH2: false,
      connect: {
        ...connection.tls,
        // One for all connections: each would read the certificates anew and keep a copy of its own.
        ...(protocol === 'https:' && { secureContext: createSecureContext(connection.tls) }),
        timeout: 10_000,
        keepAlive: true,
        keepAliveInitialDelay: 15_000,
      },
      keepAliveTimeout: 30_000,
    };
    const quick = options.connections ?? 16;
    this.#slots = new Slots({ quick, slow: quick * slowShare, slowAfterMs });
    this.#calls = new Pool(origin, { ...shared, connections: quick * (1 + slowShare) });
    this.#watches = new Pool(origin, shared);
  }

  /** The server's time: whose clock an object's times are read off must not depend on which replica reads them. */
  now(): Date {
    return new Date(this.#wallClock() - this.#aheadMs);
  }

  async get<T extends KubeObject>(type: ResourceType, { namespace, name }: Reference): Promise<T> {
    return await this.#json<T>({ method: 'GET', path: resourcePath(type, namespace, name) });
  }

  /**
   * Metadata only, from the server's cache: the cheapest read there is. May lag behind by a few milliseconds.
   * Undefined when there is no such object.
   */
  async findMetadata(type: ResourceType, { namespace, name }: Reference): Promise<KubeObject | undefined> {
    const path = withQuery(resourcePath(type, namespace, name), { resourceVersion: '0' });
    return await this.#json({
      method: 'GET',
      path,
      mayBeAbsent: true,
      accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
    });
  }

  /** All objects, page by page. `onPage` may keep what it needs of each page instead of collecting `items`. */
  async list<T extends KubeObject>(
    type: ResourceType,
    options: ListOptions = {},
    onPage?: (items: T[]) => void,
  ): Promise<List<T>> {
    const { namespace, labelSelector, fieldSelector, limit = 500 } = options;
    const path = resourcePath(type, namespace);
    const items: T[] = [];
    let token: string | undefined;
    for (;;) {
      const query = { labelSelector, fieldSelector, limit: limit || undefined, continue: token };
      const page = await this.#json<{ metadata: { resourceVersion: string; continue?: string }; items: T[] | null }>({
        method: 'GET',
        path: withQuery(path, query),
      });
      if (onPage) onPage(page.items ?? []);
      else items.push(...(page.items ?? []));
      token = page.metadata.continue;
      if (!token) return { items, resourceVersion: page.metadata.resourceVersion };
    }
  }

  /** Server-side apply, forced: this document's fields are ours. Answers the whole object as it is then. */
  async apply<T extends KubeObject>(type: ResourceType, document: Applied, options: ApplyOptions = {}): Promise<T> {
    const { namespace, name } = document.metadata;
    const query = { fieldManager: options.fieldManager ?? this.fieldManager, force: true };
    return await this.#json<T>({
      method: 'PATCH',
      path: withQuery(resourcePath(type, namespace, name, options.subresource), query),
      body: JSON.stringify(document),
      contentType: 'application/apply-patch+yaml',
    });
  }

  /**
   * Applies `status` alone under a field manager of its own.
   * @param owner The resource; its uid is sent along, so that a namesake made since gets 409, not an old status.
   */
  async applyStatus<T extends KubeObject>(type: ResourceType, owner: KubeObject, status: object): Promise<T> {
    const { namespace, name, uid } = owner.metadata;
    const document = {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      metadata: { name, ...(namespace && { namespace }), ...(uid && { uid }) },
      status,
    };
    return await this.apply<T>(type, document, { subresource: 'status', fieldManager: `${this.fieldManager}-status` });
  }

  async create<T extends KubeObject>(type: ResourceType, object: Created, options: CreateOptions = {}): Promise<T> {
    const { fieldManager = this.fieldManager, dryRun, subresource } = options;
    const query = { fieldManager, ...(dryRun && { dryRun: 'All' }) };
    const { namespace, name } = object.metadata;
    const of = subresource === undefined ? undefined : name;
    const path = withQuery(resourcePath(type, namespace, of, subresource), query);
    return await this.#json<T>({ method: 'POST', path, body: JSON.stringify(object) });
  }

  /** Replaces the object; with `metadata.resourceVersion` only if nobody else wrote since (409). */
  async update<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    const { namespace, name } = object.metadata;
    return await this.#json<T>({
      method: 'PUT',
      path: resourcePath(type, namespace, name),
      body: JSON.stringify(object),
    });
  }

  async patch<T extends KubeObject>(
    type: ResourceType,
    { namespace, name }: Reference,
    patch: object,
    options: { format?: 'merge' | 'json'; subresource?: string } = {},
  ): Promise<T> {
    const path = resourcePath(type, namespace, name, options.subresource);
    return await this.#json<T>({
      method: 'PATCH',
      path: withQuery(path, { fieldManager: this.fieldManager }),
      body: JSON.stringify(patch),
      contentType: `application/${options.format === 'json' ? 'json-patch' : 'merge-patch'}+json`,
    });
  }

  async delete(type: ResourceType, { namespace, name }: Reference, options: DeleteOptions = {}): Promise<void> {
    const body = {
      propagationPolicy: options.propagation ?? 'Background',
      ...(options.uid && { preconditions: { uid: options.uid } }),
    };
    await this.#json({ method: 'DELETE', path: resourcePath(type, namespace, name), body: JSON.stringify(body) });
  }

  /** For what has no resource type: `/version`, `/readyz`, discovery. */
  async getRaw<T>(path: string): Promise<T> {
    return await this.#json<T>({ method: 'GET', path });
  }

  /**
   * Opens a watch and answers its body, to be read line by line until the server or `signal` ends it.
   * @param idleMs Without a byte for so long the socket counts as half-open, and reading it fails.
   * @throws ApiError when the server refuses the watch.
   */
  async watch(
    type: ResourceType,
    namespace: string | undefined,
    query: Query,
    idleMs: number,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData['body']> {
    const path = withQuery(resourcePath(type, namespace), { ...query, watch: 1 });
    const call: Call = { method: 'GET', path, signal };
    const { statusCode, headers, body } = await this.#send(this.#watches, call, {
      headersTimeout: this.#timeoutMs,
      bodyTimeout: idleMs,
    });
    if (statusCode === 200) return body;
    throw apiErrorOf(statusCode, await body.text(), headerOf(headers['retry-after']));
  }

  /** Breaks what is under way; the client cannot be used afterwards. */
  async close(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#watches.destroy()]);
  }

  async #json<T>(call: Call): Promise<T> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), this.#timeoutMs);
    try {
      return await this.#withRetries<T>({ ...call, signal: abort.signal });
    } catch (error) {
      if (!abort.signal.aborted || error instanceof ApiError || error instanceof FencedError) throw error;
      throw new ApiError(0, 'Timeout', `${call.method} ${call.path}: no answer within ${this.#timeoutMs} ms`);
    } finally {
      clearTimeout(timer);
    }
  }

  async #withRetries<T>(call: Call): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const { statusCode, headers, text } = await this.#inTurn(call);
      if (statusCode < 300) return parseBody<T>(text, call);
      if (statusCode === 404 && call.mayBeAbsent) return undefined as T;
      const error = apiErrorOf(statusCode, text, headerOf(headers['retry-after']));
      const { retryAfterMs } = error;
      const mayWait = statusCode === 429 && retryAfterMs !== undefined && retryAfterMs <= maxThrottleWaitMs;
      if (!mayWait || attempt >= maxThrottleRetries) throw error;
      await pause(retryAfterMs * (1 + Math.random() * 0.2), call.signal);
    }
  }

  async #inTurn(
    call: Call,
  ): Promise<{ statusCode: number; headers: Dispatcher.ResponseData['headers']; text: string }> {
    const slot = await this.#slots.take();
    // Webhooks and the like are slow by type and namespace, not by object.
    slot.begin(call.method === 'POST' ? call.path.replace(/\?.*/, '') : call.path.replace(/\/[^/]*$/, ''));
    try {
      const { statusCode, headers, body } = await this.#send(this.#calls, call);
      return { statusCode, headers, text: await readBody(body, call) };
    } finally {
      slot.release();
    }
  }

  async #send(
    pool: Pool,
    call: Call,
    timeouts?: { headersTimeout: number; bodyTimeout: number },
  ): Promise<Dispatcher.ResponseData> {
    for (let renewed = false; ; renewed = true) {
      const authorization = await this.#connection.authorization(renewed);
      const headers: Record<string, string> = {
        accept: call.accept ?? 'application/json',
        'user-agent': this.#options.userAgent ?? 'quintet',
      };
      if (authorization) headers.authorization = authorization;
      if (call.body !== undefined) headers['content-type'] = call.contentType ?? 'application/json';
      // Asked after every wait (for a slot, for a token, for the next attempt): a lease may run out meanwhile.
      if (call.method !== 'GET' && this.#options.mayWrite?.() === false) {
        throw new FencedError(`${call.method} ${call.path}: not the leader any more`);
      }
      let response: Dispatcher.ResponseData;
      try {
        response = await pool.request({
          method: call.method,
          path: this.#basePath + call.path,
          headers,
          body: call.body ?? null,
          signal: call.signal ?? null,
          ...timeouts,
        });
      } catch (error) {
        this.#options.onRequest?.(call.method, '<error>');
        throw connectionError(error, call);
      }
      this.#options.onRequest?.(call.method, String(response.statusCode));
      this.#compareClocks(headerOf(response.headers.date));
      if (response.statusCode !== 401 || renewed || !authorization) return response;
      // The token may have been rotated since it was read.
      await response.body.dump();
    }
  }

  #compareClocks(date: string | undefined): void {
    const now = performance.now();
    if (date === undefined || now < this.#clockCheckedAt + clockCheckMs) return;
    const local = this.#wallClock();
    // The middle of the second that the date names.
    const ahead = local - (Date.parse(date) + 500);
    if (Number.isNaN(ahead)) return;
    this.#clockCheckedAt = now;
    const aheadMs = Math.abs(ahead) < clockToleranceMs ? 0 : ahead;
    const hasTurned = Math.abs(aheadMs - this.#aheadMs) >= clockToleranceMs;
    this.#aheadMs = aheadMs;
    if (hasTurned) this.#options.onClockSkew?.(aheadMs);
  }
}

async function readBody(body: Dispatcher.ResponseData['body'], call: Call): Promise<string> {
  try {
    return await body.text();
  } catch (error) {
    throw connectionError(error, call);
  }
}

function parseBody<T>(text: string, call: Call): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError(
      0,
      'MalformedAnswer',
      `${call.method} ${call.path}: the answer is not JSON: ${text.slice(0, 80)}`,
    );
  }
}

function connectionError(error: unknown, call: Call): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  const timedOut = code?.startsWith('UND_ERR_') && code.endsWith('_TIMEOUT');
  return new ApiError(
    0,
    timedOut || call.signal?.aborted ? 'Timeout' : 'ConnectionFailed',
    `${call.method} ${call.path}: ${message}`,
  );
}

function headerOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
