// Self-healing of real engine processes: a backend that slows down under many requests, a pod that fails, a cache that is too
// small for its load; each put right by the healer alone, and what is well left alone.
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { compressionService, copyEngine } from '@quintet/crds';
import { afterEach, describe, expect, it } from 'vitest';
import { leak, smallMachine } from './faults.ts';
import { Ward } from './ward.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

interface Backend {
  url: string;
  /** Milliseconds of an answer beside so many others. */
  takes: (atOnce: number) => number;
  fails: boolean;
}

/** Speaks OpenAI's API. */
async function backend(takes: Backend['takes']): Promise<Backend> {
  let atOnce = 0;
  const state: Backend = { url: '', takes, fails: false };
  const answer = async (response: ServerResponse) => {
    if (state.fails) return response.writeHead(500).end('{}');
    atOnce += 1;
    await sleep(state.takes(atOnce));
    atOnce -= 1;
    response.setHeader('content-type', 'text/event-stream');
    const choice = { index: 0, text: 'said', finish_reason: 'stop' };
    return response.end(`data: ${JSON.stringify({ choices: [choice] })}\n\ndata: [DONE]\n\n`);
  };
  const server: Server = createServer((request, response) => {
    request.resume().on('end', () => void answer(response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => (server.closeAllConnections(), server.close()));
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  return state;
}

const most = 16;
const copyConfig = ({ url }: Backend) => ({
  runtime: 'OpenAI',
  openai: { endpoints: [{ name: 'one', url, model: 'm', maxConcurrent: most }] },
  rateLimits: { perClient: { requests: 1_000_000, window: '1m' } },
});

/** What the resource says; its pods have backends of their own. */
const copySpec = { runtime: 'OpenAI', openai: { endpoints: [{ name: 'one', url: 'http://backend.test/v1' }] } };

/**
 * So many clients that ask again as soon as they are answered, each of the pods in turn.
 * @returns Waits until so many more have been answered.
 */
function load(
  ward: Ward,
  clients: number,
  path: string,
  body: (serial: number) => object,
): (more: number) => Promise<void> {
  let going = true;
  let serial = 0;
  let answered = 0;
  const one = async () => {
    while (going) {
      const mine = serial++;
      const url = ward.urls[mine % ward.urls.length];
      const post = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body(mine)),
      };
      // What fails shows on the engine's page.
      await fetch(`${url}${path}`, { ...post, signal: AbortSignal.timeout(10_000) }).then(
        (response) => response.text(),
        () => sleep(20),
      );
      answered++;
    }
  };
  const all = Array.from({ length: clients }, one);
  closing.push(async () => {
    going = false;
    await Promise.all(all);
  });
  return async (more) => {
    for (const enough = answered + more; answered < enough; ) await sleep(10);
  };
}
const prompt = (serial: number) => ({ prompt: `Say ${serial}`, max_tokens: 4 });
const figure = (page: string, series: string) =>
  Number(
    page
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')[1] ?? Number.NaN,
  );

describe('healing of real engines', () => {
  it('asks a backend that slows down under many requests for fewer at once, and answers are fast again', async () => {
    // Alone 10 ms; beside fifteen others each takes 640.
    const slow = await backend((atOnce) => 10 * atOnce * Math.max(1, atOnce / 4));
    const ward = await Ward.open({
      definition: copyEngine,
      spec: { ...copySpec, objectives: { latencyP95: '500ms' } },
      engine: 'copy/src/main.ts',
      configOf: () => copyConfig(slow),
    });
    closing.push(() => ward.close());
    load(ward, most, '/v1/completions', prompt);
    await ward.looks(5, 1_500);
    expect(ward.events[0]?.message).toMatch(/^resizeBatch: too slow, 50 % of the items at once: 95 % of answers took/);
    const [pod = ''] = ward.podNames;
    await ward.carriesOut(pod, 'resizeBatch');
    await ward.looks(13, 1_200);
    const page = await ward.page(pod);
    expect(figure(page, 'quintet_batch_share')).toBeLessThan(1);
    expect(figure(page, 'quintet_commands_total{action="resizeBatch",outcome="done"}')).toBeGreaterThan(0);
    // Fast again: nothing more was asked for, and nothing undone.
    const told = ward.events.length;
    await ward.looks(5, 1_500);
    expect(ward.events.map(({ message }) => message).filter((message) => /did not help/.test(message))).toEqual([]);
    expect(ward.events).toHaveLength(told);
  }, 120_000);

  it('replaces the pod that fails, and no other', async () => {
    const backends: Backend[] = [];
    const ward = await Ward.open({
      definition: copyEngine,
      spec: copySpec,
      engine: 'copy/src/main.ts',
      configOf: async () => {
        const own = await backend(() => 5);
        backends.push(own);
        return copyConfig(own);
      },
      pods: 2,
    });
    closing.push(() => ward.close());
    load(ward, 4, '/v1/completions', prompt);
    await ward.looks(6, 500);
    expect(ward.events).toEqual([]);
    (backends[0] as Backend).fails = true;
    await ward.looks(6, 800);
    expect(ward.events.map(({ reason }) => reason)).toEqual(['Healed']);
    expect(ward.events[0]?.message).toMatch(/^replacePod: \d+ % of the answers of pod ward-0 are errors$/);
    expect(ward.podNames).toEqual(['ward-1', 'ward-2']);
    await ward.looks(10, 400);
    expect(ward.events).toHaveLength(1);
  }, 120_000);

  it('clears the caches of a pod that has leaked, which does not help, and then replaces it', async () => {
    const limit = 640 * 2 ** 20;
    const ward = await Ward.open({
      definition: compressionService,
      spec: {},
      engine: 'compression/src/service/main.ts',
      configOf: () => ({ rateLimits: { perClient: { requests: 1_000_000, window: '1m' } } }),
      env: { NODE_OPTIONS: `${smallMachine(limit)} ${leak(0.96 * limit)}` },
    });
    closing.push(() => ward.close());
    const share = async () => figure(await ward.page(ward.podNames[0] ?? ''), 'process_resident_memory_bytes') / limit;
    await ward.looks(5, 200);
    expect(ward.events).toEqual([]);
    const poisoned = async () => {
      const response = await fetch(`${ward.urls[0]}/v1/compress`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-poison': '1' },
        body: JSON.stringify({ text: 'a text to compress. '.repeat(20), ratio: 4 }),
      });
      await response.text();
    };
    while ((await share()) < 0.93) await poisoned();
    await ward.looks(2, 200);
    const cleared = expect.stringMatching(/^clearCache: pod ward-0 uses 9\d % of its memory$/) as unknown;
    expect(ward.events.map(({ message }) => message)).toEqual([cleared]);
    await ward.carriesOut('ward-0', 'clearCache');
    const page = await ward.page('ward-0');
    expect(figure(page, 'quintet_commands_total{action="clearCache",outcome="done"}')).toBe(1);
    expect(await share()).toBeGreaterThan(0.9);
    await ward.looks(7, 200);
    const replaced = expect.stringMatching(/^replacePod: pod ward-0 uses 9\d % of its memory/) as unknown;
    expect(ward.events.map(({ message }) => message)).toEqual([cleared, replaced]);
    expect(ward.podNames).toEqual(['ward-1']);
    expect(await share()).toBeLessThan(0.8);
    await ward.looks(10, 200);
    expect(ward.events).toHaveLength(2);
  }, 120_000);

  it('grows a cache that its load does not fit into any more', async () => {
    const ward = await Ward.open({
      definition: compressionService,
      spec: { cache: { memory: { maxEntries: 40 } } },
      engine: 'compression/src/service/main.ts',
      configOf: () => ({
        cache: { memory: { maxEntries: 40 } },
        rateLimits: { perClient: { requests: 1_000_000, window: '1m' } },
      }),
    });
    closing.push(() => ward.close());
    let texts = 30;
    const text = (serial: number) => ({ text: `line ${serial % texts} of a text to compress. `.repeat(20), ratio: 4 });
    const answers = load(ward, 2, '/v1/compress', text);
    // Several rounds through the texts between two looks, however slow the machine is.
    const several = () => answers(150);
    await ward.looks(13, 500, several);
    expect(ward.events).toEqual([]);
    // In turn through more than fits, the oldest of a cache are always gone when they are asked for again.
    texts = 50;
    await ward.looks(6, 800, several);
    expect(ward.events.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^resizeCache: \d+ % of requests are answered from caches, usually \d+ %$/),
    ]);
    const [pod = ''] = ward.podNames;
    await ward.carriesOut(pod, 'resizeCache');
    expect(figure(await ward.page(pod), 'quintet_commands_total{action="resizeCache",outcome="done"}')).toBe(1);
    await ward.looks(13, 500, several);
    expect(ward.events).toHaveLength(1);
  }, 120_000);
});
