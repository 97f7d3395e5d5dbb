// The strategy Model and similarity through the service, with models written here.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, startEngine } from '@quintet/runtime';
import { classifierTable, embeddingTable, eventually, writeModel } from '@quintet/runtime/testing';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { compressionClient } from '../client.ts';
import { textOfSpans } from '../render.ts';
import { compressionService } from './engine.ts';

let directory: string;
const engines: Engine[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-compression-models-'));
  process.env['QUINTET_CACHE'] = join(directory, 'cache');
});
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.drain()));
});
afterAll(async () => {
  delete process.env['QUINTET_CACHE'];
  await rm(directory, { recursive: true, force: true });
});

async function start(document: object): Promise<Engine> {
  const configFile = join(directory, `${Math.random()}.json`);
  const server = { host: '127.0.0.1', port: 0, drainDelay: '0ms' };
  await writeFile(configFile, JSON.stringify({ server, logging: { level: 'silent' }, ...document }));
  const engine = await startEngine(compressionService(), { configFile, env: {} });
  engines.push(engine);
  return engine;
}

const text = Array.from(
  { length: 60 },
  (_, i) => `The ${i % 2 ? 'alpha' : 'delta'} is ${i} the ${i % 3 ? 'gamma' : 'beta'} way. `,
).join('');

test('a mounted classifier does what its strategy says, and an embedding adds similarity', {
  timeout: 60_000,
}, async () => {
  writeModel(join(directory, 'classifier'), 'logits', classifierTable);
  writeModel(join(directory, 'embedding'), 'last_hidden_state', embeddingTable);
  const engine = await start({
    model: { source: { directory: join(directory, 'classifier') } },
    embedding: { source: { directory: join(directory, 'embedding') } },
  });
  await engine.started;
  const client = compressionClient({ url: engine.url, retries: 0 });
  const answer = await client.compress({ text, ratio: 4, strategy: 'model' });
  expect(answer).toMatchObject({ strategy: 'model', rate: { met: true } });
  expect(textOfSpans(text, answer.spans as never)).toBe(answer.text);
  expect(answer.text?.split('alpha').length).toBeGreaterThan(answer.text?.split('delta').length ?? 0);
  expect(answer.fidelity?.similarity).toBeGreaterThan(0.2);
  expect(answer.fidelity?.similarity).toBeLessThanOrEqual(1);
  expect((await client.compress({ text, ratio: 4, strategy: 'model' })).source).toBe('memory');
  const plain = await client.compress({ text, ratio: 4 });
  expect(plain.strategy).not.toBe('model');
  expect(plain.fidelity?.similarity).toBeDefined();
});

test('is not ready while the model is missing or damaged, says why, and goes on when it is there', {
  timeout: 60_000,
}, async () => {
  const folder = join(directory, 'late');
  const engine = await start({ model: { source: { directory: join(folder, 'model.onnx') } } });
  const ready = async () => {
    const response = await fetch(new URL('/readyz', engine.url));
    return { status: response.status, text: await response.text() };
  };
  await eventually(async () => expect((await ready()).text).toMatch(/late.model.onnx cannot be read/));
  expect((await ready()).status).toBe(503);
  writeModel(folder, 'logits', classifierTable);
  await engine.started;
  expect((await ready()).status).toBe(200);
  const wrong = await start({ model: { source: { directory: folder }, sha256: '0'.repeat(64) } });
  await eventually(async () =>
    expect(await (await fetch(new URL('/readyz', wrong.url))).text()).toMatch(/damaged: SHA-256 is/),
  );
});
