// An engine that counts words: batched, cached per tenant, with everything else from the runtime.
import { batcher, type EngineDefinition, engineCache, runEngine } from '@quintet/runtime';
import { z } from 'zod';

const config = z.object({ batching: z.object({ maxSize: z.int().min(1).default(32) }).prefault({}) });

export const wordCount: EngineDefinition<typeof config> = {
  name: 'wordcount',
  version: '1.0.0',
  config,
  reloadable: ['batching.maxSize'],
  routes: async (server, context) => {
    const cache = await engineCache<number>({ name: 'wordcount', kind: 'count', version: '1', ...context });
    const counting = batcher<string, number>({
      name: 'wordcount',
      registry: context.registry,
      maxSize: context.config.batching.maxSize,
      run: async (texts) => texts.map((text) => text.split(/\s+/).filter(Boolean).length),
    });
    const schema = {
      body: z.object({ text: z.string().max(100_000) }),
      response: { 200: z.object({ words: z.int(), source: z.string() }) },
    };
    server.post('/v1/count', { schema }, async ({ body: { text }, identity: { tenant }, signal }) => {
      const reserved = await context.quotas.reserve(tenant, text.length);
      const count = (cancelled: AbortSignal) => counting.submit(text, { tenant, signal: cancelled });
      const { value, source } = await cache.getOrMake({ tenant, input: text }, count, { signal });
      await reserved.settle(source === 'miss' ? text.length : 0);
      return { words: value, source };
    });
  },
};

if (import.meta.main) await runEngine(wordCount);
