// Engines of several resources on one Redis that a user gave: what is of one is not of the others.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { engineCache } from '../cache/engineCache.ts';
import { startRedis, type TestRedis } from '../testing/index.ts';
import { type Engine, startEngine } from './engine.ts';

let directory: string;
let redis: TestRedis;
const engines: Engine[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-shared-redis-'));
  redis = await startRedis();
}, 60_000);
afterAll(async () => {
  await Promise.all(engines.map((engine) => engine.drain()));
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

/** An engine whose only route counts how often it had to make its answer, and purges. */
async function serve(namespace: string, name: string, url = redis.url): Promise<string> {
  const file = join(directory, `${Math.random()}.json`);
  const server = { host: '127.0.0.1', port: 0, drainDelay: '0ms' };
  const spec = { server, logging: { level: 'silent' }, rateLimits: { perClient: { requests: 4 } } };
  await writeFile(file, JSON.stringify({ apiVersion: 'quintet.dev/v1alpha1', metadata: { namespace, name }, spec }));
  const engine = await startEngine(
    {
      name: 'test',
      config: z.object({}),
      start: ({ redis: shared }) => new Promise((resolve) => shared?.onConnect(resolve)),
      routes: async (app, context) => {
        const cache = await engineCache<string>({ name: 'answers', kind: 'k', version: '1', ...context });
        app.get('/answer', async ({ identity }) => {
          const made = async () => `${namespace}/${name}`;
          return await cache.getOrMake({ tenant: identity.tenant, input: 'the same' }, made);
        });
      },
    },
    { configFile: file, env: { QUINTET_REDIS_URL: url } },
  );
  engines.push(engine);
  await engine.started;
  return `${engine.url}/answer`;
}

test('answers and limits of one resource are not those of another with the same Redis and tenant', async () => {
  const [news, sport] = [await serve('a', 'news'), await serve('a', 'sport')];
  const read = async (url: string) => await (await fetch(url)).json();
  expect(await read(news)).toEqual({ value: 'a/news', source: 'miss' });
  expect(await read(sport)).toEqual({ value: 'a/sport', source: 'miss' });
  expect(await read(await serve('a', 'news'))).toEqual({ value: 'a/news', source: 'redis' });
  for (let i = 0; i < 4; i++) await fetch(news);
  expect([(await fetch(news)).status, (await fetch(sport)).status]).toEqual([429, 200]);
});

test('a prefix that the URL has is left as it is', async () => {
  const url = `${redis.url}?keyPrefix=mine:`;
  const [one, two] = [await serve('b', 'one', url), await serve('b', 'two', url)];
  await fetch(one);
  expect(await (await fetch(two)).json()).toMatchObject({ value: 'b/one', source: 'redis' });
});
