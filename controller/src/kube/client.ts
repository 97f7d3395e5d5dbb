// What the controller asks of the API server: raw JSON, verb by verb.
import type { Dispatcher } from 'undici';
import type { Connection } from './config.ts';
import { apiVersionOf, type Query, type Reference, resourcePath, withQuery } from './paths.ts';
import { Transport, type TransportOptions } from './transport.ts';
import type { KubeObject, ResourceType } from './types.ts';

export interface ClientOptions extends TransportOptions {
  /** Field manager of applies. Default `quintet`. */
  fieldManager?: string;
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

export class Client {
  readonly fieldManager: string;
  readonly #transport: Transport;

  constructor(connection: Connection, options: ClientOptions = {}) {
    this.fieldManager = options.fieldManager ?? 'quintet';
    this.#transport = new Transport(connection, options);
  }

  /** The server's time. */
  now(): Date {
    return this.#transport.clock.now();
  }

  async get<T extends KubeObject>(type: ResourceType, { namespace, name }: Reference): Promise<T> {
    return await this.#transport.json<T>({ method: 'GET', path: resourcePath(type, namespace, name) });
  }

  /**
   * Metadata only, from the server's cache: the cheapest read there is. May lag behind by a few milliseconds.
   * Undefined when there is no such object.
   */
  async findMetadata(type: ResourceType, { namespace, name }: Reference): Promise<KubeObject | undefined> {
    const path = withQuery(resourcePath(type, namespace, name), { resourceVersion: '0' });
    return await this.#transport.json({
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
      const page = await this.#transport.json<{
        metadata: { resourceVersion: string; continue?: string };
        items: T[] | null;
      }>({
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
    return await this.#transport.json<T>({
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
    return await this.#transport.json<T>({ method: 'POST', path, body: JSON.stringify(object) });
  }

  /** Replaces the object; with `metadata.resourceVersion` only if nobody else wrote since (409). */
  async update<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    const { namespace, name } = object.metadata;
    return await this.#transport.json<T>({
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
    return await this.#transport.json<T>({
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
    await this.#transport.json({
      method: 'DELETE',
      path: resourcePath(type, namespace, name),
      body: JSON.stringify(body),
    });
  }

  /** For what has no resource type: `/version`, `/readyz`, discovery. */
  async getRaw<T>(path: string): Promise<T> {
    return await this.#transport.json<T>({ method: 'GET', path });
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
    return await this.#transport.watch({ method: 'GET', path, signal }, idleMs);
  }

  /** Breaks what is under way; the client cannot be used afterwards. */
  async close(): Promise<void> {
    await this.#transport.close();
  }
}
