// Keys of cached answers. The tenant is part of every key by construction: a key can only be made here, and only with a tenant.
import { createHash } from 'node:crypto';

declare const made: unique symbol;

/** Made by `cacheKey` alone; tiers take nothing else. */
export type CacheKey = string & { readonly [made]: true };

export interface KeyParts {
  /** Whose answer it is; never empty. */
  tenant: string;
  /** What kind of answer, such as `compress`. */
  kind: string;
  /** Changes when the code or the model changes what the same input yields: entries of other versions are never found. */
  version: string;
  /** Everything the answer depends on. Objects are equal when their members are, in any order. */
  input: unknown;
}

/** `<tenant>/<kind>/<SHA-256 of tenant, kind, version and input>`; the parts are escaped, so no two lists of parts share a key. */
export function cacheKey({ tenant, kind, version, input }: KeyParts): CacheKey {
  if (tenant === '') throw new TypeError('a cache key needs a tenant');
  const hash = createHash('sha256');
  for (const part of [tenant, kind, version]) hash.update(`${Buffer.byteLength(part)}:${part}`);
  feed(hash, input, 0);
  return `${encodeURIComponent(tenant)}/${encodeURIComponent(kind)}/${hash.digest('base64url')}` as CacheKey;
}

/** The tenant that a key was made for. */
export function tenantOf(key: CacheKey): string {
  return decodeURIComponent(key.slice(0, key.indexOf('/')));
}

type Hash = ReturnType<typeof createHash>;

/** Feeds a value with its type and length before it, so that different values never read the same. */
function feed(hash: Hash, value: unknown, depth: number): void {
  if (depth > 64) throw new TypeError('the input of a cache key is nested too deeply');
  if (ArrayBuffer.isView(value)) {
    hash.update(`b${value.byteLength}:`).update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  } else if (Array.isArray(value)) {
    hash.update(`[${value.length}:`);
    for (const member of value) feed(hash, member, depth + 1);
  } else if (value !== null && typeof value === 'object') {
    feedObject(hash, value, depth);
  } else if (typeof value === 'string') {
    // UTF-16 keeps lone surrogates apart, which UTF-8 would make one.
    hash.update(`s${value.length}:`).update(value, 'utf16le');
  } else {
    feedScalar(hash, value);
  }
}

function feedObject(hash: Hash, value: object, depth: number): void {
  if (value instanceof Date) {
    hash.update(`d${value.getTime()};`);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw new TypeError(`a cache key cannot hold a ${value.constructor.name}`);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  hash.update(`{${members.length}:`);
  for (const [name, member] of members) {
    feed(hash, name, depth + 1);
    feed(hash, member, depth + 1);
  }
}

function feedScalar(hash: Hash, value: unknown): void {
  if (typeof value === 'function' || typeof value === 'symbol')
    throw new TypeError(`a cache key cannot hold a ${typeof value}`);
  hash.update(`${typeof value}:${Object.is(value, -0) ? '-0' : String(value)};`);
}
