// Headers by which browsers and CDNs may hold an answer, and keys by which they drop it.
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

export interface HttpCacheOptions {
  /** Seconds that a browser may hold it. */
  maxAge: number;
  /** Seconds that a CDN may; as `maxAge` when left out. Ignored for private answers. */
  sharedMaxAge?: number;
  /** Seconds that a CDN may go on serving it while it fetches a new one. */
  staleWhileRevalidate?: number;
  /** Seconds that a CDN may go on serving it while the engine fails. */
  staleIfError?: number;
  /**
   * Public answers are the same for every tenant; only they reach shared caches. `private` when left out, so that forgetting this
   * never shows one tenant's answer to another.
   */
  visibility?: 'public' | 'private';
  /** Purge keys, sent as `Surrogate-Key` (Fastly) and `Cache-Tag` (Cloudflare, Akamai). Use the tags of the engine's cache. */
  purgeKeys?: readonly string[];
  /** Request headers that the answer depends on, beside `Authorization` of private answers. */
  vary?: readonly string[];
  /** Identity of the content; by `etagOf` where the body is at hand. Weak, as answers may be compressed on the way. */
  etag?: string;
}

/** Sets the headers. Returns true when the client already has this content: the reply then is 304, and no body is to be sent. */
export function httpCache(request: FastifyRequest, reply: FastifyReply, options: HttpCacheOptions): boolean {
  const shared = options.visibility === 'public';
  reply.header('cache-control', cacheControl(options, shared));
  const vary = [...(options.vary ?? []), ...(shared ? [] : ['authorization'])];
  if (vary.length > 0) reply.header('vary', vary.join(', '));
  const keys = (options.purgeKeys ?? []).map(purgeKey);
  if (shared && keys.length > 0) reply.header('surrogate-key', keys.join(' ')).header('cache-tag', keys.join(','));
  if (options.etag === undefined) return false;
  const etag = `W/"${options.etag}"`;
  reply.header('etag', etag);
  const asked = request.headers['if-none-match'];
  const known =
    asked !== undefined && (asked.trim() === '*' || asked.split(',').some((each) => weak(each) === weak(etag)));
  if (!known || (request.method !== 'GET' && request.method !== 'HEAD')) return false;
  reply.code(304);
  return true;
}

/** For answers that no cache may keep: errors, and what says something about a person. */
export function neverCache(reply: FastifyReply): void {
  reply.header('cache-control', 'no-store');
}

/** Content identity of a body. */
export function etagOf(body: string | Buffer): string {
  return createHash('sha256').update(body).digest('base64url').slice(0, 27);
}

/** A purge key without the characters that separate keys in headers. */
export function purgeKey(tag: string): string {
  return encodeURIComponent(tag).slice(0, 1024);
}

function cacheControl(options: HttpCacheOptions, shared: boolean): string {
  const seconds = (value: number) => Math.max(0, Math.floor(value));
  const parts = [shared ? 'public' : 'private', `max-age=${seconds(options.maxAge)}`];
  if (shared && options.sharedMaxAge !== undefined) parts.push(`s-maxage=${seconds(options.sharedMaxAge)}`);
  if (shared && options.staleWhileRevalidate !== undefined)
    parts.push(`stale-while-revalidate=${seconds(options.staleWhileRevalidate)}`);
  if (shared && options.staleIfError !== undefined) parts.push(`stale-if-error=${seconds(options.staleIfError)}`);
  return parts.join(', ');
}

function weak(etag: string): string {
  return etag.trim().replace(/^W\//, '');
}
