// Money and the ledger, over HTTP with a real PostgreSQL that is also taken away.
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, type EngineContext, Registry, startEngine } from '@quintet/runtime';
import { startPostgres, type TestPostgres } from '@quintet/runtime/testing';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bigramModel } from '../testing/gguf.ts';
import { accounts } from './accounts.ts';
import type { CopyConfig } from './config.ts';
import { copyEngine } from './engine.ts';
import { type Ledger, type LedgerLine, openLedger } from './ledger.ts';

let folder: string;
let postgres: TestPostgres;
let engine: Engine;
/** A part of the database that is not there yet, as the controller names it. */
let ledgerUrl: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-accounts-'));
  for (const name of ['models', 'postgres']) mkdirSync(join(folder, name));
  bigramModel(join(folder, 'models/bigram.gguf'), 'the cat sat on the mat and ran to the hat\0'.repeat(8));
  postgres = await startPostgres();
  ledgerUrl = `${postgres.url}?options=${encodeURIComponent('-c search_path=copyengine_team_a')}`;
  writeFileSync(join(folder, 'postgres/url'), ledgerUrl);
  const configFile = join(folder, 'config.json');
  const config = {
    runtime: 'LlamaCpp',
    model: { source: { persistentVolumeClaim: { claimName: 'models', path: 'bigram.gguf' } }, contextTokens: 256 },
    batching: { maxSize: 2 },
    budgets: {
      postgres: { secretRef: { name: 'ledger' }, directory: join(folder, 'postgres') },
      prices: [{ name: 'bigram', inputPerMillion: '2', outputPerMillion: '10' }],
      currency: 'EUR',
      keys: [{ name: 'default', costPerDay: '0.002' }],
    },
    server: { host: '127.0.0.1', port: 0, drainDelay: '0s' },
    logging: { level: 'silent' },
  };
  writeFileSync(configFile, JSON.stringify(config));
  engine = await startEngine(copyEngine({ claims: folder, threads: 1 }), { configFile, env: {} });
  await engine.started;
}, 120_000);

afterAll(async () => {
  await engine?.drain();
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function ask(
  body: object,
): Promise<{ status: number; usage: { prompt: number; completion: number }; error: string }> {
  const response = await fetch(`${engine.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const { usage, error } = (await response.json()) as {
    usage?: { prompt_tokens: number; completion_tokens: number };
    error?: { message: string };
  };
  const counted = { prompt: usage?.prompt_tokens ?? 0, completion: usage?.completion_tokens ?? 0 };
  return { status: response.status, usage: counted, error: error?.message ?? '' };
}

async function lines(where: string) {
  const client = new pg.Client(ledgerUrl);
  await client.connect();
  try {
    const { rows } = await client.query(
      `SELECT tag, model, state, prompt_tokens::int AS prompt, completion_tokens::int AS completion, cost::float AS cost, currency
       FROM copy_ledger WHERE ${where} ORDER BY at`,
    );
    return rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

test('the ledger holds what was made, what came from the cache and what was broken off', {
  timeout: 60_000,
}, async () => {
  const body = { prompt: 'the cat', max_tokens: 4, seed: 1, user: 'spring' };
  const { usage } = await ask(body);
  await ask(body);
  const cost = (usage.prompt * 2 + usage.completion * 10) / 1_000_000;
  const base = { tag: 'spring', model: 'bigram', currency: 'EUR', ...usage };
  await expect
    .poll(() => lines("tag = 'spring'"))
    .toEqual([
      { ...base, state: 'Done', cost },
      { ...base, state: 'Cached', cost: 0 },
    ]);
  const control = new AbortController();
  const response = await fetch(`${engine.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'the cat', max_tokens: 120, seed: 2, stream: true, user: 'gone' }),
    signal: control.signal,
  });
  await response.body?.getReader().read();
  control.abort();
  await expect
    .poll(() => lines("tag = 'gone' AND state <> 'Open'"))
    .toEqual([expect.objectContaining({ state: 'Aborted', prompt: 7, completion: expect.any(Number) })]);
});

test('lines written while PostgreSQL is away come when it is back, and requests do not wait for it', {
  timeout: 60_000,
}, async () => {
  await postgres.kill();
  expect((await ask({ prompt: 'the hat', max_tokens: 2, seed: 1, user: 'away' })).status).toBe(200);
  await postgres.start();
  const found = () => lines("tag = 'away'").catch(() => []);
  await expect.poll(found, { timeout: 20_000 }).toEqual([expect.objectContaining({ state: 'Done', prompt: 7 })]);
});

test('money of a key is never spent beyond its day', { timeout: 60_000 }, async () => {
  const answers: Awaited<ReturnType<typeof ask>>[] = [];
  for (let round = 0; round < 5; round++) {
    const asked = Array.from({ length: 12 }, (_, i) => ask({ prompt: `${round}.${i} mats`, max_tokens: 4, seed: i }));
    answers.push(...(await Promise.all(asked)));
  }
  expect(new Set(answers.map(({ status }) => status))).toContain(429);
  expect(answers.find(({ status }) => status === 429)?.error).toMatch(/millionths of EUR per day/);
  const spent = (await lines('true')).reduce((sum, { cost }) => sum + Number(cost), 0);
  expect(spent).toBeGreaterThan(0.001);
  expect(spent).toBeLessThanOrEqual(0.002);
});

test('lines of a replica that died are closed with what it had told of them, those of others stay open', {
  timeout: 60_000,
}, async () => {
  const [living, dead] = [1, 2].map(() => openLedger(ledgerUrl, new Registry(), 600)) as [Ledger, Ledger];
  const line = (tag: string): LedgerLine => ({
    id: randomUUID(),
    at: new Date(),
    tenant: 'default',
    tag,
    model: 'bigram',
    state: 'Open',
    promptTokens: 0,
    completionTokens: 0,
    reservedTokens: 50,
    cost: 0,
    currency: 'EUR',
  });
  const begun = async (ledger: Ledger, one: LedgerLine) => {
    await ledger.write(one);
    ledger.renew(one.id, () => ({ promptTokens: 7, completionTokens: 3, cost: 0.000044 }));
    await expect.poll(() => lines(`tag = '${one.tag}'`)).toEqual([expect.objectContaining({ prompt: 7 })]);
  };
  const lost = line('lost');
  await begun(living, line('kept'));
  await begun(dead, lost);
  await dead.close();
  const closed = { state: 'Lost', prompt: 7, completion: 3, cost: 0.000044 };
  await expect.poll(() => lines("tag = 'lost'")).toEqual([expect.objectContaining(closed)]);
  expect(await lines("tag = 'kept'")).toEqual([expect.objectContaining({ state: 'Open', prompt: 7 })]);
  // It was only slow.
  await living.write({ ...lost, state: 'Done', promptTokens: 7, completionTokens: 9 });
  expect(await lines("tag = 'lost'")).toEqual([expect.objectContaining({ state: 'Done', completion: 9 })]);
  await living.close();
});

test('an adapter costs what its model does; a model whose name only begins like another has no price of that one', async () => {
  const written: LedgerLine[] = [];
  const ledger: Ledger = {
    write: async (line) => void written.push(line),
    renew: () => undefined,
    close: async () => undefined,
  };
  const context = {
    config: {
      budgets: { prices: [{ name: 'llama3', inputPerMillion: 1, outputPerMillion: 2 }], keys: [], currency: 'EUR' },
    },
    settings: { tenants: [] },
    registry: new Registry(),
  } as unknown as EngineContext<CopyConfig>;
  const costOf = async (model: string, adaptable: string | undefined) => {
    const used = { promptTokens: 1_000_000, completionTokens: 1_000_000 };
    const books = accounts(context, ledger, { lease: 1000, adaptable });
    const entry = { tenant: 'a', tag: '', model, promptTokens: 1_000_000, maxTokens: 1_000_000 };
    const account = await books.open(entry, used);
    await account.begin();
    await account.settle(used, 'Done');
    return written.at(-1)?.cost;
  };
  expect(await costOf('llama3', 'llama3')).toBe(3);
  expect(await costOf('llama3:acme', 'llama3')).toBe(3);
  expect(await costOf('llama3:70b', undefined)).toBe(0);
});
