// Several replicas on one Redis and one PostgreSQL: budgets of tokens and money hold over all of them, also when one is killed, the ledger has what Redis
// counted, and no answer crosses from tenant to tenant.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectRedis } from '@quintet/runtime';
import { startPostgres, startRedis, type TestPostgres, type TestRedis } from '@quintet/runtime/testing';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bigramModel } from '../testing/gguf.ts';

const program = new URL('./fixtures/replica.ts', import.meta.url).pathname;
const tokens = {
  news: 'news-news-news-news-news',
  sport: 'sport-sport-sport-sport',
  mail: 'mail-mail-mail-mail-mail',
};
const budget = 400;
/** Millionths of the currency that `mail` may spend: far fewer than its tokens would cost. */
const money = 1500;
/** Milliseconds that a dead replica holds what it had reserved; a living one tells of itself six times in it, of which a busy machine may lose some. */
const lease = 4000;
let folder: string;
let redis: TestRedis;
let postgres: TestPostgres;
let replicas: { process: ChildProcess; url: string }[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-replicas-'));
  for (const name of ['models', 'auth', 'redis', 'postgres']) mkdirSync(join(folder, name));
  bigramModel(join(folder, 'models/bigram.gguf'), 'the cat sat on the mat and ran to the hat\0'.repeat(8));
  for (const [tenant, token] of Object.entries(tokens)) writeFileSync(join(folder, 'auth', tenant), token);
  [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  writeFileSync(join(folder, 'redis/url'), redis.url);
  writeFileSync(join(folder, 'postgres/url'), postgres.url);
  const config = {
    runtime: 'LlamaCpp',
    model: {
      source: { persistentVolumeClaim: { claimName: 'models', path: 'bigram.gguf' } },
      contextTokens: 256,
    },
    batching: { maxSize: 4 },
    auth: { secretRef: { name: 'tokens' }, directory: join(folder, 'auth') },
    cache: { redis: { secretRef: { name: 'redis' }, directory: join(folder, 'redis') } },
    tenants: Object.keys(tokens).map((name) => ({ name, tokensPerDay: name === 'mail' ? 100_000 : budget })),
    budgets: {
      postgres: { secretRef: { name: 'ledger' }, directory: join(folder, 'postgres') },
      prices: [{ name: 'bigram', inputPerMillion: '2', outputPerMillion: '10' }],
      keys: [{ name: 'mail', costPerDay: String(money / 1e6) }],
    },
    server: { host: '127.0.0.1', port: 0, drainDelay: '0s' },
    logging: { level: 'silent' },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  replicas = await Promise.all([1, 2, 3].map(start));
}, 120_000);

afterAll(async () => {
  for (const replica of replicas ?? []) replica.process.kill('SIGKILL');
  await Promise.all([redis?.stop(), postgres?.stop()]);
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
  error: string;
}

/** As clients do where a replica says when to come again: Redis was too slow to tell, and what cannot be told is not spent. */
async function askPatiently(url: string, tenant: keyof typeof tokens, body: object): Promise<Reply | undefined> {
  for (let left = 50; ; left--) {
    const reply = await ask(url, tenant, body);
    if (reply?.status !== 503 || left === 0) return reply;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What Redis counts as used or held today. */
async function usedIn(quota: 'copy' | 'copy-money', tenant: keyof typeof tokens): Promise<number> {
  const connection = connectRedis({ url: redis.url, commandTimeout: 5000 });
  try {
    await expect.poll(() => connection.connected).toBe(true);
    return await connection.call(async (client) => {
      const [key = ''] = await client.keys(`*q:held:${quota}:d:*:${tenant}`);
      return Number(await client.hget(key, 'used'));
    });
  } finally {
    await connection.close();
  }
}

interface Line {
  tag: string;
  state: string;
  tokens: number;
  reserved: number;
  /** Millionths. */
  cost: number;
}

async function ledgerOf(tenant: keyof typeof tokens): Promise<Line[]> {
  const client = new pg.Client(postgres.url);
  await client.connect();
  try {
    const { rows } = await client.query<Line>(
      `SELECT tag, state, (prompt_tokens + completion_tokens)::int AS tokens, reserved_tokens::int AS reserved, (cost * 1000000)::int AS cost
       FROM copy_ledger WHERE tenant = $1 AND state <> 'Cached'`,
      [tenant],
    );
    return rows;
  } finally {
    await client.end();
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

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
      error?: { message: string };
    };
    return {
      status: response.status,
      source: response.headers.get('x-quintet-source'),
      tokens: answer.usage?.total_tokens ?? 0,
      text: answer.choices?.[0]?.text ?? '',
      error: answer.error?.message ?? '',
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

test('200 requests at once over three replicas never spend more money than there is, and the ledger is what Redis counted', {
  timeout: 120_000,
}, async () => {
  const asked = Array.from({ length: 200 }, (_, i) =>
    askPatiently(replicas[i % 3]?.url ?? '', 'mail', { prompt: `${i} the mat`, max_tokens: 4, seed: i, user: `${i}` }),
  );
  const replies = await Promise.all(asked);
  for (const reply of replies) expect([200, 429]).toContain(reply?.status);
  expect(replies.map((reply) => reply?.error)).toContainEqual(expect.stringMatching(/millionths of USD per day/));
  const lines = await ledgerOf('mail');
  expect(new Set(lines.map(({ state }) => state))).toEqual(new Set(['Done']));
  // Each answer once, with the tokens that it was told to have.
  const counts = (of: { tag: string; tokens: number }[]) => Object.fromEntries(of.map((one) => [one.tag, one.tokens]));
  const answered = replies.flatMap((reply, i) => (reply?.status === 200 ? [{ ...reply, tag: `${i}` }] : []));
  expect(lines).toHaveLength(answered.length);
  expect(counts(lines)).toEqual(counts(answered));
  const cost = sum(lines.map((line) => line.cost));
  expect(cost).toBeGreaterThan(money / 2);
  expect(cost).toBeLessThanOrEqual(money);
  // What a replica gives back that could not be told at once is told within the lease.
  await expect
    .poll(async () => [await usedIn('copy-money', 'mail'), await usedIn('copy', 'mail')], { timeout: 10 * lease })
    .toEqual([cost, sum(lines.map((line) => line.tokens))]);
});

test('200 requests at once over three replicas, one killed, never use more than the budget', {
  timeout: 120_000,
}, async () => {
  const answers = Array.from({ length: 200 }, (_, i) =>
    askPatiently(replicas[i % 3]?.url ?? '', 'news', { prompt: `${i} the mat`, max_tokens: 4, seed: i, user: `${i}` }),
  );
  await Promise.race(answers);
  replicas[2]?.process.kill('SIGKILL');
  const replies = (await Promise.all(answers)).flatMap((reply, i) => (reply ? [{ ...reply, tag: `${i}` }] : []));
  const answered = replies.filter(({ status }) => status === 200);
  const used = sum(answered.map((reply) => reply.tokens));
  expect(answered.length).toBeGreaterThan(10);
  expect(used).toBeLessThanOrEqual(budget);
  for (const { status } of replies) expect([200, 429]).toContain(status);
  // Nothing is given out twice, nor is more than what the killed replica had not used when its reservations have lapsed.
  const left: Reply[] = [];
  for (let i = 0; i < 400; i++) {
    const reply = await askPatiently(replicas[0]?.url ?? '', 'news', {
      prompt: 'a',
      max_tokens: 1,
      seed: 1000 + i,
    });
    if (reply) left.push(reply);
    if (reply?.status === 429) break;
  }
  const total = used + sum(left.map((reply) => reply.tokens));
  expect(left.at(-1)?.status).toBe(429);
  expect(total).toBeLessThanOrEqual(budget);
  // No line is open for long, and each answer has its own with the tokens that the client was told.
  await expect
    .poll(async () => (await ledgerOf('news')).filter(({ state }) => state === 'Open'), { timeout: 10 * lease })
    .toEqual([]);
  const lines = await ledgerOf('news');
  for (const { tag, tokens: count } of answered)
    expect(lines.filter((line) => line.tag === tag)).toMatchObject([{ state: 'Done', tokens: count }]);
  // Redis counts what the ledger does, and of what was killed between the two no more than it had reserved; what lapsed comes back when it is needed.
  const lost = sum(lines.filter(({ state }) => state === 'Lost').map((line) => line.reserved));
  const counted = sum(lines.map((line) => line.tokens));
  const tooMuch = { prompt: 'a', max_tokens: 200, temperature: 0 };
  await expect
    .poll(
      async () => {
        expect((await askPatiently(replicas[0]?.url ?? '', 'news', tooMuch))?.status).toBe(429);
        const differs = (await usedIn('copy', 'news')) - counted;
        return differs >= 0 && differs <= lost;
      },
      { timeout: 10 * lease },
    )
    .toBe(true);
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
  const next = () => askPatiently(living.url, 'sport', { prompt: 'the mat', max_tokens: 200, temperature: 0 });
  expect((await next())?.status).toBe(429);
  await expect.poll(async () => (await next())?.status, { timeout: 10 * lease }).toBe(200);
});
