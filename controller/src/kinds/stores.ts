// The installation's own Redis and PostgreSQL: what a resource gets of them where it names no store of its own. It gets an
// owned Secret with the addresses, for pods must not carry a password in their spec (docs/adr/0009-default-stores.md).
import { referenceAt } from '@quintet/crds';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import { childMeta, childName, hashOf } from '../objects/meta.ts';
import type { Variable } from '../objects/pod.ts';
import { types } from '../objects/types.ts';
import { TerminalError } from '../reconcile/errors.ts';

export type Store = 'redis' | 'postgres';
/** URLs with user and password; what is left out the installation does not have. */
export type Stores = Partial<Record<Store, string>>;

interface Wish {
  store: Store;
  /** The block of the spec that names another. */
  path: string;
  /** The engine does nothing without it. */
  required: boolean;
  /** Only a resource with this block of its spec uses the store: the others are not told its password. */
  block?: string;
  /** The part of the store that is this resource's. */
  share: (url: URL, resource: KubeObject) => void;
}

const wishes: Record<string, readonly Wish[]> = {
  EvolutionRun: [
    // Its keys follow from content and uid, and BullMQ takes no prefix by the connection.
    { store: 'redis', path: 'queue.redis', required: true, share: () => undefined },
    { store: 'postgres', path: 'registry.postgres', required: true, share: schemaOfNamespace },
  ],
  MatcherPool: [
    { store: 'redis', path: 'cache.redis', required: false, share: prefixOfResource },
    { store: 'postgres', path: 'index.postgres', required: true, share: schemaOfResource },
  ],
  // Of mode Service alone: the Jobs keep nothing.
  FieldJob: [{ store: 'redis', path: 'cache.redis', required: false, share: prefixOfResource }],
  CompressionService: [{ store: 'redis', path: 'cache.redis', required: false, share: prefixOfResource }],
  CopyEngine: [
    { store: 'redis', path: 'cache.redis', required: false, share: prefixOfResource },
    // The ledger.
    { store: 'postgres', path: 'budgets.postgres', required: false, block: 'budgets', share: schemaOfResource },
  ],
};

type Asking = KubeObject & { spec: object };

export interface Secret extends KubeObject {
  type: 'Opaque';
  data: Record<string, string>;
}

/** The child type of kinds that are given stores: without stores the controller has no right on any Secret. */
export const storeTypes = (stores: Stores | undefined): ResourceType[] =>
  stores?.redis || stores?.postgres ? [types.secret] : [];

export const storeVariables: Readonly<Record<Store, string>> = {
  redis: 'QUINTET_REDIS_URL',
  postgres: 'QUINTET_POSTGRES_URL',
};

/**
 * The Secret, the variables of the pods that read it, and a mark of what they read, by which pods are rolled.
 * @param used Stores that these pods use; all when left out
 */
export function storesOf(
  resource: Asking,
  name: string,
  stores: Stores = {},
  used: readonly Store[] = ['redis', 'postgres'],
): { secrets: Secret[]; variables: Variable[]; mark: string | undefined } {
  const data = Object.entries(urlsOf(resource, stores));
  if (data.length === 0) return { secrets: [], variables: [], mark: undefined };
  const secretName = childName(name, 'stores');
  const secret: Secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: childMeta(resource, secretName, 'stores'),
    type: 'Opaque',
    data: Object.fromEntries(data.map(([store, url]) => [`${store}-url`, Buffer.from(url).toString('base64')])),
  };
  const read = data.filter(([store]) => used.includes(store as Store));
  return {
    secrets: [secret],
    variables: read.map(([store]) => ({
      name: storeVariables[store as Store],
      secretKeyRef: { name: secretName, key: `${store}-url` },
    })),
    mark: read.length > 0 ? hashOf(read) : undefined,
  };
}

/** What the resource is given: stores that neither its spec nor its pods' environment name. */
function urlsOf(resource: Asking, stores: Stores): Stores {
  const urls: Stores = {};
  for (const { store, share } of unnamed(resource)) {
    const given = stores[store];
    if (!given) continue;
    const url = new URL(given);
    share(url, resource);
    // A plus is no space to libpq.
    url.search = url.search.replaceAll('+', '%20');
    urls[store] = url.href;
  }
  return urls;
}

/** @throws TerminalError when the engine needs a store that neither the resource nor the installation names. */
export function requireStores(resource: Asking, stores: Stores = {}): void {
  for (const { store, path, required } of unnamed(resource)) {
    if (required && !stores[store]) throw missing(store, path);
  }
}

function unnamed({ kind, spec }: Asking): Wish[] {
  const named = ({ store, path }: Wish) =>
    referenceAt(spec, `${path}.secretRef`) !== undefined || setsItself(spec, storeVariables[store]);
  const used = ({ block }: Wish) => block === undefined || block in spec;
  return (wishes[kind] ?? []).filter((wish) => used(wish) && !named(wish));
}

function setsItself(spec: { pod?: { env?: { name: string }[] } }, variable: string): boolean {
  return spec.pod?.env?.some(({ name }) => name === variable) ?? false;
}

function missing(store: Store, path: string): TerminalError {
  const title = { redis: 'Redis', postgres: 'PostgreSQL' }[store];
  const reason = { redis: 'RedisMissing', postgres: 'PostgresMissing' }[store];
  const message = `the installation has no ${title}; set spec.${path}.secretRef to a Secret with its url, or stores.${store}.enabled in the chart's values`;
  return new TerminalError(reason, message);
}

/** Keys of two resources never meet, whatever an engine calls them. */
function prefixOfResource(url: URL, { kind, metadata }: KubeObject): void {
  url.searchParams.set('keyPrefix', `${kind}/${metadata.namespace}/${metadata.name}:`);
}

/** By name and not by uid: what was registered is there again when the resource is made anew. */
function schemaOfResource(url: URL, { kind, metadata }: KubeObject): void {
  inSchema(url, kind.toLowerCase(), [metadata.namespace, metadata.name]);
}

/** The runs of a namespace share one registry: their models compete and have one history. */
function schemaOfNamespace(url: URL, { kind, metadata }: KubeObject): void {
  inSchema(url, kind.toLowerCase(), [metadata.namespace]);
}

function inSchema(url: URL, kind: string, names: readonly (string | undefined)[]): void {
  const readable = names
    .join('_')
    .replaceAll(/[^a-z0-9_]/g, '_')
    .slice(0, 24);
  url.searchParams.set('options', `-c search_path=${kind}_${readable}_${hashOf(names).slice(0, 8)}`);
}
