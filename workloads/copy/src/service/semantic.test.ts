// Briefs that mean the same, with an embedding of a few words written here; the model is one that the test trains.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCache, type Engine, memoryTier, Registry, startEngine } from '@quintet/runtime';
import { embeddingTable, writeModel } from '@quintet/runtime/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bigramModel } from '../testing/gguf.ts';
import { copyEngine } from './engine.ts';
import { onClaim, workplace } from './fixtures/workplace.ts';
import type { Answer } from './generator.ts';
import { semantic } from './semantic.ts';
import type { CopyAnswer } from './writer.ts';

let folder: string;
let engine: Engine;
const tokens = { news: 'news-news-news-news-news', sport: 'sport-sport-sport-sport' };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-semantic-'));
  for (const name of ['models', 'auth']) mkdirSync(join(folder, name));
  bigramModel(join(folder, 'models/bigram.gguf'), 'the cat sat on the mat and ran to the hat\0'.repeat(8));
  // Alpha and beta mean the same, gamma and delta something else.
  writeModel(join(folder, 'models/embedding'), 'last_hidden_state', embeddingTable);
  for (const [tenant, token] of Object.entries(tokens)) writeFileSync(join(folder, 'auth', tenant), token);
  const configFile = join(folder, 'config.json');
  const config = {
    runtime: 'LlamaCpp',
    model: { source: { persistentVolumeClaim: { claimName: 'models', path: 'bigram.gguf' } }, contextTokens: 1024 },
    semanticCache: { embedding: { source: { persistentVolumeClaim: { claimName: 'models', path: 'embedding' } } } },
    guardrails: { onViolation: 'Report' },
    batching: { maxSize: 4 },
    auth: { secretRef: { name: 'tokens' }, directory: join(folder, 'auth') },
    server: { host: '127.0.0.1', port: 0, drainDelay: '0s' },
    logging: { level: 'silent' },
  };
  writeFileSync(configFile, JSON.stringify(config));
  engine = await startEngine(copyEngine({ claims: folder, threads: 1 }), { configFile, env: {} });
  await engine.started;
}, 120_000);

afterAll(async () => {
  await engine?.drain();
  rmSync(folder, { recursive: true, force: true });
});

async function write(tenant: keyof typeof tokens, brief: object, more: object = {}): Promise<CopyAnswer> {
  const response = await fetch(`${engine.url}/v1/copy`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens[tenant]}` },
    body: JSON.stringify({ brief: { product: 'Lamp', ...brief }, n: 1, seed: 4, maxTokens: 12, ...more }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as CopyAnswer;
}

describe('a brief that means the same as one before', () => {
  test('gets its answer, marked; and again from the cache, marked still', async () => {
    const first = await write('news', { facts: ['the alpha'] });
    expect(first).toMatchObject({ source: 'miss' });
    expect(first).not.toHaveProperty('similarity');
    const second = await write('news', { facts: ['the beta'] });
    expect(second).toMatchObject({ source: 'semantic', similarity: expect.closeTo(1, 3) });
    expect(second.variants.map(({ text }) => text)).toEqual(first.variants.map(({ text }) => text));
    expect(await write('news', { facts: ['the beta'] })).toMatchObject({ source: 'semantic' });
    expect(await write('news', { facts: ['the alpha'] })).toMatchObject({ source: 'memory' });
  });

  test('is written anew for another tenant, with other parameters, and where one fact means something else', async () => {
    await write('news', { facts: ['alpha', 'beta'] });
    for (const [tenant, brief, more] of [
      ['sport', { facts: ['beta', 'alpha'] }, {}],
      ['news', { facts: ['beta', 'alpha'] }, { seed: 5 }],
      ['news', { facts: ['beta', 'alpha'] }, { temperature: 0.2 }],
      ['news', { facts: ['beta', 'alpha'] }, { template: 'ad' }],
      ['news', { facts: ['beta', 'delta'] }, {}],
      ['news', { facts: ['beta', 'alpha'], banned: ['cat'] }, {}],
    ] as const)
      expect(await write(tenant, brief, more)).toMatchObject({ source: 'miss' });
    expect(await write('news', { facts: ['beta', 'alpha'] })).toMatchObject({ source: 'semantic' });
  });
});

test('while the embedding model is missing the language model is not opened in vain; once both are there all is served', async () => {
  const place = workplace();
  try {
    bigramModel(join(place.folder, 'claims/models/bigram.gguf'), 'the cat sat on the mat\0'.repeat(8));
    const { source } = onClaim('embedding');
    const waiting = await place.engineWith({ model: onClaim('bigram.gguf'), semanticCache: { embedding: { source } } });
    const page = async (path: string) => (await fetch(`${waiting.url}${path}`)).text();
    await expect.poll(() => page('/readyz')).toContain('claims/models/embedding');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await page('/metrics')).not.toContain('quintet_copy_batch_seconds');
    writeModel(join(place.folder, 'claims/models/embedding'), 'last_hidden_state', embeddingTable);
    await expect.poll(async () => (await fetch(`${waiting.url}/readyz`)).status, { timeout: 20_000 }).toBe(200);
    expect(await page('/metrics')).toContain('quintet_copy_batch_seconds');
  } finally {
    await place.end();
  }
}, 60_000);

test('an answer that the cache has given up is given to nobody, and an embedding that fails finds nothing', async () => {
  const cache = createCache<Answer[]>({ name: 'c', kind: 'a', version: '1', tiers: [memoryTier({ maxBytes: 1e6 })] });
  const errors: unknown[] = [];
  let broken = false;
  const looker = semantic({
    embedding: {
      embed: async () => {
        if (broken) throw new Error('it broke');
        return Float32Array.of(1);
      },
    },
    minSimilarity: 0.9,
    cache,
    registry: new Registry(),
    onError: (error) => errors.push(error),
  });
  const asked = (prompt: string) => ({ tenant: 'a', input: { prompt, seed: 1 } });
  const look = (prompt: string) => looker.look(asked(prompt), { same: 1, texts: [prompt] }, AbortSignal.timeout(5000));
  const answer: Answer = { text: 'made', finish: 'stop', promptTokens: 1, completionTokens: 1 };
  await cache.set(asked('one'), [answer]);
  (await look('one')).keep();
  expect((await look('two')).found).toEqual([{ ...answer, similarity: 1 }]);
  await cache.invalidateTenant('a');
  expect((await look('two')).found).toBeUndefined();
  broken = true;
  expect((await look('two')).found).toBeUndefined();
  expect(errors).toHaveLength(1);
});

describe('what is remembered', () => {
  const answer: Answer = { text: 'made', finish: 'stop', promptTokens: 1, completionTokens: 1 };
  const bytesIn = async (registry: Registry) =>
    Number(/^quintet_copy_semantic_bytes (\d+)/m.exec(await registry.metrics())?.[1]);
  /** All briefs mean the same; `looks` tells whether one is found under the parameters that `seed` stands for. */
  const remembering = (mostBytes: number) => {
    const registry = new Registry();
    const looker = semantic({
      embedding: { embed: async () => new Float32Array(256).fill(1 / 16) },
      minSimilarity: 0.9,
      cache: { get: async () => ({ value: [answer], source: 'memory' }) },
      registry,
      onError: (error) => {
        throw error;
      },
      mostBytes,
    });
    const look = (prompt: string, seed: number) =>
      looker.look({ tenant: 'a', input: { prompt, seed } }, { same: 1, texts: [prompt] }, new AbortController().signal);
    return {
      registry,
      looks: async (seed: number) => (await look('any', seed)).found !== undefined,
      keep: async (prompt: string, seed: number) => (await look(prompt, seed)).keep(),
    };
  };

  test('takes no more memory than it may: what was unused for longest goes first', async () => {
    const { looks, keep, registry } = remembering(2500);
    for (const seed of [1, 2]) await keep('a brief', seed);
    expect(await looks(1)).toBe(true);
    await keep('a brief', 3);
    expect([await looks(1), await looks(2), await looks(3)]).toEqual([true, false, true]);
    expect(await bytesIn(registry)).toBeLessThanOrEqual(2500);
    // One that is larger than all that there is room for is not kept, and nothing else is either.
    await keep('a long brief '.repeat(200), 4);
    expect(await bytesIn(registry)).toBe(0);
  });

  test('stands there once, however often it was made anew', async () => {
    const { keep, registry } = remembering(10_000);
    await keep('a brief', 1);
    const once = await bytesIn(registry);
    for (let i = 0; i < 20; i++) await keep('a brief', 1);
    expect(await bytesIn(registry)).toBe(once);
  });
});
