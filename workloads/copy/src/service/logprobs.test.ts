// Chances of tokens by OpenAI's own client, whole and streamed, held against the probabilities that the model was made of.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Engine } from '@quintet/runtime';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bigramModel } from '../testing/gguf.ts';
import { clientOf, onClaim, post, workplace } from './fixtures/workplace.ts';

const place = workplace();
let table: Float64Array;
let engine: Engine;
let gateway: Engine;
beforeAll(async () => {
  const path = join(place.folder, 'claims/models/bigram.gguf');
  table = bigramModel(path, 'the cat sat on the mat. the hat is on the cat.\0'.repeat(4));
  const model = { ...onClaim('bigram.gguf'), chatTemplate: "{% for m in messages %}{{ m['content'] }}{% endfor %}" };
  // A gateway does not pass a penalty of none on.
  engine = await place.engineWith({ model, generation: { repetitionPenalty: '1' }, batching: { maxSize: 4 } });
  await engine.started;
  const endpoints = [{ name: 'up', url: `${engine.url}/v1`, model: 'bigram' }];
  gateway = await place.engineWith({ runtime: 'OpenAI', openai: { endpoints } });
  await gateway.started;
});
afterAll(place.end);

const fresh = { headers: { 'cache-control': 'no-store' } };
const greedy = { model: 'bigram', temperature: 0, repetition_penalty: 1, max_tokens: 6 };
/** What the model was made to say of the letter after another. */
const chanceOf = (previous: string, next: string) =>
  Math.log(table[previous.charCodeAt(0) * 257 + next.charCodeAt(0)] as number);

describe.each([
  ['in process', () => clientOf(engine)],
  ['behind another engine', () => clientOf(gateway)],
])('%s', (_, client) => {
  test('completions tell the chance of each token and the likeliest beside it', async () => {
    const body = { ...greedy, prompt: 'the', logprobs: 2 };
    const { choices } = await client().completions.create(body);
    const { text, logprobs } = choices[0] as OpenAI.CompletionChoice;
    expect(logprobs?.tokens?.join('')).toBe(text);
    expect(logprobs?.text_offset).toEqual([0, 1, 2, 3, 4, 5]);
    const before = `e${text}`;
    logprobs?.token_logprobs?.forEach((told, index) => {
      expect(told).toBeCloseTo(chanceOf(before[index] as string, text[index] as string), 3);
      const top = logprobs.top_logprobs?.[index] ?? {};
      expect(Object.keys(top)).toHaveLength(2);
      expect(Math.max(...Object.values(top))).toBe(told);
    });
    const stream = await client().completions.create({ ...body, stream: true }, fresh);
    const streamed: string[] = [];
    for await (const chunk of stream) streamed.push(...(chunk.choices[0]?.logprobs?.tokens ?? []));
    expect(streamed).toEqual(logprobs?.tokens);
  });

  test('conversations do, with the bytes of each token', async () => {
    const messages = [{ role: 'user' as const, content: 'the' }];
    const body = { ...greedy, messages, logprobs: true, top_logprobs: 1 };
    const { choices } = await client().chat.completions.create(body);
    const { message, logprobs } = choices[0] as OpenAI.ChatCompletion.Choice;
    expect(logprobs?.content?.map(({ token }) => token).join('')).toBe(message.content);
    for (const { token, logprob, bytes, top_logprobs: top } of logprobs?.content ?? []) {
      expect(bytes).toEqual([...Buffer.from(token)]);
      expect(top[0]).toMatchObject({ token, logprob });
    }
    const stream = await client().chat.completions.create({ ...body, stream: true }, fresh);
    const streamed: string[] = [];
    for await (const { choices: parts } of stream)
      streamed.push(...(parts[0]?.logprobs?.content?.map(({ token }) => token) ?? []));
    expect(streamed.join('')).toBe(message.content);
  });
});

test('chances are those of the distribution that is drawn from', async () => {
  const body = { ...greedy, prompt: 'the', temperature: 0.5, top_k: 3, top_p: 1, max_tokens: 1, seed: 3, logprobs: 5 };
  const { body: answer } = await post(engine, '/v1/completions', body);
  const [top] = answer['choices'][0].logprobs.top_logprobs as Record<string, number>[];
  const chances = Object.values(top ?? {});
  expect(chances).toHaveLength(3);
  expect(chances.reduce((sum, chance) => sum + Math.exp(chance), 0)).toBeCloseTo(1, 3);
});

test('a cached answer has them, an answer without them was asked for as another', async () => {
  const body = { ...greedy, prompt: 'the h' };
  const ask = (more: object) => post(engine, '/v1/completions', { ...body, ...more });
  expect((await ask({})).body['choices'][0].logprobs).toBeNull();
  const [first, second] = [await ask({ logprobs: 1 }), await ask({ logprobs: 1 })];
  expect([first.headers.get('x-quintet-source'), second.headers.get('x-quintet-source')]).toEqual(['miss', 'memory']);
  expect(second.body['choices']).toEqual(first.body['choices']);
});

test('what is asked for wrongly is named', async () => {
  const messages = [{ role: 'user', content: 'the' }];
  for (const [path, body, param] of [
    ['completions', { prompt: 'a', logprobs: 21 }, 'logprobs'],
    ['completions', { prompt: 'a', logprobs: -1 }, 'logprobs'],
    ['chat/completions', { messages, top_logprobs: 2 }, 'top_logprobs'],
    ['chat/completions', { messages, logprobs: true, top_logprobs: 30 }, 'top_logprobs'],
  ] as const)
    expect(await post(engine, `/v1/${path}`, body)).toMatchObject({ status: 400, body: { error: { param } } });
});

test('a server that gives none is refused by the parameter’s name', async () => {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const choice = { index: 0, text: 'words', finish_reason: 'stop' };
      response.end(`data: ${JSON.stringify({ choices: [choice] })}\n\ndata: [DONE]\n\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const plain = await place.engineWith({ runtime: 'OpenAI', openai: { endpoints: [{ name: 'p', url, model: 'm' }] } });
  await plain.started;
  expect((await post(plain, '/v1/completions', { prompt: 'a' })).status).toBe(200);
  const refused = await post(plain, '/v1/completions', { prompt: 'a', logprobs: 1 });
  expect(refused).toMatchObject({ status: 422, body: { error: { param: 'logprobs' } } });
  server.closeAllConnections();
  server.close();
});
