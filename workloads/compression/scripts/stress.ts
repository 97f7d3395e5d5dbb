// Holds the service to what it promises under load: a verdict per check, exit code 1 when one is not met.
//   node --conditions=source workloads/compression/scripts/stress.ts [--quick] [--minutes 30] [--only connections,burst,slow,redis,steady]
import { parseArgs } from 'node:util';
import { startRedis } from '@quintet/runtime/testing';
import type { Seen } from './load.ts';
import { runLoad, type Service, startService } from './service.ts';
import { slowConnections, slowStream } from './slow.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '30' },
    only: { type: 'string', default: 'hits,connections,burst,slow,redis,steady' },
  },
});
const quick = values.quick;
const minutes = quick ? 0.5 : Number(values.minutes);
const verdicts: boolean[] = [];

/** The container's memory in docs/samples/compressionservice.yaml, in MiB. */
const memoryLimit = 1024;
const unlimited = { rateLimits: { maxConcurrent: 20_000, maxBodySize: '4Mi' } };

const checks: Record<string, () => Promise<void>> = { hits, connections, burst, slow, redis, steady };
for (const name of values.only.split(',')) {
  const check = checks[name];
  if (!check) throw new Error(`there is no check ${name}; there are ${Object.keys(checks).join(', ')}`);
  await check();
}
process.exit(verdicts.every(Boolean) ? 0 : 1);

function verdict(met: boolean, what: string, saw: string): void {
  verdicts.push(met);
  console.log(`${met ? 'met   ' : 'MISSED'}  ${what}: ${saw}`);
}

async function hits(): Promise<void> {
  await withService(unlimited, async ({ url }) => {
    const load = { url, connections: 32, requests: quick ? 5000 : 40_000, repeat: 1 };
    await runLoad(load);
    const seen = await runLoad(load);
    verdict(seen.rate >= 3000 && answeredAll(seen), '3 000 cached answers a second', told(seen));
  });
}

async function connections(): Promise<void> {
  await withService(unlimited, async ({ url, memory }) => {
    await runLoad({ url, connections: 32, requests: 10_000, repeat: 1 });
    const wanted = quick ? 1000 : 9900;
    const load = { url, connections: wanted, rate: 1000, seconds: quick ? 10 : 60, repeat: 1 };
    const seen = await runLoad(load);
    const met = seen.open >= wanted && seen.p95 < 100 && answeredAll(seen);
    verdict(
      met,
      `cached p95 under 100 ms with ${wanted} open connections, 1 000 requests a second`,
      `${told(seen)}, ${memory().most} MiB`,
    );
  });
}

async function burst(): Promise<void> {
  await withService(unlimited, async ({ url, memory }) => {
    const { rate } = await runLoad({ url, connections: 32, seconds: quick ? 5 : 15, repeat: 0, seed: 1 });
    const load = { url, connections: 2000, rate: 5 * rate, seconds: quick ? 8 : 30, repeat: 0, seed: 2 };
    const seen = await runLoad(load);
    const met = answeredOrRefused(seen) && memory().most < memoryLimit;
    verdict(
      met,
      `five times the capacity of ${rate}/s: answered or refused with Retry-After, under ${memoryLimit} MiB`,
      `${told(seen)}, ${memory().most} MiB`,
    );
    const after = await runLoad({ url, connections: 8, requests: 200, repeat: 0, seed: 3 });
    verdict(answeredAll(after), 'after it all is as before', told(after));
  });
}

async function slow(): Promise<void> {
  await withService(unlimited, async ({ url, memory }) => {
    const release = await slowConnections(url, quick ? 50 : 300);
    const beside = await runLoad({ url, connections: 16, requests: 500, repeat: 0, seed: 1 });
    const stream = await slowStream(url, quick ? 24 : 48);
    await release();
    verdict(answeredAll(beside), 'who does not read does not keep others waiting', told(beside));
    verdict(
      // The kernel's buffers on both sides of a loopback connection hold about ten.
      stream.held < 16 && stream.whole,
      'a stream whose reader stalls is not read further, and loses nothing',
      `${stream.held.toFixed(1)} of ${stream.sent.toFixed(1)} MiB taken while it stalled; parts tile what was sent: ${stream.whole}`,
    );
    verdict(memory().most < memoryLimit, `slow readers use less than ${memoryLimit} MiB`, `${memory().most} MiB`);
  });
}

async function redis(): Promise<void> {
  const server = await startRedis();
  const service = await startService(unlimited, server.url);
  try {
    const { url } = service;
    await runLoad({ url, connections: 16, requests: 500, repeat: 0.5 });
    const during = runLoad({ url, connections: 200, rate: 150, seconds: quick ? 12 : 30, repeat: 0.5, seed: 1 });
    await pause(4000);
    await server.kill();
    await pause(quick ? 4000 : 12_000);
    await server.start();
    const seen = await during;
    verdict(
      answeredOrRefused(seen) && (seen.statuses['200'] ?? 0) > 0.95 * total(seen),
      'Redis killed and started again: no wrong and no lost answer',
      told(seen),
    );
    await pause(3000);
    const body = JSON.stringify({ text: 'Kept again. '.repeat(100), ratio: 4 });
    const headers = { 'content-type': 'application/json' };
    const answer = (await (await fetch(`${url}/v1/compress`, { method: 'POST', headers, body })).json()) as {
      original?: { durable: boolean };
    };
    verdict(answer.original?.durable === true, 'originals are durable again', JSON.stringify(answer.original));
    verdict(service.memory().most < memoryLimit, `under ${memoryLimit} MiB`, `${service.memory().most} MiB`);
  } finally {
    await service.stop();
    await server.stop();
  }
}

/** Mixed load in rounds of half a minute; resident memory after each, the first third left out as warming. */
async function steady(): Promise<void> {
  const server = await startRedis(['--maxmemory', '256mb', '--maxmemory-policy', 'allkeys-lru']);
  const cache = { memory: { maxEntries: 2000, maxSize: '64Mi' } };
  const service = await startService({ ...unlimited, cache, originals: { retention: '2m' } }, server.url);
  const samples: number[] = [];
  const sums: Record<string, number> = {};
  let clean = true;
  try {
    const { url } = service;
    const round = quick ? 5 : 30;
    for (let i = 0; i * round < minutes * 60; i++) {
      const seen = await runLoad({ url, connections: 100, rate: 120, seconds: round, repeat: 0.7, seed: i });
      for (const [status, count] of Object.entries(seen.statuses)) sums[status] = (sums[status] ?? 0) + count;
      clean &&= answeredOrRefused(seen);
      await Promise.all([jobs(url, i), badRequests(url), slowStream(url, 1)]);
      samples.push(service.memory().now);
    }
    const settled = samples.slice(Math.floor(samples.length / 3));
    const half = Math.ceil(settled.length / 2);
    const [before, after] = [median(settled.slice(0, half)), median(settled.slice(-half))];
    verdict(
      after <= before * 1.1 + 16,
      `memory is steady over ${minutes} minutes of mixed load`,
      `${before} → ${after} MiB (most ${service.memory().most}); all: ${samples.join(' ')}`,
    );
    verdict(clean, 'every request of it was answered', JSON.stringify(sums));
  } finally {
    await service.stop();
    await server.stop();
  }
}

async function jobs(url: string, round: number): Promise<void> {
  for (let i = 0; i < 10; i++) {
    const body = JSON.stringify({
      text: `Job ${round}-${i}. ${'The depot counted its pallets. '.repeat(200)}`,
      ratio: 8,
      priority: 'Low',
    });
    const response = await fetch(`${url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const { id } = (await response.json()) as { id: string };
    if (i % 3 === 0) await (await fetch(`${url}/v1/jobs/${id}`, { method: 'DELETE' })).text();
  }
}

async function badRequests(url: string): Promise<void> {
  for (const body of ['{', '{"text":1}', `{"text":"a","ratio":-1}`, `{"text":"${'a'.repeat(5_000_000)}"}`]) {
    const headers = { 'content-type': 'application/json' };
    // A body beyond the limit may be cut off while it is still being sent.
    await fetch(`${url}/v1/compress`, { method: 'POST', headers, body }).then(
      (response) => response.text(),
      () => undefined,
    );
  }
}

async function withService(document: object, use: (service: Service) => Promise<void>): Promise<void> {
  const service = await startService(document);
  try {
    await use(service);
  } finally {
    await service.stop();
  }
}

function total({ statuses }: Seen): number {
  return Object.values(statuses).reduce((a, b) => a + b, 0);
}

function answeredAll(seen: Seen): boolean {
  return answeredOrRefused(seen) && seen.statuses['200'] === total(seen);
}

function answeredOrRefused(seen: Seen): boolean {
  const known = ['200', '429', '503'].reduce((sum, status) => sum + (seen.statuses[status] ?? 0), 0);
  return (
    known > 0 && (seen.statuses['200'] ?? 0) > 0 && known === total(seen) && seen.wrong + seen.lost + seen.unclear === 0
  );
}

function told({ statuses, wrong, lost, unclear, rate, p50, p95, p99, open }: Seen): string {
  const counts = Object.entries(statuses).map(([status, count]) => `${count} × ${status}`);
  return `${counts.join(', ')}; ${wrong} wrong, ${lost} lost, ${unclear} unclear; ${rate}/s, p50 ${p50}, p95 ${p95}, p99 ${p99} ms, ${open} connections`;
}

function median(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? 0;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
