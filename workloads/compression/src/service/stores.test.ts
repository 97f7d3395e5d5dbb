// What a service may have of its own: originals in PostgreSQL, plugins from ConfigMaps, healing by actions.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, startEngine } from '@quintet/runtime';
import { eventually, startPostgres, type TestPostgres } from '@quintet/runtime/testing';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { compressionClient } from '../client.ts';
import { compressionService } from './engine.ts';

let directory: string;
let postgres: TestPostgres;
let plain: Awaited<ReturnType<typeof replica>>;
const engines: Engine[] = [];
const text = Array.from({ length: 200 }, (_, i) => `Cabinet ${i} holds the files of case ${i * 31}.\n`).join('');

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-compression-stores-'));
  for (const folder of ['tokens', 'postgres', 'plugin']) await mkdir(join(directory, folder));
  for (const tenant of ['news', 'sport', '_admin'])
    await writeFile(join(directory, 'tokens', tenant), `${tenant}-token-0123456789`);
  postgres = await startPostgres();
  await writeFile(join(directory, 'postgres', 'url'), `${postgres.url}\n`);
  plain = await replica({ tenants: [{ name: 'news', tokensPerDay: 100_000 }] });
  engines.length = 0;
}, 180_000);
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.drain()));
});
afterAll(async () => {
  await plain.engine.drain();
  await postgres.stop();
  await rm(directory, { recursive: true, force: true });
});

async function replica(document: object) {
  const configFile = join(directory, `${Math.random()}.json`);
  const server = { host: '127.0.0.1', port: 0, drainDelay: '0ms' };
  const auth = { directory: join(directory, 'tokens') };
  await writeFile(configFile, JSON.stringify({ server, logging: { level: 'silent' }, auth, ...document }));
  const engine = await startEngine(compressionService(), { configFile, env: {} });
  engines.push(engine);
  await engine.started;
  const token = (tenant: string) => `${tenant}-token-0123456789`;
  const ask = async (method: string, path: string, tenant: string, body?: unknown) => {
    const headers = {
      authorization: `Bearer ${token(tenant)}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
    };
    const response = await fetch(new URL(path, engine.url), {
      method,
      headers,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, unknown>,
    };
  };
  const client = (tenant = 'news') => compressionClient({ url: engine.url, token: token(tenant), retries: 0 });
  return { engine, ask, client };
}

const inPostgres = () => ({ originals: { postgres: { directory: join(directory, 'postgres') } } });

test('originals in PostgreSQL survive it and every replica, for their tenant alone', { timeout: 60_000 }, async () => {
  const source = `${text}\ud800 lone`;
  const { original } = await (await replica(inPostgres())).client().compress({ text: source });
  expect(original?.durable).toBe(true);
  await Promise.all(engines.splice(0).map((engine) => engine.drain()));
  await postgres.kill();
  await postgres.start();
  const other = await replica(inPostgres());
  expect(await other.client().original(original?.id ?? '')).toBe(source);
  await expect(other.client('sport').original(original?.id ?? '')).rejects.toMatchObject({ status: 404 });
});

test('without PostgreSQL answers go on, and say that their original is not durable', { timeout: 60_000 }, async () => {
  const { client } = await replica(inPostgres());
  await postgres.kill();
  const { original, rate } = await client().compress({ text: `While it is away. ${text}`, ratio: 8 });
  expect(rate?.met).toBe(true);
  expect(original?.durable).toBe(false);
  expect(await client().original(original?.id ?? '')).toMatch(/^While it is away/);
  await postgres.start();
  await eventually(async () =>
    expect((await client().compress({ text: `${Math.random()} ${text}` })).original?.durable).toBe(true),
  );
});

test('a plugin is a strategy like any other, and a changed one counts without a restart', {
  timeout: 60_000,
}, async () => {
  const file = join(directory, 'plugin', 'index.js');
  const keep = (wanted: string) =>
    writeFile(
      file,
      `export default ({ choose }) => ({ compress: ({ document, budget, forced }) =>
        choose(document, budget, { thrift: 0, gain: (unit) => document.text.slice(document.units[unit].start, document.units[unit].end).includes('${wanted}') ? 9 : 0.1 }, forced) });`,
    );
  await keep('Cabinet 7 ');
  const plugins = [{ name: 'legal', configMap: { directory: join(directory, 'plugin') } }];
  const { client } = await replica({ compression: { plugins } });
  const ask = () => client().compress({ text, ratio: 16, strategy: 'legal' });
  expect((await ask()).text).toContain('Cabinet 7 ');
  expect((await ask()).source).toBe('memory');
  await keep('Cabinet 150 ');
  await eventually(async () => expect((await ask()).text).toContain('Cabinet 150 '));
  for (const [code, message] of [
    ["export default () => ({ compress: () => ({ text: 'made up', spans: [] }) });", /tile its source/],
    ['export default 3;', /cannot be loaded|must export/],
    ["export default () => ({ compress: () => { throw new Error('no'); } });", /failed: no/],
    ['export default (', /cannot be loaded/],
  ] as const) {
    await writeFile(file, code);
    await eventually(() =>
      expect(ask()).rejects.toMatchObject({
        status: 422,
        field: 'strategy',
        message: expect.stringMatching(message) as string,
      }),
    );
  }
});

test('use is counted by tenant, and shown beside its limit', async () => {
  const { ask, client } = plain;
  const { originalTokens } = await client().compress({ text });
  await client().compress({ text });
  const usage = await ask('GET', '/v1/usage', 'news');
  expect(usage.body).toMatchObject({ tenant: 'news', tokens: originalTokens, tokensPerDay: 100_000 });
  expect((await ask('GET', '/v1/usage', 'sport')).body).toMatchObject({ tenant: 'sport', tokens: 0 });
});

test('healing clears and bounds the cache and purges tenants, for administrators alone', {
  timeout: 60_000,
}, async () => {
  const { ask, client } = plain;
  const source = async () => (await client().compress({ text })).source;
  await source();
  expect(await source()).toBe('memory');
  expect((await ask('POST', '/admin/actions/clearCache', 'news', {})).status).toBe(403);
  expect((await ask('POST', '/admin/actions/clearCache', '_admin', {})).body).toMatchObject({
    result: [{ entries: 0 }],
  });
  expect(await source()).toBe('miss');
  expect((await ask('POST', '/admin/actions/purgeTenant', '_admin', { tenant: 'news' })).status).toBe(200);
  expect(await source()).toBe('miss');
  expect((await ask('POST', '/admin/actions/resizeCache', '_admin', { maxEntries: 1 })).status).toBe(200);
  await client().compress({ text: `${text} and more` });
  expect(await source()).toBe('miss');
  expect((await ask('POST', '/admin/actions/resizeCache', '_admin', {})).status).toBe(400);
});

test('originals may be held by the client alone, and are not sent again', { timeout: 60_000 }, async () => {
  const { ask, client } = plain;
  const { original } = await client().compress({ text });
  const first = await ask('GET', `/v1/originals/${original?.id}?start=3&end=9`, 'news');
  expect(first.body).toEqual({ text: text.slice(3, 9) });
  expect(first.headers.get('cache-control')).toBe('private, max-age=3600');
  const etag = first.headers.get('etag') ?? '';
  const headers = { authorization: 'Bearer news-token-0123456789', 'if-none-match': etag };
  const path = `/v1/originals/${original?.id}?start=3&end=9`;
  const again = await fetch(new URL(path, plain.engine.url), { headers });
  expect([again.status, await again.text()]).toEqual([304, '']);
});
