// Time to the first token: of short prompts alone and beside long ones, of a prompt whose beginning was read before, and of one that waits for a place whose
// client has gone.
import { setTimeout as pause } from 'node:timers/promises';
import { median, type Row, row } from '@quintet/runtime/bench';
import { openLlama } from '../src/models/llama.ts';
import { type BenchModel, post, quantile, type Served, serving } from './engine.ts';

export async function firstTokens(model: BenchModel, quick: boolean): Promise<Row[]> {
  const engine = await serving(model, 8, 1024);
  const base = { bench: 'copy', case: model.title, unit: 'ms', better: 'lower' } as const;
  try {
    await firstToken(engine, 'warm ');
    const times = quick ? 10 : 40;
    const alone: number[] = [];
    for (let i = 0; i < times; i++) alone.push(await firstToken(engine, `${i} short`.padEnd(40, ' copy')));
    const mixed: number[] = [];
    let over = false;
    const long = async (worker: number) => {
      for (let i = 0; !over; i++) await firstToken(engine, `${worker}.${i} long`.padEnd(800, ' copy'), 16);
    };
    const workers = [0, 1].map(long);
    for (let i = 0; i < times; i++) mixed.push(await firstToken(engine, `${i} again`.padEnd(40, ' copy')));
    over = true;
    await Promise.all(workers);
    const shared: number[] = [];
    const fresh: number[] = [];
    for (let i = 0; i < (quick ? 3 : 9); i++) {
      const prompt = `${i} shared`.padEnd(400, ' copy');
      fresh.push(await firstToken(engine, `${prompt} one`));
      shared.push(await firstToken(engine, `${prompt} two`));
    }
    return [
      row(
        {
          ...base,
          size: '40-token prompts beside 2 clients with 800-token prompts',
          metric: 'first token p95',
          ours: quantile(mixed, 0.95),
          peers: { alone: quantile(alone, 0.95) },
        },
        { ratio: 0.5 },
      ),
      row(
        {
          ...base,
          size: '404-token prompt, 400 of them read before',
          metric: 'first token',
          ours: median(shared),
          peers: { 'first time': median(fresh) },
        },
        { ratio: 5 },
      ),
    ];
  } finally {
    await engine.stop();
  }
}

/** What is computed before a short prompt's first token: says on a busy machine, too, what long prompts beside it cost. */
export async function orderOfWork({ path, title, threads }: BenchModel, quick: boolean): Promise<Row[]> {
  let computed = 0;
  const model = await openLlama({
    path,
    revision: '',
    id: 'order',
    contextTokens: 1024,
    sequences: 8,
    gpu: false,
    threads,
    onBatch: ({ answers, promptTokens }) => (computed += answers + promptTokens),
  });
  const before = async (text: string, maxTokens: number): Promise<number> => {
    const sampling = { temperature: 0.7, topK: 50, topP: 0.9, repetitionPenalty: 1.1, seed: 7, stop: [] };
    const request = { tenant: '', prompt: { text }, overflow: 'Refuse', maxTokens, ...sampling } as const;
    const at = computed;
    const pieces = model.generate(request, new AbortController().signal);
    await pieces.next();
    const first = computed - at;
    while (!(await pieces.next()).done);
    return first;
  };
  try {
    let over = false;
    const long = async (client: number) => {
      for (let i = 0; !over; i++) await before(`${client}.${i} long`.padEnd(800, ' copy'), 16);
    };
    const clients = [0, 1].map(long);
    const beside: number[] = [];
    for (let i = 0; i < (quick ? 20 : 80); i++) {
      // Not in step with the batches.
      await pause((i * 7) % 40);
      beside.push(await before(`${i} short`.padEnd(40, ' copy'), 1));
    }
    over = true;
    await Promise.all(clients);
    return [
      row(
        {
          bench: 'copy',
          case: title,
          unit: 'tokens',
          better: 'lower',
          size: '40-token prompts beside 2 clients with 800-token prompts',
          metric: 'computed before the first token p95',
          ours: quantile(beside, 0.95),
          peers: { alone: 40 },
        },
        { ratio: 0.5 },
      ),
    ];
  } finally {
    await model.close();
  }
}

/** How long the only place stays taken by a prompt that is still read when its client goes. */
export async function placesOfThoseWhoLeave(model: BenchModel, quick: boolean): Promise<Row[]> {
  const engine = await serving(model, 1, 1024);
  const long = (name: string) => `${name} leaves`.padEnd(900, ' copy');
  try {
    await firstToken(engine, 'warm ');
    const whole = await firstToken(engine, long('first'));
    const waited: number[] = [];
    for (let i = 0; i < (quick ? 3 : 10); i++) {
      const client = new AbortController();
      const body = { prompt: long(`${i}`), max_tokens: 64, seed: 1, stream: true };
      const left = post(engine, '/v1/completions', body, true, client.signal).catch(() => undefined);
      await pause((whole * ((i % 5) + 1)) / 8);
      client.abort();
      waited.push(await firstToken(engine, `${i} next`));
      await left;
    }
    return [
      row(
        {
          bench: 'copy',
          case: model.title,
          unit: 'ms',
          better: 'lower',
          size: 'one place, clients that leave while 900 tokens are read',
          metric: 'first token of the next one, at the longest',
          ours: Math.max(...waited),
          peers: { 'had they stayed': whole },
        },
        { absolute: 1000 },
      ),
    ];
  } finally {
    await engine.stop();
  }
}

/** Milliseconds until the first piece of a stream, which is read to its end. */
async function firstToken(engine: Served, prompt: string, length = 1): Promise<number> {
  const began = performance.now();
  const body = { prompt, max_tokens: length, seed: 1, stream: true };
  const response = await post(engine, '/v1/completions', body, true);
  let first = 0;
  for await (const _ of response) first ||= performance.now() - began;
  return first;
}
