// An engine that counts words: batched, cached per tenant, with everything else from the runtime.
import {
  batcher,
  createCache,
  type EngineDefinition,
  encryptionKeys,
  epochs,
  memoryTier,
  redisTier,
  runEngine,
} from '@quintet/runtime';
import { z } from 'zod';

const config = z.object({ batching: z.object({ maxSize: z.int().min(1).default(32) }).prefault({}) });

export const wordCount: EngineDefinition<typeof config> = {
  name: 'wordcount',
  version: '1.0.0',
  config,
  reloadable: ['batching.maxSize'],
  routes: (server, context) => {
    const { registry, redis, settings, quotas } = context;
    const name = 'wordcount';
    const memory = memoryTier({
      maxEntries: settings.cache.memory.maxEntries,
      maxBytes: settings.cache.memory.maxSize,
    });
    const shared = redis ? [redisTier({ redis, namespace: name, encryptionKeys: encryptionKeys(settings) })] : [];
    const tags = epochs({ namespace: name, ...(redis ? { redis } : {}) });
    const cache = createCache<number>({
      name,
      kind: 'count',
      version: '1',
      tiers: [memory, ...shared],
      epochs: tags,
      registry,
      ttl: settings.cache.ttl,
    });
    const counting = batcher<string, number>({
      name,
      registry,
      maxSize: context.config.batching.maxSize,
      run: async (texts) => texts.map((text) => text.split(/\s+/).filter(Boolean).length),
    });
    const body = z.object({ text: z.string().max(100_000) });
    const response = { 200: z.object({ words: z.int(), source: z.string() }) };
    server.post(
      '/v1/count',
      { schema: { body, response } },
      async ({ body: { text }, identity: { tenant }, signal }) => {
        const reserved = await quotas.reserve(tenant, text.length);
        const { value, source } = await cache.getOrMake(
          { tenant, input: text },
          (cancelled) => counting.submit(text, { tenant, signal: cancelled }),
          { signal },
        );
        await reserved.settle(source === 'miss' ? text.length : 0);
        return { words: value, source };
      },
    );
  },
};

if (import.meta.main) await runEngine(wordCount);
