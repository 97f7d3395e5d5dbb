// The service: answers, originals, jobs, changed texts, refusals, and Redis that goes away.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startEngine } from '@quintet/runtime';
import { eventually, startRedis } from '@quintet/runtime/testing';
import { expect, test } from 'vitest';
import { compressionClient } from '../client.ts';
import { textOfSpans } from '../render.ts';
import { compressionService } from './engine.ts';
import { directory, engines, long, plain, replica, shareOneService } from './fixtures/replicas.ts';

shareOneService();

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

test('makes likely next requests ahead, and tells how often that came true', async () => {
  const { client, engine } = await replica({ cache: { prefetch: 'Enabled', memory: { maxEntries: 2 } } }, false);
  const ask = async (name: string) => (await client().compress({ text: `${name}. ${long.slice(0, 500)}` })).source;
  const told = async (what: string) =>
    new RegExp(`^quintet_${what}.*\\} (.*)$`, 'm').exec(
      await (await fetch(new URL('/metrics', engine.url))).text(),
    )?.[1];
  for (let round = 0; round < 6; round++) for (const name of ['first', 'second', 'third']) await ask(name);
  expect([await told('prefetch_precision'), await told('prefetch_active')]).toEqual(['1', '1']);
  // Memory has room for two: the third and the first have put the second out of it.
  let patience = 50;
  await eventually(async () => {
    for (const name of ['third', 'first']) await ask(name);
    await new Promise((resolve) => setTimeout(resolve, (patience *= 2)));
    expect(await ask('second')).toBe('memory');
  });
});

test('who reads the text alone can have back what a marker stands for', async () => {
  const { client } = plain;
  const { text = '', original, rate } = await client().compress({ text: long, ratio: 8, markers: 'addressed' });
  expect(rate?.met).toBe(true);
  const pieces = text.split(/(…\[\d+-\d+\]\s?)/);
  const whole = await Promise.all(
    pieces.map(async (piece) => {
      const [, start, end] = /^…\[(\d+)-(\d+)\]/.exec(piece) ?? [];
      return end ? client().original(original?.id ?? '', { start: Number(start), end: Number(end) }) : piece;
    }),
  );
  expect(pieces.length).toBeGreaterThan(4);
  expect(whole.join('')).toBe(long);
});

test('keeps no original where they are dropped, and says so to who names one', async () => {
  const { client } = await replica({ originals: { mode: 'Dropped' } }, false);
  expect((await client().compress({ text: long, ratio: 8 })).original).toBeUndefined();
  const request = { text: long, ratio: 8, baseId: '0'.repeat(32) };
  await expect(client().compress(request)).rejects.toMatchObject({
    status: 400,
    field: 'baseId',
    message: expect.stringContaining('originals are not kept here'),
  });
  const addressed = client().compress({ text: long, ratio: 8, markers: 'addressed' });
  await expect(addressed).rejects.toMatchObject({ status: 400, field: 'markers' });
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
