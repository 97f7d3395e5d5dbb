// What engines share. Each part can be used alone; `runEngine` puts them together.
export { orAborted } from './abort.ts';
export { type QuotaOptions, type Quotas, type Reservation, type TenantLimits, tenantQuotas } from './access/quota.ts';
export { type RateDecision, type RateLimiter, type RateLimitOptions, rateLimiter } from './access/rateLimit.ts';
export { adminTenant, type Identity, type TokenDirectory, tokenDirectory } from './access/tokens.ts';
export * from './cache/index.ts';
export { type Config, type ConfigOptions, openConfig } from './config.ts';
export {
  type CompareOptions,
  type Comparison,
  chooseDevice,
  compareDevices,
  type Device,
  type DeviceOptions,
  deviceMetrics,
  type GpuPolicy,
} from './device/device.ts';
export { type GpuReading, parseGpus, readGpus } from './device/nvidia.ts';
export { type WebGpuAdapter, webgpuAdapter } from './device/webgpu.ts';
export type { EngineContext, EngineDefinition, EngineOptions, EngineServer } from './engine/context.ts';
export { type Engine, runEngine, startEngine } from './engine/engine.ts';
export { asQuintetError, errorBody, logFailure, noSuchRoute } from './engine/errorHandler.ts';
export { type Readiness, readiness } from './engine/readiness.ts';
export { readInput, remedies } from './engine/remedies.ts';
export { upgrades } from './engine/upgrades.ts';
export {
  type ErrorBody,
  type ErrorCode,
  type ErrorDetails,
  errorCatalogue,
  isQuintetError,
  QuintetError,
} from './errors.ts';
export { etagOf, type HttpCacheOptions, httpCache, neverCache, purgeKey } from './httpCache.ts';
export { counter, gauge, gaugeOf, histogram, latencyBuckets, Registry } from './metrics.ts';
export { type FetchOptions, type Model, type ModelCache, type ModelCacheOptions, modelCache } from './models/models.ts';
export { type Place, placeOf, type SourceSpec, sourceSpec } from './models/place.ts';
export { fileSource, type ModelSource, type S3SourceOptions, s3Source } from './models/source.ts';
export { cpuProfile, heapSnapshot } from './profile.ts';
export { connectRedis, type RedisConnection, type RedisConnectionOptions } from './redis.ts';
export { type Dependency, type DependencyOptions, dependency } from './resilience.ts';
export { bytes, duration, encryptionKeys, redisUrl, type Settings, settingsSchema } from './settings.ts';
export { startTracing, traced, traceHeaders } from './traces.ts';
export { type Watch, watchPath } from './watch.ts';
export { type Batcher, type BatcherOptions, batcher, type SubmitOptions } from './work/batcher.ts';
export { cpuQuota, cpuThreads, memoryLimit } from './work/cgroup.ts';
export { type BatchSeen, type Pace, type PaceOptions, pace } from './work/pace.ts';
export { createPool, type Pool, type PoolOptions, type RunOptions, shared, sharedOf } from './work/pool.ts';
export {
  type BoundedQueue,
  boundedQueue,
  type Priority,
  priorities,
  type QueueItem,
  type QueueOptions,
} from './work/queue.ts';
