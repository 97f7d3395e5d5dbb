import { networkInterfaces } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';
import { type RunningServer, startServer } from './server.ts';

let server: RunningServer | undefined;
afterEach(async () => {
  await server?.close();
});

async function get(path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${server?.port}${path}`);
  return { status: response.status, text: await response.text() };
}

test('probes say what is missing and what hangs; metrics are for Prometheus', async () => {
  const missing = ['fieldjobs'];
  const stuck: string[] = [];
  const { registry, reconciles } = createMetrics();
  server = await startServer({ host: '127.0.0.1', port: 0, registry, missing: () => missing, stuck: () => stuck });
  expect(await get('/readyz')).toMatchObject({ status: 503, text: expect.stringContaining('fieldjobs') });
  missing.pop();
  expect((await get('/readyz')).status).toBe(200);
  expect((await get('/healthz')).status).toBe(200);
  stuck.push('copyengine');
  expect(await get('/healthz')).toMatchObject({ status: 503, text: expect.stringContaining('copyengine') });
  reconciles.inc({ controller: 'fieldjob', result: 'success' });
  const { text } = await get('/metrics');
  expect(text).toContain('controller_runtime_reconcile_total{controller="fieldjob",result="success"} 1');
  expect(text).toContain('process_resident_memory_bytes');
});

test('anything else is refused, whatever it sends along', async () => {
  const { registry } = createMetrics({ processMetrics: false });
  server = await startServer({ host: '127.0.0.1', port: 0, registry, missing: () => [], stuck: () => [] });
  expect((await get('/')).status).toBe(404);
  expect((await get('/healthz?verbose')).status).toBe(200);
  const url = `http://127.0.0.1:${server.port}/metrics`;
  const posted = await fetch(url, { method: 'POST', body: 'x'.repeat(100_000) });
  expect(posted.status).toBe(405);
  const head = await fetch(url, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
});

test('a page that cannot be made is an error of the server', async () => {
  const { registry } = createMetrics({ processMetrics: false });
  registry.metrics = () => Promise.reject(new Error('a gauge threw'));
  server = await startServer({ host: '127.0.0.1', port: 0, registry, missing: () => [], stuck: () => [] });
  expect(await get('/metrics')).toMatchObject({ status: 500, text: expect.stringContaining('a gauge threw') });
});

test('without a host it answers on every address the machine has', async () => {
  const { registry } = createMetrics({ processMetrics: false });
  server = await startServer({ port: 0, registry, missing: () => [], stuck: () => [] });
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const hosts = ['127.0.0.1', ...(own.some(({ address }) => address === '::1') ? ['[::1]'] : [])];
  const answers = await Promise.all(hosts.map((host) => fetch(`http://${host}:${server?.port}/healthz`)));
  expect(answers.map(({ status }) => status)).toEqual(hosts.map(() => 200));
});
