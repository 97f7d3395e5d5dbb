import '../testing/commonjs.ts';
import { eventually } from '@quintet/runtime/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPool, type TestPool } from '../testing/pool.ts';
import * as answers from './answers.ts';

let pool: TestPool;
beforeAll(async () => {
  pool = await startPool();
}, 120_000);
afterAll(() => pool?.stop());

describe('bad input', () => {
  test.each([
    ['no query at all', {}, 400],
    ['an unknown member', { hash: '0'.repeat(64), colour: 'red' }, 400],
    ['base64 that is none', { image: '%%%' }, 400],
    ['a million spaces and no base64', { image: `${' '.repeat(1 << 20)}!` }, 400],
    ['base64 with its padding in the middle', { image: 'aa==aaaa' }, 400],
    ['an empty profile', { profile: {} }, 400],
    ['an SVG', { image: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>').toString('base64') }, 422],
    ['a bank that is none', { hash: '0'.repeat(64), banks: ["x'; drop table items; --"] }, 404],
    ['a hash too short', { hash: '00' }, 400],
  ])('%s is refused', async (_, body, status) => {
    const answer = await pool.call('POST', '/api/v1/match', body);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ error: { code: expect.any(String) as string } });
  });

  test('SQL in a profile is a name', async () => {
    const profile = { name: "Robert'); DROP TABLE items;--" };
    const { id } = await pool.registered({ profile });
    expect(await pool.match({ profile })).toMatchObject({ matches: [{ item: id }] });
  });
});

test('the OpenAPI document says what is sent and answered, and answers are so', async () => {
  const { body } = await pool.call('GET', '/openapi.json');
  const { paths } = body as { paths: Record<string, Record<string, { requestBody?: object; responses: object }>> };
  const described = Object.entries(paths)
    .filter(([path]) => /\/api\/v1\/(match|items|banks|feed)/.test(path))
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, said]) => ({ path, method, ...said })));
  expect(described).toHaveLength(14);
  for (const { path, method, requestBody, responses } of described) {
    const isRead = method === 'get' || method === 'delete';
    expect([path, method, requestBody !== undefined]).toEqual([path, method, !isRead]);
    expect(Object.keys(responses)).toEqual(expect.arrayContaining([expect.stringMatching(/^20[014]$/) as string]));
  }
  expect(paths['/api/v1/match']?.['post']).toMatchObject({
    requestBody: { content: { 'application/json': { schema: { properties: { image: {}, hash: {}, topK: {} } } } } },
    responses: { 200: { content: { 'application/json': { schema: { properties: { matches: {}, frames: {} } } } } } },
  });
  const item = { id: 'described', hash: 'b'.repeat(64), profile: { name: 'Described' }, metadata: { a: 1 } };
  answers.registered.parse((await pool.call('POST', '/api/v1/items', item)).body);
  const at = async (path: string) => (await pool.call('GET', `/api/v1/${path}`)).body;
  answers.itemWithOpinions.parse(await at('items/described'));
  answers.audit.parse(await at('items/described/audit'));
  answers.items.parse(await at('items'));
  answers.banks.parse(await at('banks'));
  answers.feed.parse(await at('feed'));
  const until = new Date(Date.now() + 60_000).toISOString();
  const state = { state: 'Disabled', until };
  answers.item.parse((await pool.call('PUT', '/api/v1/items/described/state', state)).body);
  answers.bank.parse((await pool.call('PUT', '/api/v1/banks/described', { enabledRatio: 0.5 })).body);
  const imported = await pool.post('/api/v1/items/import', { items: [{ id: 'no hash' }] });
  answers.imported.parse(JSON.parse(await imported.text()));
  const batch = { queries: [{ hash: item.hash }, { hash: 'x' }] };
  answers.verdicts.parse((await pool.call('POST', '/api/v1/match/batch', batch)).body);
});

test('verdicts on items seen before go on while PostgreSQL is away, and health says so', async () => {
  const { id, png } = await pool.registered();
  expect((await pool.match({ image: png })).matched).toBe(true);
  await pool.postgres.kill();
  try {
    expect(await pool.match({ image: png })).toMatchObject({ matched: true, matches: [{ item: id }] });
    const answer = await pool.call('POST', '/api/v1/items', { id: 'later', hash: 'a'.repeat(64) });
    expect(answer).toMatchObject({ status: 503, body: { error: { code: 'DEPENDENCY_UNAVAILABLE' } } });
    await eventually(async () =>
      expect((await pool.call('GET', '/api/v1/health')).body).toMatchObject({ status: 'degraded' }),
    );
  } finally {
    await pool.postgres.start();
  }
  await eventually(async () => expect((await pool.call('GET', '/api/v1/health')).body).toMatchObject({ status: 'ok' }));
});

test('a pod that drains keeps its index for the next, which reads no item from the record', async () => {
  const { png } = await pool.registered();
  const one = await pool.replica('drained');
  await one.drain();
  // A row that goes behind the index's back shows which of the two was read.
  const client = new pg.Client({ connectionString: pool.postgres.url });
  await client.connect();
  await client.query(`insert into items (tenant, id, bank, hash, quality)
    select tenant, 'behind', bank, hash, quality from items where id like 'item-%' limit 1`);
  const counts = async (at = 0) => {
    const { body } = await pool.call('GET', '/api/v1/health', undefined, at);
    const { items, disabled } = (body as { index: { items: number; disabled: number } }).index;
    return { items, disabled };
  };
  const next = await pool.replica('drained');
  pool.replicas.push(next);
  try {
    expect(await counts(pool.replicas.length - 1)).toEqual(await counts());
    expect((await pool.match({ image: png }, pool.replicas.length - 1)).matched).toBe(true);
  } finally {
    pool.replicas.pop();
    await next.drain();
    await client.query(`delete from items where id = 'behind'`);
    await client.end();
  }
});

test('health, performance, inference and service levels are told', async () => {
  expect((await pool.call('GET', '/api/v1/health')).body).toMatchObject({ status: 'ok', index: { quarantined: 0 } });
  expect((await pool.call('GET', '/api/v1/metrics/performance')).body).toMatchObject({
    windows: [{ seconds: 60 }, {}, {}],
  });
  expect((await pool.call('GET', '/api/v1/metrics/ai-inference')).body).toMatchObject({
    level: 'Accuracy',
    model: null,
  });
  expect((await pool.call('GET', '/api/v1/metrics/sla')).body).toMatchObject({
    alerts: { errorRate: expect.any(String) as string },
    thresholds: { latencyP95: [1500, 2000] },
  });
});
