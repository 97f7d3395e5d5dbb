// The service in a process of its own, asked by this one: answers from the cache, new solves, and 1 000 clients at once.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Row, row } from '@quintet/runtime/bench';
import { eventually, freePort } from '@quintet/runtime/testing';
import { crowd, httpTalk, streamTalk } from './crowd.ts';

const clients = 1000;
const size = 'T=512';

export async function service(quick: boolean): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'quintet-bench-'));
  const resource = join(folder, 'resource.json');
  const port = await freePort();
  const spec = {
    mode: 'Service',
    array: { type: 'TwoSided', twoSided: { rows: 16, columns: 16, separation: '120mm' } },
    targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'], trap: 'Twin' }],
    server: { host: '127.0.0.1', port, drainDelay: '0ms' },
    logging: { level: 'warn' },
  };
  const document = { apiVersion: 'quintet.dev/v1alpha1', kind: 'FieldJob', metadata: { name: 'bench' }, spec };
  writeFileSync(resource, JSON.stringify(document));
  const main = new URL('../src/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--conditions=source', main, 'serve'], {
    env: { ...process.env, QUINTET_RESOURCE: resource },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    await eventually(async () => {
      if (!(await fetch(`${url}/readyz`)).ok) throw new Error('not ready');
    });
    return [...(await alone(url, quick)), ...(await together(url, quick)), ...(await asking(port, quick))];
  } finally {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
}

const measured = (case_: string, size_: string, metric: string, ours: number) =>
  ({ bench: 'field', case: case_, size: size_, metric, unit: 'ms', better: 'lower', ours, peers: {} }) as const;

async function alone(url: string, quick: boolean): Promise<Row[]> {
  const agent = new Agent({ keepAlive: true });
  const times = quick ? 200 : 1000;
  const each = async (path: string, body?: (i: number) => unknown): Promise<number[]> => {
    await ask(url, agent, path, body?.(0));
    const spans: number[] = [];
    for (let i = 0; i < times; i++) spans.push(await ask(url, agent, path, body?.(i)));
    return spans;
  };
  const slice = await each('/v1/slice?plane=XZ&width=60mm&height=60mm&spacing=0.5mm');
  const kept = await each('/v1/solve', () => ({ targets: [{ position: [0, 0, 0.05], trap: 'Twin' }] }));
  const solves = await each('/v1/solve', (i) => ({
    targets: [{ position: [1e-6 * i, 0, 0.06], trap: 'Twin' }],
    measure: false,
  }));
  const point = await each('/v1/points', (i) => ({ points: [[1e-6 * i, 0, 0.06]] }));
  agent.destroy();
  return [
    row(measured('service, slice of 121² from the cache', size, 'p50', percentile(slice, 0.5)), { absolute: 1 }),
    row(measured('service, solution from the cache', size, 'p50', percentile(kept, 0.5)), { absolute: 1 }),
    row(measured('service, a point', size, 'p50', percentile(point, 0.5)), { absolute: 1 }),
    row(measured('service, a new solve of one trap, not measured', size, 'p50', percentile(solves, 0.5))),
  ];
}

/** Connections that are held, and a query a second from each. */
async function together(url: string, quick: boolean): Promise<Row[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients, maxFreeSockets: clients });
  const body = { points: [[0.001, 0.002, 0.06]] };
  for (let i = 0; i < clients; i += 100)
    await Promise.all(Array.from({ length: 100 }, () => ask(url, agent, '/v1/points', body)));
  const spans: number[] = [];
  const pending: Promise<unknown>[] = [];
  const seconds = quick ? 2 : 10;
  const start = performance.now();
  for (let sent = 0; sent < clients * seconds; ) {
    const due = Math.min(clients * seconds, ((performance.now() - start) * clients) / 1000);
    for (; sent < due; sent++) pending.push(ask(url, agent, '/v1/points', body).then((span) => spans.push(span)));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(pending);
  agent.destroy();
  const where = `${size}, ${clients} clients, ${clients} queries/s`;
  return [row(measured('service, points over HTTP', where, 'p99', percentile(spans, 0.99)), { absolute: 50 })];
}

/** Every client asks again as soon as it is answered: as many queries are under way at any moment as there are clients. */
async function asking(port: number, quick: boolean): Promise<Row[]> {
  const points = Array.from({ length: 997 }, (_, i) => [0.02 * Math.sin(i), 0.02 * Math.cos(3 * i), 0.06]);
  const where = `${size}, ${clients} clients, one query each under way`;
  const rows: Row[] = [];
  for (const [way, talk, each] of [
    ['streams', streamTalk(points), 200],
    ['HTTP', httpTalk(points), 50],
  ] as const) {
    await crowd(port, clients, clients * 20, talk);
    const { spans, perSecond } = await crowd(port, clients, clients * (quick ? each / 10 : each), talk);
    const target = way === 'streams' ? { absolute: 50 } : {};
    rows.push(
      row(measured(`service, points over ${way}`, where, 'p50', percentile(spans, 0.5))),
      row(measured(`service, points over ${way}`, where, 'p99', percentile(spans, 0.99)), target),
      row({
        ...measured(`service, points over ${way}`, where, 'throughput', perSecond),
        unit: '1/s',
        better: 'higher',
      }),
    );
  }
  return rows;
}

function ask(url: string, agent: Agent, path: string, body?: unknown): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': text.length };
    const asked = request(url + path, { agent, method: text === undefined ? 'GET' : 'POST', headers }, (answer) => {
      answer.resume();
      answer.once('end', () => {
        if (answer.statusCode === 200) resolve(performance.now() - start);
        else reject(new Error(`${path}: ${answer.statusCode}`));
      });
    });
    asked.once('error', reject);
    asked.end(text);
  });
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
