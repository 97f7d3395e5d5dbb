// Answers from the cache: how many a second and how late the last, against making them, and how often they are there on a mix of briefs.
import { setTimeout as pause } from 'node:timers/promises';
import { type Row, row } from '@quintet/runtime/bench';
import { type BenchModel, post, quantile, type Served, serving, textOf } from './engine.ts';

const connections = 16;
/** Requests a second that are promised. */
const promised = 2000;
const length = 800;

export async function answersFromCache(model: BenchModel, quick: boolean): Promise<Row[]> {
  const engine = await serving(model, 16, 1024);
  const base = { bench: 'copy', case: `${model.title}, from the cache`, better: 'higher' } as const;
  try {
    const bodies = Array.from({ length: 20 }, (_, seed) => ({ prompt: 'copy for a lamp', max_tokens: length, seed }));
    const misses: number[] = [];
    let bytes = 0;
    for (const body of bodies) {
      const began = performance.now();
      bytes += Buffer.byteLength(await textOf(await post(engine, '/v1/completions', body)));
      misses.push(performance.now() - began);
    }
    const size = `${(bytes / bodies.length / 1024).toFixed(1)} KiB answers, ${connections} connections`;
    const count = quick ? 5000 : 40_000;
    await all(engine, count / 10, (i) => bodies[i % bodies.length] as object);
    const before = await engine.cpu();
    const hits = await all(engine, count, (i) => bodies[i % bodies.length] as object);
    const cpu = ((await engine.cpu()) - before) / count;
    const offered = await paced(engine, promised, quick ? 3 : 15, (i) => bodies[i % bodies.length] as object);
    const one = await all(engine, count / 20, (i) => bodies[i % bodies.length] as object, 1);
    const mix = await mixed(engine, quick ? 1000 : 3000);
    return [
      row(
        { ...base, size, metric: 'throughput', unit: 'requests/s', ours: hits.rate, peers: {} },
        { absolute: promised },
      ),
      row({ ...base, size, metric: 'CPU of the engine', unit: 'ms', better: 'lower', ours: cpu, peers: {} }),
      row(
        { ...base, size, metric: 'p99', unit: 'ms', better: 'lower', ours: quantile(hits.times, 0.99), peers: {} },
        { absolute: 20 },
      ),
      row(
        {
          ...base,
          size: `${(bytes / bodies.length / 1024).toFixed(1)} KiB answers, ${promised} requests/s, whether answered or not`,
          metric: 'p99',
          unit: 'ms',
          better: 'lower',
          ours: quantile(offered, 0.99),
          peers: {},
        },
        { absolute: 20 },
      ),
      row(
        {
          ...base,
          size: `one at a time, ${length} tokens`,
          metric: 'median',
          unit: 'ms',
          better: 'lower',
          ours: quantile(one.times, 0.5),
          peers: { 'made anew': quantile(misses, 0.5) },
        },
        { ratio: 20 },
      ),
      row(
        {
          ...base,
          size: `${mix.requests} requests over 500 prompts, by Zipf's law with exponent 1`,
          metric: 'answered from the cache',
          unit: '%',
          ours: mix.share * 100,
          peers: {},
        },
        { absolute: 70 },
      ),
    ];
  } finally {
    await engine.stop();
  }
}

async function all(engine: Served, count: number, bodyOf: (index: number) => object, parallel = connections) {
  const times: number[] = [];
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < count; i = next++) {
      const began = performance.now();
      await textOf(await post(engine, '/v1/completions', bodyOf(i)));
      times.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: parallel }, worker));
  return { times, rate: (count * 1000) / (performance.now() - began) };
}

/** Milliseconds from when each request was due, so many a second, until it was answered. */
async function paced(engine: Served, rate: number, seconds: number, bodyOf: (index: number) => object) {
  const times: number[] = [];
  const asked: Promise<void>[] = [];
  const began = performance.now();
  const ask = async (i: number, due: number) => {
    await textOf(await post(engine, '/v1/completions', bodyOf(i)));
    times.push(performance.now() - due);
  };
  while (asked.length < rate * seconds) {
    const due = Math.min(rate * seconds, ((performance.now() - began) * rate) / 1000);
    while (asked.length < due) asked.push(ask(asked.length, began + (asked.length * 1000) / rate));
    await pause(1);
  }
  await Promise.all(asked);
  return times;
}

async function mixed(engine: Served, requests: number) {
  const weights = Array.from({ length: 500 }, (_, rank) => 1 / (rank + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let state = 11;
  const draw = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    let left = (state / 2 ** 32) * total;
    return Math.max(
      0,
      weights.findIndex((weight) => (left -= weight) < 0),
    );
  };
  let cached = 0;
  for (let i = 0; i < requests; i++) {
    const body = { prompt: `brief ${draw()}`, max_tokens: 4, seed: 1 };
    const response = await post(engine, '/v1/completions', body);
    if (response.headers['x-quintet-source'] !== 'miss') cached++;
    await textOf(response);
  }
  return { requests, share: cached / requests };
}
