// What operators ask: health, performance, the work of hashing and models, service levels with alerts and anomalies.
import { type Cache, cpuQuota, type EngineContext, type EngineServer, memoryLimit } from '@quintet/runtime';
import type { Embedder } from '../embedding/embedder.ts';
import type { Fingerprint } from '../match/fingerprint.ts';
import type { MatcherConfig } from './config.ts';
import type { Parts } from './routes.ts';
import { type ServiceLevels, thresholds } from './sla.ts';

export function operations(
  server: EngineServer,
  { config, readiness }: EngineContext<MatcherConfig>,
  started: Promise<Parts>,
  levels: ServiceLevels,
  prints: Pick<Cache<Fingerprint>, 'stats'>,
): void {
  const use = processUse();

  server.get('/api/v1/health', { config: { public: true } }, async (_, reply) => {
    const { ready, reasons, degraded } = readiness;
    if (!ready) return await reply.code(503).send({ status: 'starting', reasons, degraded });
    const { replica, shards } = await started;
    const missing = shards?.missing ?? [];
    const stale = replica.age > 2000 + config.index.refresh;
    return {
      status: stale || missing.length > 0 || Object.keys(degraded).length > 0 ? 'degraded' : 'ok',
      reasons: {
        ...reasons,
        ...(stale && { index: 'PostgreSQL does not answer; verdicts are of an older index' }),
        ...(missing.length > 0 && { shards: `nobody answers for ${missing.join(', ')} of ${shards?.count}` }),
      },
      degraded,
      index: { ...replica.counts, ageMilliseconds: Math.max(0, replica.age), position: replica.position },
      ...(shards && { shards: { own: shards.own ?? null, of: shards.count, missing } }),
    };
  });

  server.get('/api/v1/metrics/performance', async () => {
    const { replica } = await started;
    const { cpu, memory } = use();
    return {
      windows: levels.windows(),
      cache: prints.stats(),
      cpu,
      memory,
      index: { ...replica.counts, bytes: replica.bytes },
    };
  });

  server.get('/api/v1/metrics/ai-inference', async () => {
    const { embedder } = await started;
    return {
      level: config.level,
      stages: [
        'Exact',
        'Hash',
        ...(config.level === 'Accuracy' && config.hashing.crops === 'Enabled' ? ['Features'] : []),
        ...(embedder ? ['Embedding'] : []),
        'Profile',
      ],
      model: embedder ? shown(embedder) : null,
      batching: embedder ? embedder.pace : 'none: hashing suffices and no model is mounted',
      windows: levels.windows().map(({ seconds, requests, p50, p95, p99 }) => ({ seconds, requests, p50, p95, p99 })),
    };
  });

  server.get('/api/v1/metrics/sla', async () => {
    const now = use();
    return {
      windows: levels.windows(),
      alerts: levels.alerts(now),
      thresholds,
      anomalies: levels.anomalies(),
      use: now,
    };
  });
}

function shown({ version, dimensions, provider, reason, copies }: Embedder) {
  return { version, dimensions, provider, ...(reason && { reason }), copies };
}

/** Shares of the cgroup's limits: of processor time since the last call, of memory now. */
function processUse(): () => { cpu: number; memory: number } {
  const [cores, limit] = [cpuQuota(), memoryLimit()];
  let last = { at: performance.now(), usage: process.cpuUsage() };
  return () => {
    const at = performance.now();
    const usage = process.cpuUsage();
    const spent = (usage.user + usage.system - last.usage.user - last.usage.system) / 1000;
    const cpu = Math.min(1, spent / Math.max(1, (at - last.at) * cores));
    last = { at, usage };
    return { cpu, memory: process.memoryUsage().rss / limit };
  };
}
