// Several replicas on one Redis: budgets hold over all of them, also when one is killed, and no answer crosses from tenant to tenant.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis, type TestRedis } from '@quintet/runtime/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bigramModel } from '../testing/gguf.ts';

const program = new URL('./fixtures/replica.ts', import.meta.url).pathname;
const tokens = { news: 'news-news-news-news-news', sport: 'sport-sport-sport-sport' };
const budget = 400;
/** Milliseconds that a dead replica holds what it had reserved. */
const lease = 1500;
let folder: string;
let redis: TestRedis;
let replicas: { process: ChildProcess; url: string }[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-replicas-'));
  for (const name of ['models', 'auth', 'redis']) mkdirSync(join(folder, name));
  bigramModel(join(folder, 'models/bigram.gguf'), 'the cat sat on the mat and ran to the hat\0'.repeat(8));
  for (const [tenant, token] of Object.entries(tokens)) writeFileSync(join(folder, 'auth', tenant), token);
  redis = await startRedis();
  writeFileSync(join(folder, 'redis/url'), redis.url);
  const config = {
    runtime: 'LlamaCpp',
    model: {
      source: { persistentVolumeClaim: { claimName: 'models', path: 'bigram.gguf' } },
      contextTokens: 256,
    },
    batching: { maxSize: 4 },
    auth: { secretRef: { name: 'tokens' }, directory: join(folder, 'auth') },
    cache: { redis: { secretRef: { name: 'redis' }, directory: join(folder, 'redis') } },
    tenants: Object.keys(tokens).map((name) => ({ name, tokensPerDay: budget })),
    server: { host: '127.0.0.1', port: 0, drainDelay: '0s' },
    logging: { level: 'silent' },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  replicas = await Promise.all([1, 2, 3].map(start));
}, 120_000);

afterAll(async () => {
  for (const replica of replicas ?? []) replica.process.kill('SIGKILL');
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start() {
  const env = { ...process.env, QUINTET_CONFIG: join(folder, 'config.json') };
  const child = fork(program, [folder, String(lease)], { execArgv: ['--conditions=source'], env });
  const [url] = (await once(child, 'message')) as [string];
  return { process: child, url };
}

interface Reply {
  status: number;
  source: string | null;
  tokens: number;
  text: string;
}

/** Undefined when the connection broke. */
async function ask(url: string, tenant: keyof typeof tokens, body: object): Promise<Reply | undefined> {
  try {
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens[tenant]}` },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as {
      usage?: { total_tokens: number };
      choices?: { text: string }[];
    };
    return {
      status: response.status,
      source: response.headers.get('x-quintet-source'),
      tokens: answer.usage?.total_tokens ?? 0,
      text: answer.choices?.[0]?.text ?? '',
    };
  } catch {
    return undefined;
  }
}

test('the same prompt of two tenants is made twice, that of one tenant once over all replicas', {
  timeout: 60_000,
}, async () => {
  const body = { prompt: 'the cat', max_tokens: 4, seed: 3 };
  const [first, second, third] = replicas.map(({ url }) => url) as [string, string, string];
  expect((await ask(first, 'sport', body))?.source).toBe('miss');
  expect((await ask(second, 'sport', body))?.source).toBe('redis');
  expect((await ask(first, 'news', body))?.source).toBe('miss');
  expect((await ask(third, 'news', body))?.source).toBe('redis');
});

test('200 requests at once over three replicas, one killed, never use more than the budget', {
  timeout: 120_000,
}, async () => {
  const answers = Array.from({ length: 200 }, (_, i) =>
    ask(replicas[i % 3]?.url ?? '', 'news', { prompt: `${i} the mat`, max_tokens: 4, seed: i }),
  );
  await Promise.race(answers);
  replicas[2]?.process.kill('SIGKILL');
  const replies = (await Promise.all(answers)).filter((reply) => reply !== undefined);
  const answered = replies.filter(({ status }) => status === 200);
  const used = answered.reduce((sum, { tokens: count }) => sum + count, 0);
  expect(answered.length).toBeGreaterThan(10);
  expect(used).toBeLessThanOrEqual(budget);
  // 503: Redis was too slow to tell, and what cannot be told is not spent.
  for (const { status } of replies) expect([200, 429, 503]).toContain(status);
  // Nothing is given out twice, nor is more than what the killed replica had not used when its reservations have lapsed.
  const left: Reply[] = [];
  for (let i = 0; i < 400; i++) {
    const reply = await ask(replicas[0]?.url ?? '', 'news', {
      prompt: 'a',
      max_tokens: 1,
      seed: 1000 + i,
    });
    if (reply) left.push(reply);
    if (reply?.status === 429) break;
  }
  const total = used + left.reduce((sum, { tokens: count }) => sum + count, 0);
  expect(left.at(-1)?.status).toBe(429);
  expect(total).toBeLessThanOrEqual(budget);
});

test('what a killed replica had reserved and not used comes back after its lease, and not before', {
  timeout: 60_000,
}, async () => {
  const [living, doomed] = replicas as [{ url: string }, { url: string; process: ChildProcess }];
  const long = { prompt: 'the cat', max_tokens: 240, temperature: 0, repetition_penalty: 1, stream: true };
  const response = await fetch(`${doomed.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens.sport}` },
    body: JSON.stringify(long),
  });
  await response.body?.getReader().read();
  doomed.process.kill('SIGKILL');
  const next = () => ask(living.url, 'sport', { prompt: 'the mat', max_tokens: 200, temperature: 0 });
  expect((await next())?.status).toBe(429);
  await expect.poll(async () => (await next())?.status, { timeout: 10 * lease }).toBe(200);
});
