// For tests: an API server in this process that holds objects in memory and speaks list, watch (with resume, bookmarks,
// 410, streamed lists), create, server-side apply, status, delete. It knows no schemas and merges applies shallowly.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Connection } from './config.ts';
import { apiVersionOf, keyOf, resourcePath } from './paths.ts';
import type { KubeObject, ObjectMeta, ResourceType } from './types.ts';

interface HistoryEntry {
  version: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: KubeObject;
}

interface OpenWatch {
  collection: string;
  namespace: string;
  selector: string;
  response: ServerResponse;
}

/** An object as a test writes it: the rest is filled in. */
export interface Stored {
  apiVersion?: string;
  metadata: Partial<ObjectMeta> & { name: string; managedFields?: unknown };
  [field: string]: unknown;
}

export interface SeenRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
}

/** Answers a request in place of the server by returning true. */
export type Interceptor = (request: SeenRequest, response: ServerResponse) => boolean;

export class TestServer {
  readonly requests: SeenRequest[] = [];
  /** Answers whole lists only, as servers before 1.32 do. */
  streamsLists = true;
  intercept: Interceptor | undefined;
  /** Watches may not resume from before this version: 410. */
  compactedTo = 0;
  #version = 1000;
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #history = new Map<string, HistoryEntry[]>();
  readonly #watches = new Set<OpenWatch>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (chunk: string) => (body += chunk));
      request.on('end', () => this.#answer(request, response, body));
    });
  }

  static async start(): Promise<TestServer> {
    const server = new TestServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get connection(): Connection {
    const { port } = this.#server.address() as AddressInfo;
    return { server: `http://127.0.0.1:${port}`, namespace: 'default', tls: {}, authorization: async () => undefined };
  }

  async stop(): Promise<void> {
    this.cutWatches();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  /** Requests that are not reads, as `METHOD path`. */
  get writes(): string[] {
    return this.requests.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`);
  }

  get(type: ResourceType, namespace: string, name: string): KubeObject | undefined {
    return this.#objects.get(resourcePath(type))?.get(`${namespace}/${name}`);
  }

  all(type: ResourceType): KubeObject[] {
    return [...(this.#objects.get(resourcePath(type))?.values() ?? [])];
  }

  /** Writes an object as somebody else would; watches see it. */
  put(type: ResourceType, object: Stored): KubeObject {
    return this.#write(resourcePath(type), {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      ...object,
    });
  }

  remove(type: ResourceType, namespace: string, name: string): void {
    this.#removeFrom(resourcePath(type), namespace, name);
  }

  /** Ends all watches: cleanly, or by breaking their connections. */
  cutWatches(broken = false): void {
    for (const watch of this.#watches) {
      if (broken) watch.response.destroy();
      else watch.response.end();
    }
    this.#watches.clear();
  }

  /** Sends raw bytes into all open watches. */
  inject(text: string): void {
    for (const watch of this.#watches) watch.response.write(text);
  }

  /** Changes happen, but no watch hears of them until `cutWatches`. */
  muted = false;

  /** Forgets the past: watches from before now get 410. */
  compact(): void {
    this.compactedTo = this.#version;
  }

  bookmark(): void {
    for (const watch of this.#watches) watch.response.write(bookmarkLine(this.#version));
  }

  /** As a backup restored: the versions start again far lower, with the objects given. */
  rewind(type: ResourceType, objects: Stored[]): void {
    this.cutWatches(true);
    this.#version = 10;
    this.#objects.clear();
    this.#history.clear();
    for (const object of objects) this.put(type, object);
  }

  #answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const url = new URL(request.url ?? '/', 'http://server');
    const seen = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
    };
    this.requests.push(seen);
    if (this.intercept?.(seen, response)) return;
    const target = parsePath(url.pathname);
    if (seen.method === 'GET' && url.searchParams.get('watch')) this.#openWatch(target, url.searchParams, response);
    else if (seen.method === 'GET' && target.name === undefined) this.#list(target, url.searchParams, response);
    else this.#single(seen.method, target, body, response);
  }

  #single(method: string, target: Target, body: string, response: ServerResponse): void {
    const key = `${target.namespace}/${target.name ?? ''}`;
    const stored = this.#objects.get(target.collection)?.get(key);
    const input = body === '' ? {} : (JSON.parse(body) as KubeObject & { preconditions?: { uid?: string } });
    if (method === 'POST') {
      const created = input as KubeObject;
      if (this.#objects.get(target.collection)?.has(keyOf(created.metadata)))
        return refuse(response, 409, 'AlreadyExists');
      return answer(response, 201, this.#write(target.collection, created));
    }
    const mustExist = method !== 'PATCH' || target.subresource !== undefined;
    if (!stored && mustExist) return refuse(response, 404, 'NotFound');
    if (method === 'GET') return answer(response, 200, stored as KubeObject);
    if (method === 'DELETE') {
      const uid = (input as { preconditions?: { uid?: string } }).preconditions?.uid;
      if (uid && uid !== stored?.metadata.uid) return refuse(response, 409, 'Conflict');
      const [namespace = '', name = ''] = key.split('/');
      this.#removeFrom(target.collection, namespace, name);
      return answer(response, 200, { apiVersion: 'v1', kind: 'Status', metadata: { name } });
    }
    this.#change(method, target, stored, input as KubeObject, response);
  }

  #change(
    method: string,
    target: Target,
    stored: KubeObject | undefined,
    input: KubeObject,
    response: ServerResponse,
  ): void {
    const { uid, resourceVersion } = input.metadata ?? {};
    if (stored && uid && uid !== stored.metadata.uid) return refuse(response, 409, 'Conflict');
    if (method === 'PUT' && resourceVersion && resourceVersion !== stored?.metadata.resourceVersion) {
      return refuse(response, 409, 'Conflict');
    }
    if (target.subresource === 'status' && stored) {
      const next = { ...stored, status: (input as { status?: object }).status } as KubeObject;
      return answer(response, 200, same(stored, next) ? stored : this.#write(target.collection, next));
    }
    const metadata = {
      ...stored?.metadata,
      ...input.metadata,
      annotations: { ...stored?.metadata.annotations, ...input.metadata?.annotations },
    };
    const next = { ...stored, ...input, metadata } as KubeObject;
    answer(response, stored ? 200 : 201, stored && same(stored, next) ? stored : this.#write(target.collection, next));
  }

  #removeFrom(collection: string, namespace: string, name: string): void {
    const stored = this.#objects.get(collection)?.get(`${namespace}/${name}`);
    if (!stored) return;
    this.#objects.get(collection)?.delete(`${namespace}/${name}`);
    this.#record(collection, 'DELETED', withVersion(stored, ++this.#version));
  }

  #write(collection: string, object: KubeObject): KubeObject {
    let objects = this.#objects.get(collection);
    if (!objects) this.#objects.set(collection, (objects = new Map()));
    const key = keyOf(object.metadata);
    const previous = objects.get(key);
    const version = ++this.#version;
    const specChanged = JSON.stringify(specOf(previous)) !== JSON.stringify(specOf(object));
    const generation = (previous?.metadata.generation ?? 0) + (specChanged || !previous ? 1 : 0);
    const uid = previous?.metadata.uid ?? `uid-${version}`;
    const stored = { ...object, metadata: { ...object.metadata, uid, generation, resourceVersion: String(version) } };
    objects.set(key, stored);
    this.#record(collection, previous ? 'MODIFIED' : 'ADDED', stored);
    return stored;
  }

  #record(collection: string, type: HistoryEntry['type'], object: KubeObject): void {
    let history = this.#history.get(collection);
    if (!history) this.#history.set(collection, (history = []));
    history.push({ version: Number(object.metadata.resourceVersion), type, object });
    if (this.muted) return;
    for (const watch of this.#watches) {
      if (watch.collection === collection && selected(watch, object)) watch.response.write(line(type, object));
    }
  }

  #list(target: Target, query: URLSearchParams, response: ServerResponse): void {
    const scope = { namespace: target.namespace, selector: query.get('labelSelector') ?? '' };
    const all = [...(this.#objects.get(target.collection)?.values() ?? [])].filter((object) => selected(scope, object));
    const limit = Number(query.get('limit') ?? 0) || all.length;
    const from = Number(query.get('continue') ?? 0);
    const next = from + limit < all.length ? String(from + limit) : '';
    answer(response, 200, {
      metadata: { resourceVersion: String(this.#version), continue: next },
      items: all.slice(from, from + limit),
    });
  }

  #openWatch(target: Target, query: URLSearchParams, response: ServerResponse): void {
    const watch = {
      collection: target.collection,
      namespace: target.namespace,
      selector: query.get('labelSelector') ?? '',
      response,
    };
    const streamed = query.get('sendInitialEvents') === 'true';
    if (streamed && !this.streamsLists) return refuse(response, 422, 'Invalid');
    const from = Number(query.get('resourceVersion') ?? 0);
    if (!streamed && from < this.compactedTo) return refuse(response, 410, 'Expired');
    if (from > this.#version) return refuse(response, 504, 'Timeout', `Too large resource version: ${from}`);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (streamed) {
      for (const object of this.#objects.get(target.collection)?.values() ?? []) {
        if (selected(watch, object)) response.write(line('ADDED', object));
      }
      response.write(bookmarkLine(this.#version, { 'k8s.io/initial-events-end': 'true' }));
    } else {
      for (const entry of this.#history.get(target.collection) ?? []) {
        if (entry.version > from && selected(watch, entry.object)) response.write(line(entry.type, entry.object));
      }
    }
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
  }
}

interface Target {
  collection: string;
  namespace: string;
  name: string | undefined;
  subresource: string | undefined;
}

function parsePath(path: string): Target {
  const parts = path.split('/').filter((part) => part !== '');
  const base = parts.splice(0, parts[0] === 'api' ? 2 : 3);
  let namespace = '';
  if (parts[0] === 'namespaces' && parts.length > 2) [, namespace = ''] = parts.splice(0, 2);
  const [plural, name, subresource] = parts;
  return { collection: `/${[...base, plural].join('/')}`, namespace, name, subresource };
}

/** Selectors of the form `label=value`, comma-separated. */
function selected({ namespace, selector }: { namespace: string; selector: string }, object: KubeObject): boolean {
  if (namespace !== '' && object.metadata.namespace !== namespace) return false;
  const pairs = selector === '' ? [] : selector.split(',').map((term) => term.split('='));
  return pairs.every(([name = '', value]) => object.metadata.labels?.[name] === value);
}

function same(a: KubeObject, b: KubeObject): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function specOf(object: KubeObject | undefined): unknown {
  if (!object) return undefined;
  const { metadata: _metadata, status: _status, ...rest } = object as KubeObject & { status?: unknown };
  return rest;
}

function withVersion(object: KubeObject, version: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
}

function line(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function bookmarkLine(version: number, annotations: Record<string, string> = {}): string {
  return line('BOOKMARK', { metadata: { resourceVersion: String(version), annotations } });
}

export function answer(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function refuse(
  response: ServerResponse,
  code: number,
  reason: string,
  message = reason,
  headers: Record<string, string> = {},
): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ kind: 'Status', code, reason, message }));
}
