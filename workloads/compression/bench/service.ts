// Requests per second through HTTP: what is new asked from this process, what is cached from another, both on this machine's cores.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine } from '@quintet/runtime';
import { type Row, row } from '@quintet/runtime/bench';
import { runLoad } from '../scripts/service.ts';
import { compressionService } from '../src/service/engine.ts';
import { corpus } from './corpus.ts';

export async function service(quick: boolean): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'quintet-bench-'));
  const configFile = join(directory, 'config.json');
  const server = { host: '127.0.0.1', port: 0, drainDelay: '0ms' };
  writeFileSync(configFile, JSON.stringify({ server, logging: { level: 'silent' } }));
  const engine = await startEngine(compressionService(), { configFile, env: {} });
  await engine.started;
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  try {
    const texts = corpus(9, quick ? 2 : 6)
      .filter(({ kind }) => kind !== 'json')
      .map(({ text }) => text.slice(0, text.lastIndexOf('\n', 4200) + 1));
    const misses = quick ? 200 : 2000;
    const bodies = (count: number, round: number): string[] =>
      Array.from({ length: count }, (_, i) =>
        JSON.stringify({ text: `${round}.${i}\n${texts[i % texts.length]}`, ratio: 8 }),
      );
    await ask(engine.url, agent, bodies(100, 0));
    const miss = await ask(engine.url, agent, bodies(misses, 1));
    const hits = quick ? 4000 : 40_000;
    const cached = { url: engine.url, connections: 32, requests: hits, repeat: 1 };
    await runLoad(cached);
    const before = process.cpuUsage();
    const hit = await runLoad(cached);
    const { user, system } = process.cpuUsage(before);
    const base = {
      bench: 'compression',
      metric: 'throughput',
      unit: 'requests/s',
      better: 'higher',
      peers: {},
    } as const;
    const cpu = { ...base, metric: 'CPU, client included', unit: 'ms', better: 'lower' } as const;
    return [
      row(
        {
          ...base,
          case: 'HTTP, texts not seen before',
          size: `${misses} × 1 k tokens, 32 connections`,
          ours: miss.rate,
        },
        { absolute: 280 },
      ),
      row(
        { ...base, case: 'HTTP, from the cache', size: `${hits} × 1 k tokens, 32 connections`, ours: hit.rate },
        { absolute: 3000 },
      ),
      // Throughput falls with whatever else the machine does; CPU time does not. 7.2 ms on 2 cores are 1 M documents an hour.
      row(
        { ...cpu, case: 'HTTP, texts not seen before', size: `${misses} × 1 k tokens`, ours: miss.cpu },
        { absolute: 7.2 },
      ),
      row({
        ...cpu,
        metric: 'CPU of the service',
        case: 'HTTP, from the cache',
        size: `${hits} × 1 k tokens`,
        ours: (user + system) / 1000 / hits,
      }),
    ];
  } finally {
    agent.destroy();
    await engine.drain();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Requests per second and CPU milliseconds per request over all bodies, 32 at a time. Throws when one is not answered with 200. */
async function ask(url: string, agent: Agent, bodies: readonly string[]): Promise<{ rate: number; cpu: number }> {
  let next = 0;
  const began = performance.now();
  const before = process.cpuUsage();
  const worker = async (): Promise<void> => {
    for (let body = bodies[next++]; body !== undefined; body = bodies[next++]) await post(url, agent, body);
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  const { user, system } = process.cpuUsage(before);
  return { rate: (bodies.length * 1000) / (performance.now() - began), cpu: (user + system) / 1000 / bodies.length };
}

function post(url: string, agent: Agent, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(new URL('/v1/compress', url), { method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.on('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`answered ${response.statusCode}`)),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
