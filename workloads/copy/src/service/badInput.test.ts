// What a service on the open network is sent: each wrong thing is answered in OpenAI's form with what is wrong, and the process goes on.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import type { Engine } from '@quintet/runtime';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { bigramModel } from '../testing/gguf.ts';
import { clientOf, onClaim, post, workplace } from './fixtures/workplace.ts';

const place = workplace();
const spec = { model: onClaim('bigram.gguf'), generation: { maxLength: 16 }, batching: { maxSize: 2 } };
const tokens = { alice: 'a-token-of-alice-1234', bob: 'a-token-of-bob-123456' };
let engine: Engine;
beforeAll(async () => {
  bigramModel(join(place.folder, 'claims/models/bigram.gguf'), 'the cat sat – on the mät.\0'.repeat(4));
  engine = await place.engineWith(spec);
  await engine.started;
});
afterAll(place.end);
afterEach(async () => {
  const { status } = await post(engine, '/v1/completions', { prompt: 'the', max_tokens: 2 });
  if (status !== 200) throw new Error(`the engine answered ${status} after this`);
});

test('other types of bodies and other paths are refused in the same form', async () => {
  const text = await post(engine, '/v1/completions', { prompt: 'the' }, { 'content-type': 'text/plain' });
  expect(text).toMatchObject({
    status: 415,
    body: { error: { code: 'UNSUPPORTED_MEDIA_TYPE', type: 'invalid_request_error' } },
  });
  expect(await post(engine, '/v1/embeddings', { input: 'the' })).toMatchObject({
    status: 404,
    body: { error: { code: 'NOT_FOUND', type: 'invalid_request_error', param: null } },
  });
});

/** The body as bytes, in the parts that are given. */
function postParts(parts: readonly Uint8Array[], path = '/v1/completions'): Promise<{ status: number; body: any }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
    const sent = httpRequest(`${engine.url}${path}`, { method: 'POST', headers }, (response) => {
      const pieces: Buffer[] = [];
      response
        .on('data', (piece: Buffer) => pieces.push(piece))
        .on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(pieces).toString()) as unknown });
        });
    });
    sent.on('error', reject);
    void (async () => {
      for (const part of parts) {
        sent.write(part);
        await new Promise((next) => setImmediate(next));
      }
      sent.end();
    })();
  });
}

test.each([
  ['temperature', { prompt: 'a', temperature: 2.5 }],
  ['temperature', { prompt: 'a', temperature: 'hot' }],
  ['top_p', { prompt: 'a', top_p: 0 }],
  ['top_k', { prompt: 'a', top_k: -1 }],
  ['repetition_penalty', { prompt: 'a', repetition_penalty: 0 }],
  ['max_tokens', { prompt: 'a', max_tokens: 0 }],
  ['n', { prompt: 'a', n: 65 }],
  ['stop', { prompt: 'a', stop: Array.from({ length: 9 }, () => 'x') }],
  ['seed', { prompt: 'a', seed: 1.5 }],
  ['prompt', {}],
  ['stream', { prompt: 'a', stream: 'yes' }],
  ['echo', { prompt: 'a', echo: true }],
  ['best_of', { prompt: 'a', best_of: 3 }],
  ['presence_penalty', { prompt: 'a', presence_penalty: 1 }],
  ['logit_bias', { prompt: 'a', logit_bias: { 5: 1 } }],
])('an invalid %s is refused by its name', async (name, body) => {
  const { status, body: answer } = await post(engine, '/v1/completions', body);
  expect({ status, ...answer }).toMatchObject({ status: 400, error: { type: 'invalid_request_error' } });
  expect(`${answer['error'].param} ${answer['error'].message}`).toContain(name);
});

test.each([
  ['no object', '[]'],
  ['cut', '{"prompt": "a'],
  ['empty', ''],
  ['nested without end', `{"prompt":${'['.repeat(5000)}${']'.repeat(5000)}}`],
  ['a prototype', '{"prompt":"a","__proto__":{"n":3}}'],
])('a body that is %s is refused', async (_, body) => {
  const { status, body: answer } = await post(engine, '/v1/completions', body);
  expect({ status, ...answer }).toMatchObject({ status: 400, error: { type: 'invalid_request_error' } });
});

test('a body beyond the limit is refused, also where it does not tell its length', async () => {
  const part = Buffer.alloc(256 << 10, 'a');
  const huge = [Buffer.from('{"prompt":"'), part, part, part, part, part, Buffer.from('"}')];
  expect(await postParts(huge)).toMatchObject({ status: 413, body: { error: { code: 'BODY_TOO_LARGE' } } });
});

test('characters may be cut anywhere between the parts of a body', async () => {
  const body = Buffer.from('{"prompt":"mät – 🏳️‍🌈 the ","max_tokens":3,"temperature":0}');
  const whole = await postParts([body]);
  expect(whole.status).toBe(200);
  const each = await postParts([...body].map((byte) => Uint8Array.of(byte)));
  expect(each.body.choices).toEqual(whole.body.choices);
  expect(each.body.usage.prompt_tokens).toBe(whole.body.usage.prompt_tokens);
});

test('bytes that are no UTF-8 are taken as replacement characters or refused, and come back as text', async () => {
  for (const broken of [[0xc3], [0xff, 0xfe], [0xed, 0xa0, 0x80], [0xf0, 0x9f]]) {
    const { status } = await postParts([
      Buffer.from('{"max_tokens":2,"prompt":"the '),
      Uint8Array.from(broken),
      Buffer.from('"}'),
    ]);
    expect([200, 400]).toContain(status);
  }
});

test('streamed pieces are whole characters, though each is several tokens', async () => {
  const stream = await clientOf(engine).completions.create({
    model: 'bigram',
    prompt: 'the cat sat ',
    max_tokens: 16,
    stream: true,
    temperature: 0,
  });
  let text = '';
  for await (const { choices } of stream) {
    expect(choices[0]?.text).not.toContain('\uFFFD');
    text += choices[0]?.text ?? '';
  }
  expect(text).toMatch(/–|ä/);
});

test('a prompt beyond the context is refused with its length, or cut where the resource says so', async () => {
  const long = 'the cat sat on the mat. '.repeat(60);
  expect(await post(engine, '/v1/completions', { prompt: long })).toMatchObject({
    status: 400,
    body: { error: { param: 'prompt', message: expect.stringMatching(/1440 tokens/) } },
  });
  const messages = [{ role: 'user', content: long }];
  expect(await post(engine, '/v1/chat/completions', { messages })).toMatchObject({
    status: 400,
    body: { error: { param: 'messages' } },
  });
  const cutting = await place.engineWith({ ...spec, generation: { maxLength: 16, overflow: 'Truncate' } });
  await cutting.started;
  const cut = await post(cutting, '/v1/completions', { prompt: long, max_tokens: 8 });
  expect(cut).toMatchObject({ status: 200, body: { usage: { prompt_tokens: 1024 - 8 } } });
  expect((await post(cutting, '/v1/chat/completions', { messages, max_tokens: 8 })).status).toBe(200);
});

test('a model that is not served is told with the one that is', async () => {
  await expect(clientOf(engine).completions.create({ model: 'gpt-x', prompt: 'a' })).rejects.toMatchObject({
    constructor: OpenAI.NotFoundError,
    param: 'model',
    message: expect.stringContaining('served is bigram'),
  });
});

test('without a valid token nothing is answered; who floods is blocked, and others are not', async () => {
  const directory = join(place.folder, 'tokens');
  mkdirSync(directory);
  for (const [name, token] of Object.entries(tokens)) writeFileSync(join(directory, name), token);
  const guarded = await place.engineWith({
    ...spec,
    auth: { directory },
    rateLimits: { perClient: { requests: 5, window: '1m', blockFor: '1m' } },
  });
  await guarded.started;
  for (const key of ['', 'a-token-of-nobody-at-all', `${tokens.alice}x`])
    await expect(clientOf(guarded, key || 'none').models.list()).rejects.toMatchObject({
      constructor: OpenAI.AuthenticationError,
      type: 'authentication_error',
    });
  const ask = (key: string) =>
    post(guarded, '/v1/completions', { prompt: 'the', max_tokens: 1 }, { authorization: `Bearer ${key}` });
  const flood = await Promise.all(Array.from({ length: 12 }, () => ask(tokens.alice)));
  const refused = flood.filter(({ status }) => status === 429);
  expect(refused).toHaveLength(7);
  for (const { headers, body } of refused) {
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(body['error'].type).toBe('rate_limit_error');
  }
  expect((await ask(tokens.alice)).body['error']).toMatchObject({ code: 'CLIENT_BLOCKED' });
  expect((await ask(tokens.bob)).status).toBe(200);
});

test('a model that is cut off anywhere, or full of garbage, is refused or served, and the process lives', async () => {
  const path = join(place.folder, 'claims/models/changed.gguf');
  const whole = readFileSync(join(place.folder, 'claims/models/bigram.gguf'));
  const changed = await place.engineWith({ ...spec, model: onClaim('changed.gguf') });
  const ready = () => fetch(`${changed.url}/readyz`).then((response) => response.text());
  for (const share of [0.001, 0.05, 0.5, 0.999]) {
    writeFileSync(path, whole.subarray(0, Math.floor(whole.length * share)));
    await expect.poll(ready).toMatch(/changed\.gguf.*(damaged|cannot load)/s);
  }
  expect((await fetch(`${changed.url}/healthz`)).status).toBe(200);
  writeFileSync(path, whole);
  await expect.poll(ready).toMatch(/"ready"|ok/i);
}, 60_000);
