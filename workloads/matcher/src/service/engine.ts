// The MatcherPool engine: what it starts, what it leaves behind, and where its routes are.
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EngineContext, type EngineDefinition, modelCache, remedies } from '@quintet/runtime';
import { type Embedder, openEmbedder } from '../embedding/embedder.ts';
import { fetchModel } from '../embedding/fetch.ts';
import { Calls } from '../exchange/calls.ts';
import { startExchange } from '../exchange/loops.ts';
import { Matcher } from '../match/matcher.ts';
import { openRecord } from '../record/record.ts';
import { Replica } from '../replica/replica.ts';
import { Shards } from '../shards/shards.ts';
import { urlOf } from './address.ts';
import { createBanks } from './banks.ts';
import {
  embedderOf,
  feedsOf,
  type MatcherConfig,
  matcherConfig,
  postgresUrl,
  snapshotFile,
  webhooksOf,
} from './config.ts';
import { indexMetrics } from './metrics.ts';
import { type Parts, routes } from './routes.ts';

/** Milliseconds between looks for a model that is not there. */
const modelEvery = 5000;
/** Milliseconds between snapshots. */
const saveEvery = 600_000;

/** A definition of its own for each process or test: what it starts is kept in it. */
export function matcherEngine(env: NodeJS.ProcessEnv = process.env): EngineDefinition<typeof matcherConfig> {
  const started = Promise.withResolvers<Parts>();
  started.promise.catch(() => undefined);
  let parts: Parts | undefined;
  let saving: NodeJS.Timeout | undefined;
  let url = () => '';
  let stopExchange: (() => void) | undefined;
  return {
    name: 'matcher',
    version: '0.1.0',
    config: matcherConfig,
    // Its memory is the index, of which nothing can be given up.
    ...remedies({ batches: () => (parts?.embedder ? [parts.embedder.limit] : []) }),
    start: async (context) => {
      const opened = await open(context, env, { embedder: await embedderFor(context, env), url: url() });
      parts = opened;
      let saved = 0;
      const save = async () => {
        const { position } = opened.replica;
        if (position === saved) return;
        await opened.replica.save();
        saved = position;
      };
      const report = (error: unknown) => context.log.warn({ err: error }, 'no snapshot');
      saving = setInterval(() => void save().catch(report), saveEvery);
      saving.unref();
      const { record, calls } = opened;
      const feeds = feedsOf(context.config);
      if (feeds.length > 0) await createBanks(opened, context.config, 'default');
      stopExchange = startExchange(record, { webhooks: calls.webhooks, feeds }, context.log);
      started.resolve(opened);
    },
    routes: async (server, context) => {
      url = () => urlOf(server);
      await routes(server, context, started.promise);
    },
    onDrain: async (context) => {
      clearInterval(saving);
      stopExchange?.();
      // Of a start that failed there is nothing to close.
      if (!parts) return;
      const { replica, record, embedder, shards, calls } = parts;
      await calls.close();
      await shards?.close();
      await replica.save().catch((error: unknown) => context.log.warn({ err: error }, 'no snapshot'));
      await replica.close();
      await record.close();
      await embedder?.close();
    },
  };
}

/** Tried again until it is there: a model that is missing or damaged keeps the pod from being ready, and says why. */
async function embedderFor(
  { config, registry, readiness, log, signal }: EngineContext<MatcherConfig>,
  env: NodeJS.ProcessEnv,
): Promise<Embedder | undefined> {
  const wanted = embedderOf(config);
  if (!wanted) return undefined;
  const { source, ...options } = wanted;
  const directory = join(env['QUINTET_CACHE'] ?? join(tmpdir(), 'quintet-cache'), 'models');
  const cache = modelCache({ directory, registry });
  while (true) {
    signal.throwIfAborted();
    try {
      const { precision, sha256 } = options;
      const path = await fetchModel({ source, at: 'embedding.source', precision, sha256, cache, signal });
      const embedder = await openEmbedder({ ...options, path, registry });
      readiness.clear('embedding');
      log.info({ provider: embedder.provider, dimensions: embedder.dimensions }, 'the embedding model is open');
      return embedder;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      readiness.block('embedding', reason);
      log.warn({ reason }, 'no embedding model');
    }
    await sleep(modelEvery, undefined, { signal });
  }
}

/** In a cluster a container that starts again is the pod that it was, and keeps its shard, whose snapshot it has. */
export function claimantOf(env: NodeJS.ProcessEnv): string {
  const inCluster = env['KUBERNETES_SERVICE_HOST'] !== undefined || env['QUINTET_RESOURCE'] !== undefined;
  return env['POD_NAME'] ?? (inCluster ? env['HOSTNAME'] : undefined) ?? randomUUID();
}

async function open(
  { config, registry, log }: EngineContext<MatcherConfig>,
  env: NodeJS.ProcessEnv,
  { embedder, url }: { embedder: Embedder | undefined; url: string },
): Promise<Parts> {
  const record = await openRecord({ url: postgresUrl(config, env) });
  const { shards: of, missingShard } = config.index;
  const joined = Promise.withResolvers<Replica>();
  const shards =
    of === 1
      ? undefined
      : await Shards.join({
          record,
          pod: claimantOf(env),
          url,
          shards: of,
          onMove: async (own) => await (await joined.promise).take({ own, of }),
          onError: (error) => log.warn({ err: error }, 'a shard is not reached'),
        });
  const crops = config.hashing.crops === 'Enabled' && config.level === 'Accuracy';
  const replica = await Replica.open({
    record,
    shard: shards && { own: shards.claimed, of },
    snapshot: snapshotFile(config, env),
    refresh: config.index.refresh,
    tables: config.level === 'Memory' ? 0 : 16,
    features: crops,
    minQuality: config.hashing.minQuality,
    embedding: embedder,
    onError: (error) => log.warn({ err: error }, 'the record cannot be followed'),
  });
  indexMetrics(registry, { replica, shards, snapshot: snapshotFile(config, env) });
  const matcher = new Matcher({
    replica,
    record,
    shards,
    refuses: missingShard === 'Refuse',
    rules: {
      maxDistance: config.hashing.maxDistance,
      profileWeight: config.profiles.weight,
      minProfileSimilarity: config.profiles.minSimilarity,
      minEmbeddingSimilarity: config.embedding?.minSimilarity ?? 1,
    },
    minQuality: config.hashing.minQuality,
    dihedral: config.hashing.variants === 'Dihedral',
    crops,
    embedder,
    phonetic: config.profiles.phonetic === 'Enabled',
    limits: { maxBytes: config.images.maxSize, maxPixels: config.images.maxPixels, seconds: 10 },
  });
  joined.resolve(replica);
  await shards?.serves(shards.claimed);
  const calls = new Calls({ record, webhooks: webhooksOf(config), log });
  return { record, replica, matcher, calls, embedder, shards };
}
