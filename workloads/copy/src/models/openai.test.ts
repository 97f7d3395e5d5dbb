// Servers that fail, come back and repeat themselves: a small one here, which says what the test wants.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { TextRequest } from './model.ts';
import { openAiModel } from './openai.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

type Script = { pieces: readonly string[]; breaks?: boolean } | 'fails';

/** A server that answers by its script; change it at any time. */
async function serverOf(script: Script) {
  const state = { script, calls: 0 };
  const server = createServer((_, response) => {
    state.calls++;
    if (state.script === 'fails') {
      response.writeHead(500).end('{}');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const text of state.script.pieces)
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, text, delta: { content: text } }] })}\n\n`);
    if (state.script.breaks) {
      setTimeout(() => response.destroy(), 20);
      return;
    }
    response.end(
      `data: ${JSON.stringify({ choices: [{ index: 0, text: '', finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`,
    );
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(state, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` });
}

const endpoint = (name: string, url: string, weight = 1) => ({
  name,
  url,
  model: 'm',
  weight,
  maxConcurrent: 4,
  timeout: 2000,
});
const request = (more: Partial<TextRequest> = {}): TextRequest => ({
  tenant: 'a',
  prompt: { text: 'Say' },
  overflow: 'Refuse',
  maxTokens: 16,
  temperature: 0,
  topP: 1,
  topK: 0,
  repetitionPenalty: 1,
  stop: [],
  ...more,
});
async function textOf(pieces: AsyncGenerator<string, unknown, void>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

test('an endpoint that failed is used again when it is back, also where another serves', async () => {
  const first = await serverOf('fails');
  const second = await serverOf({ pieces: ['second'] });
  const endpoints = [endpoint('first', first.url, 100), endpoint('second', second.url)];
  const model = openAiModel({ endpoints, routing: 'LeastLoad', fallbackDuringStream: 'Error', openFor: 500 });
  const ask = () => textOf(model.generate(request(), new AbortController().signal));
  for (let at = 0; at < 3; at++) expect(await ask()).toBe('second');
  expect(model.parallel).toBe(4);
  first.script = { pieces: ['first'] };
  await expect.poll(ask).toBe('first');
  expect(model.parallel).toBe(8);
});

test('the only endpoint is tried again when it was left alone for long enough', async () => {
  const only = await serverOf('fails');
  const model = openAiModel({
    endpoints: [endpoint('only', only.url)],
    routing: 'LeastLoad',
    fallbackDuringStream: 'Error',
    openFor: 500,
  });
  const ask = () => textOf(model.generate(request(), new AbortController().signal));
  for (let at = 0; at < 3; at++) await expect(ask()).rejects.toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' });
  expect(model.unavailable).toBe('no endpoint answers');
  only.script = { pieces: ['back'] };
  await expect.poll(() => model.unavailable).toBeUndefined();
  expect(await ask()).toBe('back');
});

test('the revision changes with what a server is said to serve, and tells no addresses', () => {
  const revisionOf = (revision?: string, url = 'http://inside.test/v1') =>
    openAiModel({
      endpoints: [{ ...endpoint('one', url), revision }],
      routing: 'LeastLoad',
      fallbackDuringStream: 'Error',
    }).revision;
  expect(new Set([revisionOf(), revisionOf('a'), revisionOf('b'), revisionOf('b', 'http://other.test/v1')]).size).toBe(
    4,
  );
  expect(revisionOf('b')).toMatch(/^b:[0-9a-f]{16}$/);
});

test('a text begun again that ends before what was sent is no answer', async () => {
  const breaking = await serverOf({ pieces: ['one ', 'two '], breaks: true });
  const short = await serverOf({ pieces: ['one '] });
  const endpoints = [endpoint('breaking', breaking.url, 100), endpoint('short', short.url)];
  const model = openAiModel({ endpoints, routing: 'LeastLoad', fallbackDuringStream: 'Restart' });
  await expect(textOf(model.generate(request(), new AbortController().signal))).rejects.toThrow(
    /ended|terminated|aborted/,
  );
  short.script = { pieces: ['one two three'] };
  expect(await textOf(model.generate(request(), new AbortController().signal))).toBe('one two three');
});

test('more stop texts than a server takes end the answer, and what was used is known', async () => {
  const { url } = await serverOf({ pieces: ['keep th', 'is END not this'] });
  const model = openAiModel({ endpoints: [endpoint('one', url)], routing: 'LeastLoad', fallbackDuringStream: 'Error' });
  const used = { promptTokens: 0, completionTokens: 0 };
  const stop = ['1', '2', '3', '4', ' END'];
  expect(await textOf(model.generate(request({ stop, used }), new AbortController().signal))).toBe('keep this');
  expect(used).toEqual({ promptTokens: 1, completionTokens: 6 });
});

test('prompts of one tenant that begin alike go to one endpoint, those of others elsewhere, and all elsewhere when it fails', async () => {
  const [first, second] = [await serverOf({ pieces: ['one'] }), await serverOf({ pieces: ['two'] })];
  const endpoints = [endpoint('first', first.url), endpoint('second', second.url)];
  const model = openAiModel({ endpoints, routing: 'Prefix', fallbackDuringStream: 'Error' });
  const say = (tenant: string, text: string) =>
    textOf(model.generate(request({ tenant, prompt: { text } }), AbortSignal.timeout(5000)));
  const voice = 'You write for a brand of lamps. '.repeat(10);
  const said = new Set<string>();
  for (let i = 0; i < 8; i++) said.add(await say('a', `${voice}${i}`));
  expect(said.size).toBe(1);
  const all = await Promise.all(Array.from({ length: 8 }, (_, i) => say(`tenant ${i}`, voice)));
  expect(new Set(all).size).toBe(2);
  (said.has('one') ? first : second).script = 'fails';
  expect(said.has(await say('a', `${voice}again`))).toBe(false);
});
