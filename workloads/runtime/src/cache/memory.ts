// First tier: least recently used entries of this process, bounded by number and by bytes.
import { LRUCache } from 'lru-cache';
import type { CacheKey } from './key.ts';
import type { Entry, Tier } from './tier.ts';

export interface MemoryTierOptions {
  /** 10 000 when left out. */
  maxEntries?: number;
  /** Bytes of values and keys; 256 MiB when left out. An entry larger than a quarter of it is not kept. */
  maxBytes?: number;
  now?: () => number;
}

export interface MemoryTier extends Tier {
  get: (key: CacheKey) => Entry | undefined;
  set: (key: CacheKey, entry: Entry) => void;
  delete: (key: CacheKey) => void;
  /** Changes the bounds while serving; the most recent entries stay. */
  resize: (bounds: { maxEntries?: number; maxBytes?: number }) => void;
}

/** What an entry is taken to use beside its value and key, in bytes. */
const overhead = 200;

export function memoryTier(options: MemoryTierOptions = {}): MemoryTier {
  let bounds = { maxEntries: options.maxEntries ?? 10_000, maxBytes: options.maxBytes ?? 256 << 20 };
  const now = options.now ?? Date.now;
  let evictions = 0;
  const build = () =>
    new LRUCache<CacheKey, Entry>({
      max: Math.max(1, bounds.maxEntries),
      maxSize: Math.max(1, bounds.maxBytes),
      maxEntrySize: Math.max(1, Math.floor(bounds.maxBytes / 4)),
      sizeCalculation: (entry, key) => entry.value.length + key.length * 2 + overhead,
      dispose: (_entry, _key, reason) => {
        if (reason === 'evict') evictions += 1;
      },
    });
  let lru = build();
  return {
    name: 'memory',
    get: (key) => {
      const entry = lru.get(key);
      if (entry && entry.expiresAt <= now()) {
        lru.delete(key);
        return undefined;
      }
      return entry;
    },
    set: (key, entry) => {
      // A slice of a large buffer would keep all of it in memory, uncounted.
      const value = entry.value.buffer.byteLength > entry.value.length * 2 + 4096 ? ownBytes(entry.value) : entry.value;
      lru.set(key, { ...entry, value });
    },
    delete: (key) => void lru.delete(key),
    clear: () => lru.clear(),
    usage: () => ({ entries: lru.size, bytes: lru.calculatedSize, evictions }),
    resize: (next) => {
      bounds = { maxEntries: next.maxEntries ?? bounds.maxEntries, maxBytes: next.maxBytes ?? bounds.maxBytes };
      const previous = lru;
      lru = build();
      for (const key of [...previous.keys()].reverse()) {
        const entry = previous.peek(key);
        if (entry) lru.set(key, entry);
      }
    },
    close: () => lru.clear(),
  };
}

/** A copy outside Node's pool, whose slabs would stay whole for one small value. */
function ownBytes(value: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(value.length);
  value.copy(own);
  return own;
}
