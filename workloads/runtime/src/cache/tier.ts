// What a tier of the cache is: it keeps bytes under a key for a time, and may lose them at any time.
import type { CacheKey } from './key.ts';

export interface Entry {
  /** Never changed after it was put in: tiers and callers share it. */
  readonly value: Buffer;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Milliseconds that making the value took: what losing it costs. */
  readonly cost: number;
  /** Epoch of each tag when the making began; the entry is stale once any of them has moved on. */
  readonly tags: Readonly<Record<string, string>>;
}

export interface TierUsage {
  entries: number;
  bytes: number;
  evictions: number;
}

/** A tier never throws for being away, full or damaged: it then has no entry. */
export interface Tier {
  readonly name: 'memory' | 'disk' | 'redis' | 'memcached';
  get: (key: CacheKey) => Promise<Entry | undefined> | Entry | undefined;
  set: (key: CacheKey, entry: Entry) => Promise<void> | void;
  delete: (key: CacheKey) => Promise<void> | void;
  /** Drops what belongs to this process; a shared tier keeps its entries, which then are stale by their epochs. */
  clear: () => Promise<void> | void;
  /** Undefined where the tier belongs to others too. */
  usage: () => TierUsage | undefined;
  close: () => Promise<void> | void;
}
