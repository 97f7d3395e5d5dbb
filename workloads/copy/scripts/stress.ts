// Holds CopyEngine to what it promises under load: a verdict per check, exit code 1 when one is not met.
//   node --conditions=source workloads/copy/scripts/stress.ts [--minutes 30] [--only burst,slow,backend,redis,budget,steady]
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connectRedis } from '@quintet/runtime';
import { eventually, startPostgres, startRedis } from '@quintet/runtime/testing';
import pg from 'pg';
import { ask, type Known, learn, load, nothing, type Reply, type Seen, slowClients } from './clients.ts';
import { type Folder, makeFolder } from './replicas.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    only: { type: 'string', default: 'burst,slow,backend,redis,budget,steady' },
  },
});
const minutes = Number(values.minutes);
/** MiB; the model has eight, llama.cpp and Node the rest. */
const memoryLimit = 768;
const verdicts: boolean[] = [];

const checks: Record<string, (folder: Folder) => Promise<void>> = { burst, slow, backend, redis, budget, steady };
for (const name of values.only.split(',')) {
  const check = checks[name];
  if (!check) throw new Error(`there is no check ${name}; there are ${Object.keys(checks).join(', ')}`);
  const folder = makeFolder();
  try {
    await check(folder);
  } finally {
    await folder.remove();
  }
}
process.exit(verdicts.every(Boolean) ? 0 : 1);

function verdict(met: boolean, what: string, saw: string): void {
  verdicts.push(met);
  console.log(`${met ? 'met   ' : 'MISSED'}  ${what}: ${saw}`);
}

async function burst(folder: Folder): Promise<void> {
  const engine = await folder.engine();
  const known = await learn(engine.url, folder.model);
  const { url } = engine;
  const alone = await load({ url, known, seconds: 8 });
  const capacity = alone.answered / 8;
  const seen = await load({ url, known, seconds: 20, rate: 5 * capacity });
  const { most } = engine.memory();
  const kept = seen.answered / 20 / capacity;
  verdict(
    sound(seen) && seen.shed > 0 && most < memoryLimit,
    `five times the capacity of ${capacity.toFixed(0)} answers/s: answered or turned away with Retry-After, less than 1 % errors`,
    `${told(seen)}; ${(100 * kept).toFixed(0)} % of the capacity was answered, ${most} MiB`,
  );
  const after = await load({ url, known, seconds: 4, clients: 2 });
  verdict(sound(after) && after.shed === 0, 'after it all is as before', told(after));
}

async function slow(folder: Folder): Promise<void> {
  const engine = await folder.engine();
  const known = await learn(engine.url, folder.model);
  const release = await slowClients(engine.url, 64);
  const seen = await load({ url: engine.url, known, seconds: 15, clients: 4 });
  release();
  const { most } = engine.memory();
  verdict(
    sound(seen) && seen.answered > 0 && most < memoryLimit,
    'beside 64 clients that do not read, or do not end their request, others are answered',
    `${told(seen)}; ${most} MiB`,
  );
  const after = await load({ url: engine.url, known, seconds: 4, clients: 2 });
  verdict(sound(after) && after.shed === 0, 'their places are free again', told(after));
}

async function backend(folder: Folder): Promise<void> {
  const open = { auth: undefined };
  const backends = [await folder.engine(open), await folder.engine(open)];
  const endpoints = backends.map(({ url }, i) => ({ name: `backend-${i}`, url: `${url}/v1`, model: 'small' }));
  const gateway = await folder.engine({
    runtime: 'OpenAI',
    model: undefined,
    openai: { endpoints, fallbackDuringStream: 'Restart' },
  });
  const known = await learn(gateway.url, folder.model);
  const during = load({ url: gateway.url, known, seconds: 20, clients: 8 });
  await pause(4000);
  await backends[0]?.kill();
  await pause(6000);
  await backends[0]?.start();
  const seen = await during;
  verdict(sound(seen), 'one of two servers killed and started again: streams are begun anew elsewhere', told(seen));
  const { most } = gateway.memory();
  verdict(most < memoryLimit, `the gateway takes less than ${memoryLimit} MiB`, `${most} MiB`);
}

async function redis(folder: Folder): Promise<void> {
  const server = await startRedis();
  try {
    const cache = { redis: { secretRef: { name: 'redis' }, directory: folder.secret('redis', 'url', server.url) } };
    const engine = await folder.engine({ cache });
    const known = await learn(engine.url, folder.model);
    const during = load({ url: engine.url, known, seconds: 20, clients: 8, cached: 0.5 });
    await pause(4000);
    await server.kill();
    await pause(6000);
    await server.start();
    const seen = await during;
    verdict(sound(seen), 'Redis killed and started again: no wrong and no lost answer', told(seen));
  } finally {
    await server.stop();
  }
}

/** 200 requests at once over three replicas, of which two are killed and one comes back. */
async function budget(folder: Folder): Promise<void> {
  const tokensPerDay = 4000;
  const [server, postgres] = await Promise.all([startRedis(), startPostgres()]);
  const ledger = `${postgres.url}?options=${encodeURIComponent('-c search_path=ledger')}`;
  const client = new pg.Client(ledger);
  try {
    const document = {
      cache: { redis: { secretRef: { name: 'redis' }, directory: folder.secret('redis', 'url', server.url) } },
      budgets: { postgres: { secretRef: { name: 'pg' }, directory: folder.secret('postgres', 'url', ledger) } },
      tenants: [{ name: 'news', tokensPerDay }],
    };
    const replicas = [await folder.engine(document), await folder.engine(document), await folder.engine(document)];
    const known = new Map<string, Reply>();
    const asked = Array.from({ length: 200 }, async (_, i) => {
      const url = replicas[i % 3]?.url ?? '';
      const question = { tenant: 'news', prompt: `${i} of 200`, maxTokens: 24, user: `request ${i}` } as const;
      known.set(question.user, await ask(url, question));
    });
    const killing = (async () => {
      while (known.size < 10) await pause(5);
      await replicas[2]?.kill();
      await pause(300);
      await replicas[1]?.kill();
      await replicas[1]?.start();
    })();
    await Promise.all([...asked, killing]);
    // What the day still holds is spent to its end.
    for (let i = 0; i < 500; i++) {
      const question = { tenant: 'news', prompt: 'rest', maxTokens: 8, user: `rest ${i}` } as const;
      const reply = await ask(replicas[i % 2]?.url ?? '', question);
      known.set(question.user, reply);
      if (reply.status === 429) break;
    }
    await client.connect();
    // What was killed is given up for lost, and what it had reserved comes back when others need it.
    const rows = await eventually(async () => {
      const { rows: lines } = await client.query<Line>(
        'SELECT tag, state, prompt_tokens::int AS prompt, completion_tokens::int AS completion, reserved_tokens::int AS reserved FROM copy_ledger',
      );
      if (lines.some(({ state }) => state === 'Open')) throw new Error('lines are open');
      return lines;
    }, 60_000);
    await pause(3000);
    const last = { tenant: 'news', prompt: 'rest', maxTokens: 900, user: 'too much' } as const;
    for (let i = 0; i < 2; i++) await ask(replicas[i]?.url ?? '', last);
    const counted = await tokensIn(server.url, 'news');
    const used = rows.reduce((sum, { prompt, completion }) => sum + prompt + completion, 0);
    const states = Object.groupBy(rows, ({ state }) => state);
    const answered = [...known].filter(([, { status }]) => status === 200);
    const given = answered.reduce((sum, [, { tokens }]) => sum + tokens.prompt + tokens.completion, 0);
    const differing = answered.filter(([tag, { tokens }]) => {
      const lines = rows.filter((row) => row.tag === tag);
      const [line] = lines;
      return !(
        lines.length === 1 &&
        line?.state === 'Done' &&
        line.prompt === tokens.prompt &&
        line.completion === tokens.completion
      );
    });
    verdict(
      used <= tokensPerDay && given > tokensPerDay / 4,
      `a budget of ${tokensPerDay} tokens under 200 requests at once over three replicas, two of them killed`,
      `${answered.length} answers of ${given} tokens; the ledger has ${used}`,
    );
    const counts = Object.entries(states).map(([state, lines]) => `${lines?.length} ${state}`);
    verdict(
      differing.length === 0,
      "the ledger has each answer once, with the model's own counts",
      `${differing.length} differ; ${counts.join(', ')}`,
    );
    const lost = (states['Lost'] ?? []).reduce((sum, { reserved }) => sum + reserved, 0);
    verdict(
      counted >= used && counted - used <= lost,
      'Redis counts what the ledger does, and of what was killed between the two no more than it had reserved',
      `${counted} and ${used}; lost lines had reserved ${lost}`,
    );
  } finally {
    await client.end().catch(() => undefined);
    await Promise.all([server.stop(), postgres.stop()]);
  }
}

interface Line {
  tag: string;
  state: string;
  prompt: number;
  completion: number;
  reserved: number;
}

/** What Redis counts as used or held today. */
async function tokensIn(url: string, tenant: string): Promise<number> {
  const connection = connectRedis({ url });
  try {
    return await eventually(() =>
      connection.call(async (client) => {
        const [key = ''] = await client.keys(`*q:held:copy:d:*:${tenant}`);
        return Number(await client.hget(key, 'used'));
      }),
    );
  } finally {
    await connection.close();
  }
}

/** Mixed load in rounds of half a minute; resident memory after each, the first third left out as warming. */
async function steady(folder: Folder): Promise<void> {
  const server = await startRedis(['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru']);
  try {
    const engine = await folder.engine({
      cache: {
        memory: { maxEntries: 2000, maxSize: '32Mi' },
        redis: { secretRef: { name: 'redis' }, directory: folder.secret('redis', 'url', server.url) },
      },
    });
    const known: Known = await learn(engine.url, folder.model);
    const all = nothing();
    const samples: number[] = [];
    const seconds = Math.min(30, Math.max(5, minutes * 6));
    for (let i = 0; i * seconds < minutes * 60; i++) {
      const release = await slowClients(engine.url, 4);
      const [seen] = await Promise.all([
        load({ url: engine.url, known, seconds, clients: i % 4 === 3 ? 64 : 6, cached: 0.4 }),
        badRequests(engine.url),
        leaving(engine.url),
      ]);
      release();
      add(all, seen);
      samples.push(engine.memory().now);
    }
    verdict(
      sound(all),
      `${minutes} minutes of mixed load: less than 1 % errors, every answer its own prompt's`,
      told(all),
    );
    const settled = samples.slice(Math.floor(samples.length / 3));
    const half = Math.ceil(settled.length / 2);
    const [before, after] = [median(settled.slice(0, half)), median(settled.slice(-half))];
    verdict(
      after <= before * 1.1 + 16 && engine.memory().most < memoryLimit,
      'its memory is steady',
      `${before} → ${after} MiB (most ${engine.memory().most}); all: ${samples.join(' ')}`,
    );
  } finally {
    await server.stop();
  }
}

async function badRequests(url: string): Promise<void> {
  const headers = { 'content-type': 'application/json', authorization: 'Bearer news-news-news-news-news' };
  for (const body of ['{', '{"prompt":1}', '{"prompt":"a","n":-1}', `{"prompt":"${'a b '.repeat(500_000)}"}`]) {
    // A body beyond the limit may be cut off while it is still being sent.
    await fetch(`${url}/v1/completions`, { method: 'POST', headers, body }).then(
      (response) => response.text(),
      () => undefined,
    );
  }
}

/** Clients that go while their prompt is read, or in the middle of their stream. */
async function leaving(url: string): Promise<void> {
  const headers = { 'content-type': 'application/json', authorization: 'Bearer sport-sport-sport-sport' };
  for (let i = 0; i < 20; i++) {
    const body = JSON.stringify({ prompt: `${i} going `.padEnd(600, 'word '), max_tokens: 200, stream: true });
    const signal = AbortSignal.timeout(20 + 10 * i);
    await fetch(`${url}/v1/completions`, { method: 'POST', headers, body, signal }).then(
      (response) => response.text().catch(() => undefined),
      () => undefined,
    );
  }
}

/** Less than one in a hundred of what was not turned away failed, and nothing was answered wrongly. */
function sound({ answered, errors, wrong }: Seen): boolean {
  return answered > 0 && errorsIn(errors) < 0.01 * (answered + errorsIn(errors)) && wrong.length === 0;
}

function errorsIn(errors: Seen['errors']): number {
  return Object.values(errors).reduce((sum, count) => sum + count, 0);
}

function add(sum: Seen, seen: Seen): void {
  sum.answered += seen.answered;
  sum.shed += seen.shed;
  sum.wrong.push(...seen.wrong);
  sum.milliseconds.push(...seen.milliseconds);
  for (const [name, count] of Object.entries(seen.errors)) sum.errors[name] = (sum.errors[name] ?? 0) + count;
}

function told({ answered, shed, errors, wrong, milliseconds }: Seen): string {
  const failed = Object.entries(errors).map(([name, count]) => `, ${count} × ${name}`);
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor(share * sorted.length)] ?? 0).toFixed(0);
  const mistaken = wrong.length === 0 ? 'none wrong' : `WRONG: ${wrong.join(' | ')}`;
  return `${answered} answered, ${shed} turned away${failed.join('')}, ${mistaken}; p50 ${at(0.5)}, p99 ${at(0.99)} ms`;
}

function median(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? 0;
}
