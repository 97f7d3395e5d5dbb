// The cache: tenants kept apart by construction, memory, disk and shared tiers, invalidation by tag, prefetch.
export * from './cache.ts';
export { type DiskTierOptions, diskTier } from './disk.ts';
export { type EngineCacheOptions, engineCache } from './engineCache.ts';
export { type EpochOptions, type Epochs, epochs } from './epochs.ts';
export { type Frame, type FrameOptions, frame } from './frame.ts';
export { type CacheKey, cacheKey, type KeyParts, tenantOf } from './key.ts';
export { type MemoryTier, type MemoryTierOptions, memoryTier } from './memory.ts';
export { type Prefetcher, type PrefetchOptions, prefetcher } from './prefetch.ts';
export { type MemcachedTierOptions, memcachedTier, type RedisTierOptions, redisTier } from './shared.ts';
export { type SingleFlight, singleFlight } from './singleFlight.ts';
export type { Entry, Tier, TierUsage } from './tier.ts';
