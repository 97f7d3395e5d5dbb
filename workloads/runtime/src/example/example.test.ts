import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, freePort, startRedis, type TestRedis } from '../testing/index.ts';

const program = new URL('./main.ts', import.meta.url).pathname;
const readme = new URL('../../README.md', import.meta.url);

let redis: TestRedis;
let directory: string;
const processes: ChildProcess[] = [];
beforeAll(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'quintet-example-'));
  await mkdir(join(directory, 'tokens'));
  for (const tenant of ['news', 'sport'])
    await writeFile(join(directory, 'tokens', tenant), `${tenant}-token-0123456789`);
}, 180_000);
afterAll(async () => {
  for (const each of processes) if (each.exitCode === null) each.kill('SIGKILL');
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

async function replica() {
  const port = await freePort();
  const config = join(directory, `${port}.json`);
  const server = { host: '127.0.0.1', port, drainDelay: '300ms' };
  await writeFile(
    config,
    JSON.stringify({
      server,
      auth: { directory: join(directory, 'tokens') },
      tenants: [{ name: 'sport', tokensPerDay: 20 }],
    }),
  );
  const env = { ...process.env, QUINTET_CONFIG: config, QUINTET_REDIS_URL: redis.url };
  const child = spawn(process.execPath, ['--conditions=source', program], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  processes.push(child);
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () =>
    expect((await (await fetch(`${url}/readyz`)).json()) as object).toEqual({ ready: true, reasons: {}, degraded: {} }),
  );
  const count = async (text: string, tenant = 'news') => {
    const headers = { authorization: `Bearer ${tenant}-token-0123456789`, 'content-type': 'application/json' };
    const response = await fetch(`${url}/v1/count`, { method: 'POST', headers, body: JSON.stringify({ text }) });
    return {
      status: response.status,
      ...((await response.json()) as { words?: number; source?: string; error?: { code: string } }),
    };
  };
  return { url, child, count, log: () => log };
}

test('the example of the README is the one that is tested here', async () => {
  const code = await readFile(program, 'utf8');
  expect(await readFile(readme, 'utf8')).toContain(`\`\`\`ts\n${code}\`\`\``);
});

test('two replicas of the example share their cache, keep tenants apart, outlive Redis, and end without losing a request', async () => {
  const [one, two] = [await replica(), await replica()];
  expect(await one.count('to be or not to be')).toEqual({ status: 200, words: 6, source: 'miss' });
  expect((await one.count('to be or not to be')).source).toBe('memory');
  await eventually(async () => expect((await two.count('to be or not to be')).source).toBe('redis'));
  expect((await two.count('to be or not to be', 'sport')).source).toBe('miss');
  expect(await two.count('a second one is beyond its quota', 'sport')).toMatchObject({
    status: 429,
    error: { code: 'QUOTA_EXCEEDED' },
  });

  await redis.kill();
  const during = await Promise.all(
    Array.from({ length: 100 }, async (_, at) => (at % 2 ? one : two).count(`words ${'x '.repeat(at)}`)),
  );
  expect(during.map(({ status, words }) => [status, words])).toEqual(
    Array.from({ length: 100 }, (_, at) => [200, at + 1]),
  );
  await eventually(async () =>
    expect(await (await fetch(`${one.url}/readyz`)).json()).toMatchObject({
      ready: true,
      degraded: { redis: expect.any(String) },
    }),
  );
  await redis.start();
  await eventually(async () => expect(await (await fetch(`${one.url}/readyz`)).json()).toMatchObject({ degraded: {} }));
  await eventually(async () => {
    const text = `after the return ${Math.random()}`;
    await one.count(text);
    expect((await two.count(text)).source).toBe('redis');
  });

  const statuses: number[] = [];
  let going = true;
  const load = (async () => {
    // As a load balancer does: requests go where the probe says ready.
    while (going) {
      const ready = (await fetch(`${one.url}/readyz`).catch(() => undefined))?.status === 200;
      statuses.push((await (ready ? one : two).count(`load ${statuses.length}`)).status);
    }
  })();
  await eventually(() => expect(statuses.length).toBeGreaterThan(20));
  one.child.kill('SIGTERM');
  const [code] = (await once(one.child, 'exit')) as [number];
  going = false;
  await load;
  expect(code).toBe(0);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(one.log()).toContain('"msg":"draining"');
}, 60_000);

test('an engine whose configuration is wrong ends at once and says where', async () => {
  const config = join(directory, 'wrong.json');
  await writeFile(config, JSON.stringify({ batching: { maxSize: 0 } }));
  const child = spawn(process.execPath, ['--conditions=source', program], {
    env: { ...process.env, QUINTET_CONFIG: config },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(1);
  expect(JSON.parse(text)).toMatchObject({
    level: 'fatal',
    engine: 'wordcount',
    err: expect.stringContaining('batching.maxSize'),
  });
});
