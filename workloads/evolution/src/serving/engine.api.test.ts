// Predictions over real HTTP by what a real PostgreSQL has deployed.
import '../testing/pg.ts';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, startEngine } from '@quintet/runtime';
import { eventually, startPostgres, type TestPostgres } from '@quintet/runtime/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packPipeline } from '../evaluate/model.ts';
import { Registry } from '../registry/registry.ts';
import { packModel } from '../run/model.ts';
import { predictEngine } from './engine.ts';

let postgres: TestPostgres;
let registry: Registry;
let folder: string;
let engine: Engine;
beforeAll(async () => {
  [postgres, folder] = await Promise.all([startPostgres(), mkdtemp(join(tmpdir(), 'quintet-serving-'))]);
  registry = await Registry.open(postgres.url);
  await writeFile(join(folder, '_admin'), 'a-token-of-the-admin');
  await writeFile(join(folder, 'shop'), 'a-token-of-the-shop');
  const configFile = join(folder, 'config.json');
  const server = { port: 0, host: '127.0.0.1', drainDelay: '0s' };
  await writeFile(configFile, JSON.stringify({ server, logging: { level: 'silent' }, auth: { directory: folder } }));
  const options = { open: () => Registry.open(postgres.url), name: 'churn', drift: true, refreshEvery: 50 };
  engine = await startEngine(predictEngine(options), { configFile, env: {} });
}, 120_000);
afterAll(async () => {
  await engine.drain();
  await registry.close();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A model that says yes with one probability, whatever it is asked. */
async function register(modelId: string, yes: number, name = 'churn'): Promise<void> {
  const learner = { kind: 'Constant' as const, values: Float32Array.of(yes) };
  const pipeline = Buffer.from(packPipeline({ preprocessing: { steps: [], outputs: [] }, learner })).toString('base64');
  const { bytes, sha256 } = packModel({
    format: 'quintet-model/1',
    task: 'Binary',
    target: 'y',
    classes: ['no', 'yes'],
    outputs: 1,
    metric: 'RocAUC',
    features: [{ name: 'a', column: 'a', type: 'Numeric', kind: 'Value' }],
    statistics: [{ name: 'a', missing: 0, cuts: [1, 2, 3, 4, 5, 6, 7, 8, 9], shares: new Array<number>(10).fill(0.1) }],
    members: [{ learner: 'Constant', weight: 1, pipelines: [pipeline] }],
  });
  await registry.startRun({ runId: modelId, name: modelId, spec: {}, seed: 0, teams: [] });
  const scores = { score: 0.5, holdout: 0.5, rocAuc: 0.5, f1Score: 0.5 };
  const dataset = {
    hash: 'abc',
    rows: 10,
    features: 1,
    target: 'y',
    task: 'Binary',
    classes: ['no', 'yes'],
    schema: [],
  };
  const model = { modelId, name, type: 'Linear', ...scores, parameters: {}, sha256, content: bytes };
  await registry.finishRun(
    modelId,
    { metric: 'RocAUC', result: {}, dataset, generations: [], individuals: [], model },
    { mode: 'None', weight: 0, minImprovement: 0, greaterIsBetter: true },
  );
}

async function call(path: string, body?: unknown, token = 'a-token-of-the-shop') {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const init = body === undefined ? { headers } : { headers, method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(`${engine.url}${path}`, init);
  return { status: response.status, body: (await response.json()) as Record<string, any> };
}
const wide = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [i === 0 ? 'a' : `other ${i}`, i]));
const isReady = async (status: number) =>
  eventually(async () => expect((await fetch(`${engine.url}/readyz`)).status).toBe(status));

it('waits for a champion, answers by it, then deals requests by weight, one key always to the same model', async () => {
  expect(await call('/v1/predict', { rows: [{ a: 1 }] })).toMatchObject({ status: 503 });
  await register('m1', 0.8);
  await register('m2', 0.3);
  await registry.promote('m1', 'Champion', 0, 'ann');
  await isReady(200);
  expect(await call('/v1/predict', { rows: [{ a: 1 }, { a: 'many' }, { b: 1 }, { a: null }] })).toMatchObject({
    status: 200,
    body: {
      model: { id: 'm1', role: 'Champion' },
      predictions: [{ class: 'yes', probabilities: { yes: expect.closeTo(0.8, 5) } }, {}, {}, {}],
      problems: ['row 3 has no column a', expect.stringMatching(/row 2, column a: .many. is no Numeric/)],
    },
  });

  expect(await call('/v1/models/m2/promote', { role: 'Challenger', weight: 0.3 })).toMatchObject({ status: 403 });
  const promoted = await call('/v1/models/m2/promote', { role: 'Challenger', weight: 0.3 }, 'a-token-of-the-admin');
  expect(promoted.body.deployed).toMatchObject([
    { modelId: 'm1', share: 0.7 },
    { modelId: 'm2', share: 0.3 },
  ]);
  const meant = await call('/v1/models/m2/promote', { role: 'Champion', weight: 0.1 }, 'a-token-of-the-admin');
  expect(meant).toMatchObject({ status: 400, body: { error: { field: 'weight' } } });
  expect(meant.body['error'].message).toContain('give role Challenger');
  expect((await registry.deployment('churn'))!.champion).toBe('m1');
  const own = await call('/v1/models/m1/promote', { role: 'Challenger', weight: 0.3 }, 'a-token-of-the-admin');
  expect(own).toMatchObject({ status: 409, body: { error: { code: 'CONFLICT' } } });
  const ask = async (key: string) =>
    (await call('/v1/predict', { rows: [{ a: 1 }], key })).body.model.id as 'm1' | 'm2';
  const keys = Array.from({ length: 200 }, (_, i) => `customer ${i}`);
  const first = await Promise.all(keys.map(ask));
  const share = first.filter((id) => id === 'm2').length / keys.length;
  expect(share).toBeGreaterThan(0.2);
  expect(share).toBeLessThan(0.4);
  expect(await Promise.all(keys.map(ask))).toEqual(first);
  expect((await call('/v1/predict', { rows: [{ a: 1 }], role: 'Challenger' })).body.model.id).toBe('m2');

  const metrics = await (await fetch(`${engine.url}/metrics`)).text();
  const counted = (role: string, model: string) =>
    Number(new RegExp(`predictions_total\\{role="${role}",model="${model}"\\} (\\d+)`).exec(metrics)?.[1]);
  expect(counted('Challenger', 'm2')).toBe(2 * Math.round(share * keys.length) + 1);
  expect(counted('Champion', 'm1')).toBe(4 + 2 * Math.round((1 - share) * keys.length));
  expect(metrics).toMatch(/quintet_evolution_drift\{feature="a"\} [1-9]/);
});

it('lists models and who did what to them', async () => {
  expect((await call('/v1/models')).body.models).toHaveLength(2);
  const { history } = (await call('/v1/models/m2/history')).body;
  expect(history[0]).toMatchObject({ action: 'promote', details: { as: 'Challenger', weight: 0.3 } });
  expect(await call('/v1/models/m9')).toMatchObject({ status: 404 });
});

it('knows no model of another name, and lets no admin of its own promote one', async () => {
  await register('b1', 0.5, 'billing');
  await register('b2', 0.5, 'billing');
  await registry.promote('b1', 'Champion', 0, 'ann');
  expect(await call('/v1/models/b2')).toMatchObject({ status: 404 });
  expect(await call('/v1/models/b2/history')).toMatchObject({ status: 404 });
  const promoted = await call('/v1/models/b2/promote', { role: 'Champion' }, 'a-token-of-the-admin');
  expect(promoted).toMatchObject({ status: 404 });
  expect((await registry.deployment('billing'))!.champion).toBe('b1');
  expect((await registry.deployment('churn'))!.champion).toBe('m1');
});

it.each([
  [{ rows: [] }, 'rows'],
  [{ rows: [{ b: 1 }] }, 'no row has the column a'],
  [{ rows: [{ a: { deep: 1 } }] }, 'rows'],
  [{ rows: Array.from({ length: 1001 }, () => ({ a: 1 })) }, 'rows'],
  [{ rows: [{ a: 1 }], kye: 'customer' }, 'body: there is no “kye”; give rows, key, role alone'],
  [{ rows: [{ a: 1 }, wide] }, 'row 2 has 101 columns, more than 100; the model knows 1'],
])('refuses %j', async (body, why) => {
  const answer = await call('/v1/predict', body);
  expect(answer.status).toBe(400);
  expect(JSON.stringify(answer.body)).toContain(why);
});

it('goes on answering while PostgreSQL is away', async () => {
  await postgres.kill();
  expect(await call('/v1/predict', { rows: [{ a: 1 }], role: 'Champion' })).toMatchObject({ status: 200 });
  await eventually(async () =>
    expect(((await (await fetch(`${engine.url}/readyz`)).json()) as { degraded: object }).degraded).toHaveProperty(
      'registry',
    ),
  );
  expect((await fetch(`${engine.url}/readyz`)).status).toBe(200);
  await postgres.start();
});
