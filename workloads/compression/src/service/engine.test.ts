import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, startEngine } from '@quintet/runtime';
import { eventually, startRedis, type TestRedis } from '@quintet/runtime/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { compressionClient } from '../client.ts';
import { textOfSpans } from '../render.ts';
import { compressionService } from './engine.ts';

let redis: TestRedis;
let directory: string;
let engines: Engine[] = [];
/** For tests that need no settings of their own: a start costs seconds, as each thread loads its tokenizer. */
let plain: Awaited<ReturnType<typeof replica>>;
const long = Array.from(
  { length: 400 },
  (_, i) => `Cabinet ${i} on floor ${i % 9} holds the files of case ${i * 31}.${i % 5 === 4 ? '\n\n' : ' '}`,
).join('');

beforeAll(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'quintet-compression-'));
  await mkdir(join(directory, 'tokens'));
  for (const tenant of ['news', 'sport'])
    await writeFile(join(directory, 'tokens', tenant), `${tenant}-token-0123456789`);
  plain = await replica({ rateLimits: { maxBodySize: '32Mi' } }, false);
  engines = [];
}, 180_000);
afterEach(async () => {
  await Promise.all(engines.map((engine) => engine.drain()));
  engines = [];
});
afterAll(async () => {
  await plain.engine.drain();
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

async function replica(document: object = {}, withRedis = true) {
  const configFile = join(directory, `${Math.random()}.json`);
  const server = { host: '127.0.0.1', port: 0, drainDelay: '0ms' };
  await writeFile(
    configFile,
    JSON.stringify({
      server,
      logging: { level: 'silent' },
      auth: { directory: join(directory, 'tokens') },
      ...document,
    }),
  );
  const engine = await startEngine(compressionService(), {
    configFile,
    env: withRedis ? { QUINTET_REDIS_URL: redis.url } : {},
  });
  engines.push(engine);
  await engine.started;
  const client = (tenant = 'news') =>
    compressionClient({ url: engine.url, token: `${tenant}-token-0123456789`, retries: 0 });
  const post = (path: string, body: unknown) =>
    fetch(new URL(path, engine.url), {
      method: 'POST',
      headers: { authorization: 'Bearer news-token-0123456789', 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  return { engine, client, post };
}

describe('the service', { timeout: 60_000 }, () => {
  test('answers with text, exact counts, analysis, fidelity and spans that tile the source', async () => {
    const { client } = await replica();
    const answer = await client().compress({ text: long, ratio: 8, query: 'Where are the files of case 3100?' });
    expect(answer.text).toContain('case 3100');
    expect(answer).toMatchObject({
      source: 'miss',
      strategy: 'extractive',
      rate: { met: true },
      analysis: { type: 'prose', language: 'en' },
    });
    expect(textOfSpans(long, answer.spans as never)).toBe(answer.text);
    const again = await client().compress({ text: long, ratio: 8, query: 'Where are the files of case 3100?' });
    expect(again).toEqual({ ...answer, source: 'memory' });
  });

  test('gives originals back byte for byte from another replica, and to no other tenant', async () => {
    const text = `${long}\ud800 lone`;
    const { id = '' } = (await (await replica()).client().compress({ text })).original ?? {};
    const other = await replica();
    expect(await other.client().original(id)).toBe(text);
    expect(await other.client().original(id, { start: 5, end: 40 })).toBe(text.slice(5, 40));
    await expect(other.client('sport').original(id)).rejects.toMatchObject({ status: 404, code: 'NOT_FOUND' });
  });

  test('does jobs of any replica on any replica, and keeps them from other tenants', async () => {
    const [one, two] = [await replica(), await replica()];
    const answers = await Promise.all(
      [1, 2, 3, 4].map((i) => (i % 2 ? one : two).client().compressAsync({ text: `${i}. ${long}`, priority: 'High' })),
    );
    expect(answers.map((answer) => answer.rate?.met)).toEqual([true, true, true, true]);
    const response = await one.post('/v1/jobs', { text: long });
    const { id } = (await response.json()) as { id: string };
    expect(response.status).toBe(202);
    const read = (tenant: string) =>
      fetch(new URL(`/v1/jobs/${id}`, two.engine.url), {
        headers: { authorization: `Bearer ${tenant}-token-0123456789` },
      });
    expect((await read('sport')).status).toBe(404);
    await eventually(async () => expect(await (await read('news')).json()).toMatchObject({ status: 'Succeeded' }));
  });

  test('fails one item of a batch without the others', async () => {
    const { client } = plain;
    const items = await client().compressBatch([{ text: long }, { text: long, strategy: 'magic' }]);
    expect(items[0]).toMatchObject({ rate: { met: true } });
    expect(items[1]).toMatchObject({ error: { code: 'INVALID_REQUEST', field: 'strategy' } });
  });

  test('takes a batch and a long text that have more parts than the queue has places', async () => {
    const { client } = plain;
    const items = await client().compressBatch(
      Array.from({ length: 256 }, (_, i) => ({ text: `${i}. ${long.slice(0, 1500)}` })),
    );
    expect(items.filter((item) => 'error' in item)).toEqual([]);
    const { original } = await client().compress({ text: long });
    const text = Array.from({ length: 30 }, (_, i) => long.replaceAll('Cabinet', `Shelf ${i}`)).join('');
    const answer = await client().compress({ text, ratio: 8, baseId: original?.id ?? '' });
    expect(answer.incremental?.parts).toBeGreaterThan(20);
  });

  test('compresses only what changed of a text it has seen', async () => {
    const { client } = plain;
    const text = Array.from({ length: 10 }, (_, i) => long.replaceAll('Cabinet', `Shelf ${i}`)).join('');
    const first = await client().compress({ text, ratio: 8 });
    const baseId = first.original?.id ?? '';
    const again = await client().compress({ text, ratio: 8, baseId });
    const changed = await client().compress({ text: text.replace('Shelf 5 200', 'Shelf 5 2000'), ratio: 8, baseId });
    expect(again.incremental?.parts).toBeGreaterThan(5);
    expect(changed.incremental?.reused).toBe((changed.incremental?.parts ?? 0) - 1);
    await expect(client('sport').compress({ text, baseId })).rejects.toMatchObject({ status: 404 });
  });

  test('keeps the compressed start of a dialogue byte for byte', async () => {
    const { client } = await replica({ conversations: { keepLast: 1, protectedRoles: ['System'] } }, false);
    const messages = [
      { role: 'system' as const, content: long },
      ...Array.from({ length: 8 }, (_, i) => ({ role: 'assistant' as const, content: `${i}. ${long}` })),
    ];
    const earlier = await client().compress({ messages: messages.slice(0, 6) });
    const later = await client().compress({ messages });
    expect(earlier.stable).toBeGreaterThan(0);
    expect(later.messages?.slice(0, earlier.stable)).toEqual(earlier.messages?.slice(0, earlier.stable));
    expect(later.messages?.[0]?.content).toBe(long);
    expect(later.ratio).toBeGreaterThan(1.5);
    expect(later.rate).toMatchObject({
      requested: 8,
      reached: later.ratio,
      reason: expect.stringContaining('kept by'),
    });
  });

  test('returns the text unchanged with the reason when the deadline passes', async () => {
    const { client } = await replica(
      { compression: { maxInputTokens: 1_000_000 }, rateLimits: { maxBodySize: '16Mi' } },
      false,
    );
    const text = long.repeat(60);
    const answer = await client().compress({ text, ratio: 8, deadlineMs: 1 });
    expect(answer).toMatchObject({ text, ratio: 1, unchanged: 'the deadline of 1 ms passed' });
  });

  test('a deadline is of its caller alone, whoever began the work', async () => {
    const { client } = await replica(
      { compression: { maxInputTokens: 1_000_000 }, rateLimits: { maxBodySize: '16Mi' } },
      false,
    );
    for (const [turn, order] of [
      ['first', [2, undefined]],
      ['second', [undefined, 2]],
    ] as const) {
      const text = `${turn}. ${long.repeat(20)}`;
      const [a, b] = order.map((deadlineMs) =>
        client().compress({ text, ratio: 8, ...(deadlineMs && { deadlineMs }) }),
      );
      const [late, patient] = order[0] === undefined ? [await b, await a] : [await a, await b];
      expect(late).toMatchObject({ text, unchanged: 'the deadline of 2 ms passed' });
      expect(patient?.unchanged).toBeUndefined();
      expect(patient?.rate?.met).toBe(true);
    }
  });

  test('what threads were called off from, they are ready again for', async () => {
    const { client } = await replica({ compression: { latencyBudget: '3s' } }, false);
    const hasty = Array.from({ length: 6 }, (_, i) =>
      client().compress({ text: `${i}. ${long.repeat(8)}`, ratio: 8, deadlineMs: 1 }),
    );
    expect((await Promise.all(hasty)).map(({ ratio }) => ratio)).toEqual([1, 1, 1, 1, 1, 1]);
    expect((await client().compress({ text: `Then. ${long}`, ratio: 8 })).unchanged).toBeUndefined();
  });

  test('gives back what was left out of messages, and does them once', async () => {
    const { client } = await replica({ conversations: { keepLast: 1, policies: [{ tag: 'bulk', ratio: 4 }] } }, false);
    const messages = [
      { role: 'system' as const, content: `Rules. ${long}`, tags: ['bulk'] },
      ...Array.from({ length: 4 }, (_, i) => ({
        role: 'assistant' as const,
        content: `${i}. ${long}`,
        tags: ['bulk'],
      })),
    ];
    const answer = await client().compress({ messages, strategy: 'hierarchical' });
    expect(answer.messages?.[0]?.content).toBe(messages[0]?.content);
    expect(answer.compressed?.map(({ message }) => message)).toEqual([1, 2, 3]);
    for (const { message, original, spans, strategy } of answer.compressed ?? []) {
      expect(strategy).toBe('hierarchical');
      const source = messages[message]?.content ?? '';
      expect(await client().original(original?.id ?? '')).toBe(source);
      expect(textOfSpans(source, spans as never)).toBe(answer.messages?.[message]?.content);
    }
    const before = (await (await fetch(new URL('/metrics', engines.at(-1)?.url))).text()).match(
      /tokens_total.*"in".*/,
    )?.[0];
    await client().compress({ messages, strategy: 'hierarchical' });
    const after = (await (await fetch(new URL('/metrics', engines.at(-1)?.url))).text()).match(
      /tokens_total.*"in".*/,
    )?.[0];
    expect(after).toBe(before);
    for (const [field, value] of Object.entries({
      targetTokens: 10,
      query: 'what?',
      protect: [{ start: 0, end: 1 }],
      fidelity: true,
      baseId: '0'.repeat(32),
    }))
      await expect(client().compress({ messages, [field]: value })).rejects.toMatchObject({ status: 400, field });
  });

  test('names the field of what it refuses', async () => {
    const { post } = await replica({ compression: { maxInputTokens: 500 } }, false);
    const refusal = async (body: unknown) =>
      ((await (await post('/v1/compress', body)).json()) as { error: { code: string; field: string } }).error;
    expect(await refusal({})).toMatchObject({ code: 'INVALID_REQUEST', field: 'text' });
    expect(await refusal({ text: 'a', ratio: 0.5 })).toMatchObject({ code: 'INVALID_REQUEST', field: 'ratio' });
    expect(await refusal({ text: 'a', ratio: 50 })).toMatchObject({ field: 'ratio' });
    expect(await refusal({ text: long })).toMatchObject({ code: 'INVALID_REQUEST', field: 'text' });
    expect(await refusal({ text: 'a', strategy: 'model' })).toBeUndefined();
    expect(await refusal('{"text":')).toMatchObject({ code: 'MALFORMED_BODY' });
    expect(await refusal({ text: long.slice(0, 1000), strategy: 'Nope' })).toMatchObject({
      code: 'INVALID_REQUEST',
      field: 'strategy',
      message: expect.stringMatching(/there is no strategy "nope"; there are auto, .*extractive/),
      fix: expect.any(String),
    });
  });

  test('gives parts of an original, and refuses those that begin beyond its end', async () => {
    const { client } = await replica({}, false);
    const id = (await client().compress({ text: long })).original?.id ?? '';
    const part = async (query: string) => {
      const headers = { authorization: 'Bearer news-token-0123456789' };
      const response = await fetch(new URL(`/v1/originals/${id}?${query}`, engines.at(-1)?.url), { headers });
      return [response.status, await response.json()];
    };
    expect(await part('start=4&end=11')).toEqual([200, { text: long.slice(4, 11) }]);
    expect(await part(`start=${long.length - 3}&end=${long.length + 9}`)).toEqual([200, { text: long.slice(-3) }]);
    for (const query of ['start=54&end=11', `start=${long.length + 1}`])
      expect(await part(query)).toMatchObject([400, { error: { field: 'start' } }]);
  });

  test('takes chunks without a start, and closes a stream by whose fault its end was', async () => {
    const said = async (...messages: readonly string[]) => {
      const { socket, parts, closed } = await openStream(plain.engine.url);
      for (const message of messages) socket.send(message);
      return { last: (await closed).code, parts };
    };
    const chunk = JSON.stringify({ type: 'chunk', text: long.slice(0, 2000) });
    const end = JSON.stringify({ type: 'end' });
    const { last, parts } = await said(chunk, end);
    expect([last, parts.map(({ type }) => type)]).toEqual([1000, ['part', 'done']]);
    expect(await said('{"type":')).toMatchObject({ last: 1007, parts: [{ type: 'error' }] });
    expect(await said('{"type":"begin"}')).toMatchObject({ last: 1008, parts: [{ type: 'error' }] });
    const unknown = JSON.stringify({ type: 'start', strategy: 'nope' });
    expect(await said(unknown, chunk, end)).toMatchObject({ last: 1008, parts: [{ type: 'error' }] });
  });

  test('streams compressed parts that tile what was sent', async () => {
    const { engine } = plain;
    const parts = await stream(engine.url, [long.slice(0, 7000), long.slice(7000, 15_000), long.slice(15_000)]);
    expect(parts.at(-1)).toMatchObject({ type: 'done' });
    const bounds = parts.slice(0, -1).map(({ start, end }) => [start, end]);
    expect(bounds.length).toBeGreaterThan(2);
    expect(bounds.flat().filter((at, i, all) => i > 0 && i % 2 === 0 && at !== all[i - 1])).toEqual([]);
    expect([bounds[0]?.[0], bounds.at(-1)?.[1]]).toEqual([0, long.length]);
  });

  test('ends with streams open: parts under way come out, the client is told, and nothing waits for it', async () => {
    const { engine } = await replica(
      { server: { host: '127.0.0.1', port: 0, drainDelay: '0ms', drainTimeout: '20s' } },
      false,
    );
    const idle = await openStream(engine.url);
    const busy = await openStream(engine.url);
    busy.socket.send(JSON.stringify({ type: 'start', ratio: 8 }));
    busy.socket.send(JSON.stringify({ type: 'chunk', text: long }));
    await eventually(() => expect(busy.parts.length).toBeGreaterThan(0));
    await engine.drain();
    expect(await idle.closed).toMatchObject({ code: 1001 });
    expect(await busy.closed).toMatchObject({ code: 1001 });
  });

  test('streams a text without a line end in bounded parts, whose originals come back', async () => {
    const { engine, client } = plain;
    const text = 'ab '.repeat(40_000);
    const parts = await stream(engine.url, [text.slice(0, 70_000), text.slice(70_000)]);
    const [first] = parts;
    expect(parts.at(-1)).toMatchObject({ type: 'done' });
    expect(Math.max(...parts.slice(0, -1).map(({ start, end }) => end - start))).toBeLessThanOrEqual(24_000);
    expect(await client().original(first?.original?.id ?? '')).toBe(text.slice(0, first?.end));
    const refused = await stream(engine.url, [long], { strategy: 'frequency' });
    expect(refused.at(-1)).toMatchObject({ type: 'error', error: { field: 'strategy' } });
  });

  test('says the rate of a changed text, without legends that would collide', async () => {
    const { client } = plain;
    const line = (i: number): string => `Item ${i}: The quarterly supply agreement number ${i % 3} must never lapse.\n`;
    const text = Array.from({ length: 900 }, (_, i) => line(i)).join('');
    const { original } = await client().compress({ text, ratio: 2 });
    const answer = await client().compress({ text: `${text}More.`, ratio: 2, baseId: original?.id ?? '' });
    expect(answer).toMatchObject({ rate: { met: true }, fidelity: { score: expect.any(Number) as number } });
    expect(answer.text).not.toContain('§');
    expect(textOfSpans(`${text}More.`, answer.spans as never)).toBe(answer.text);
  });

  test('refuses what is too much at once with Retry-After, and mixes no answers up', async () => {
    const { post } = await replica({ rateLimits: { maxConcurrent: 10 } }, false);
    const texts = Array.from({ length: 200 }, (_, i) => `Burst ${i}. ${long.slice(0, 4000)}`);
    const seen = await Promise.all(
      texts.map(async (text) => {
        const response = await post('/v1/compress', { text, ratio: 8 });
        const { spans = [], text: out } = (await response.json()) as { spans?: never[]; text?: string };
        const right = response.status === 200 ? textOfSpans(text, spans) === out : response.headers.has('retry-after');
        return right ? response.status : 0;
      }),
    );
    expect(new Set(seen)).toEqual(new Set([200, 429]));
    expect((await post('/v1/compress', { text: 'Calm again.', ratio: 2 })).status).toBe(200);
  });

  test('goes on without Redis: slower, not wrong', async () => {
    const own = await startRedis();
    const configFile = join(directory, 'lost.json');
    await writeFile(
      configFile,
      JSON.stringify({ server: { host: '127.0.0.1', port: 0, drainDelay: '0ms' }, logging: { level: 'silent' } }),
    );
    const engine = await startEngine(compressionService(), { configFile, env: { QUINTET_REDIS_URL: own.url } });
    engines.push(engine);
    await engine.started;
    const client = compressionClient({ url: engine.url, retries: 0 });
    const before = await client.compress({ text: long, ratio: 8 });
    await own.kill();
    const during = await client.compress({ text: `${long} `, ratio: 8 });
    expect(during.rate?.met).toBe(true);
    expect(during.original).toMatchObject({ durable: false });
    expect(await client.original(during.original?.id ?? '')).toBe(`${long} `);
    expect((await client.compress({ text: long, ratio: 8 })).text).toBe(before.text);
    await expect(client.compressAsync({ text: long })).rejects.toMatchObject({ status: 503 });
  });
});

interface Part {
  type: string;
  original?: { id: string };
  start: number;
  end: number;
}

interface OpenStream {
  socket: WebSocket;
  parts: Part[];
  closed: Promise<{ code: number }>;
}

function openStream(url: string): Promise<OpenStream> {
  return new Promise((resolve, reject) => {
    const parts: Part[] = [];
    const Socket = WebSocket as unknown as new (url: string, options: object) => WebSocket;
    const socket = new Socket(`${url.replace('http', 'ws')}/v1/stream`, {
      headers: { authorization: 'Bearer news-token-0123456789' },
    });
    const closed = new Promise<{ code: number }>((done) => socket.addEventListener('close', done));
    socket.addEventListener('message', ({ data }) => parts.push(JSON.parse(String(data)) as Part));
    socket.addEventListener('open', () => resolve({ socket, parts, closed }));
    socket.addEventListener('error', () => reject(new Error('the stream broke')));
  });
}

async function stream(url: string, chunks: readonly string[], start: object = { ratio: 8 }): Promise<Part[]> {
  const { socket, parts, closed } = await openStream(url);
  socket.send(JSON.stringify({ type: 'start', ...start }));
  for (const text of chunks) socket.send(JSON.stringify({ type: 'chunk', text }));
  socket.send(JSON.stringify({ type: 'end' }));
  await closed;
  return parts;
}
