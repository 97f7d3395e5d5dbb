// How an engine starts, what it reads, and what it takes over while it runs.
import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { QuintetError } from '../errors.ts';
import { startEngine } from './engine.ts';
import { config, eachWithItsOwn, engines, file, logs, quick, secrets, start } from './fixtures/engines.ts';

eachWithItsOwn();

test('takes over limits, tokens and its own reloadable settings, and refuses what needs a restart', async () => {
  const { engine, call } = await start({ greeting: 'hello' }, { reloadable: ['greeting'] });
  const write = async (document: object) => {
    await writeFile(file(), JSON.stringify({ auth: { directory: secrets() }, server: quick, ...document }));
    await engine.reload();
  };
  await write({ greeting: 'good day' });
  expect(await (await call('/v1/greeting')).json()).toEqual({ greeting: 'good day' });
  await write({ greeting: 'ignored', batching: { maxSize: 9 } });
  expect(await (await call('/v1/greeting')).json()).toEqual({ greeting: 'good day' });
  expect(logs.join()).toContain('batching.maxSize can only change with a restart');
  await write({ greeting: 5 });
  expect(await (await call('/v1/greeting')).json()).toEqual({ greeting: 'good day' });
  await write({ greeting: 'good day', rateLimits: { perClient: { requests: 1 } } });
  expect([(await call('/v1/greeting')).status, (await call('/v1/greeting')).status]).toEqual([200, 429]);
});

test('says why it is not ready while it starts, and when its start failed', async () => {
  let go = () => {};
  const gate = new Promise<void>((resolve) => (go = resolve));
  await writeFile(file(), JSON.stringify({ server: quick }));
  const engine = await startEngine(
    { name: 'slow', config, start: () => gate },
    { configFile: file(), env: {}, logStream: { write: () => undefined } },
  );
  engines.push(engine);
  const ready = async () => ({
    status: (await fetch(`${engine.url}/readyz`)).status,
    ...((await (await fetch(`${engine.url}/readyz`)).json()) as object),
  });
  expect(await ready()).toMatchObject({ status: 503, ready: false, reasons: { start: 'starting' } });
  go();
  await engine.started;
  expect(await ready()).toMatchObject({ status: 200, ready: true });

  const broken = await startEngine(
    {
      name: 'broken',
      config,
      start: async () => Promise.reject(new QuintetError('MODEL_MISSING', { uri: 'file:/m', reason: 'ENOENT' })),
    },
    { configFile: file(), env: {}, logStream: { write: () => undefined } },
  );
  engines.push(broken);
  await expect(broken.started).rejects.toMatchObject({ code: 'MODEL_MISSING' });
  const reasons = (await (await fetch(`${broken.url}/readyz`)).json()) as object;
  expect(reasons).toMatchObject({ reasons: { start: 'Model file:/m cannot be read: ENOENT' } });
});

test('refuses to start with a configuration that is wrong, naming field and source', async () => {
  await expect(start({ server: { keepAliveTimeout: 'soon' } })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    field: 'server.keepAliveTimeout',
  });
  await expect(start({ greeting: 7 })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('greeting'),
  });
  await writeFile(file(), '{');
  await expect(startEngine({ name: 'x', config }, { configFile: file(), env: {} })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
});

test('takes settings from the environment over those of the file', async () => {
  const { call } = await start(
    { greeting: 'file' },
    {},
    { QUINTET_CONFIG__GREETING: 'environment', QUINTET_SERVICE_HOST: 'not ours' },
  );
  expect(await (await call('/v1/greeting')).json()).toEqual({ greeting: 'environment' });
});

test('runs a job to its end, and lets it know when it is to stop', async () => {
  const { engine } = await start(
    {},
    { job: async ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())) },
  );
  await engine.drain();
  await expect(engine.finished).resolves.toBeUndefined();
  const failing = await start({}, { job: async () => Promise.reject(new Error('no data')) });
  await expect(failing.engine.finished).rejects.toThrow('no data');
});
