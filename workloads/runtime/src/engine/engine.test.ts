import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { adminTenant } from '../access/tokens.ts';
import { QuintetError } from '../errors.ts';
import { etagOf, httpCache } from '../httpCache.ts';
import { eventually } from '../testing/index.ts';
import { traced } from '../traces.ts';
import type { EngineDefinition } from './context.ts';
import { type Engine, startEngine } from './engine.ts';

// Disk, processes and sockets of a busy machine are slow; nothing here asserts a time.
vi.setConfig({ testTimeout: 60_000 });

const tokens = { news: 'news-token-0123456789', sport: 'sport-token-0123456789', admin: 'admin-token-0123456789' };
const config = z.object({
  greeting: z.string().default('hello'),
  batching: z.object({ maxSize: z.int().default(8) }).prefault({}),
});

let directory: string;
let engines: Engine[];
let logs: string[];
let seen: unknown[];
const file = () => join(directory, 'config.json');
const secrets = () => join(directory, 'tokens');

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-engine-'));
  await mkdir(secrets());
  for (const [tenant, token] of Object.entries(tokens))
    await writeFile(join(secrets(), tenant === 'admin' ? adminTenant : tenant), token);
  engines = [];
  logs = [];
  seen = [];
});
afterEach(async () => {
  await Promise.all(engines.map(async (engine) => engine.drain()));
  await rm(directory, { recursive: true, force: true });
});

const quick = { host: '127.0.0.1', port: 0, drainDelay: '0ms', drainTimeout: '2s' };

type Call = Omit<RequestInit, 'headers'> & { token?: string; headers?: Record<string, string> };

async function start(
  document: Record<string, unknown> = {},
  more: Partial<EngineDefinition<typeof config>> = {},
  env: NodeJS.ProcessEnv = {},
) {
  await writeFile(
    file(),
    JSON.stringify({
      auth: { directory: secrets() },
      ...document,
      server: { ...quick, ...(document['server'] as object) },
    }),
  );
  const engine = await startEngine<typeof config>(
    {
      name: 'test',
      config,
      routes: (server, context) => {
        const body = z.object({ text: z.string().min(1), nested: z.object({ count: z.int().max(5) }).optional() });
        server.post(
          '/v1/echo',
          { schema: { body, response: { 200: z.object({ text: z.string(), tenant: z.string() }) } } },
          async (request) =>
            traced('echoing', async () => ({ text: request.body.text, tenant: request.identity.tenant })),
        );
        server.get('/v1/greeting', async () => ({ greeting: context.config.greeting }));
        server.get('/v1/slow', async () => {
          await new Promise((resolve) => setTimeout(resolve, 300));
          return { done: true };
        });
        server.get('/v1/overloaded', async () => {
          throw new QuintetError('OVERLOADED', { queue: 'q', waiting: 9, retryAfter: 3.2 });
        });
        server.get('/v1/bug', async () => {
          throw new TypeError('the secret reason');
        });
        server.get('/v1/stream', { handlerTimeout: 50 }, async (_request, reply) =>
          reply.send(
            Readable.from(
              (async function* () {
                yield 'begun';
                await new Promise((resolve) => setTimeout(resolve, 150));
                yield ', ended';
              })(),
            ),
          ),
        );
        server.get('/v1/hang', { handlerTimeout: 50 }, () => new Promise(() => undefined));
        server.post('/v1/wait', { schema: { body }, handlerTimeout: 400 }, async ({ signal }) => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          seen.push(signal.aborted);
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          seen.push((signal.reason as QuintetError).code);
        });
        server.get('/v1/cached', async (request, reply) => {
          const content = 'the same for all';
          const known = httpCache(request, reply, {
            maxAge: 60,
            sharedMaxAge: 600,
            visibility: 'public',
            purgeKeys: ['bank 7'],
            etag: etagOf(content),
          });
          return known ? reply.send() : content;
        });
      },
      ...more,
    },
    { configFile: file(), env, logStream: { write: (line) => logs.push(line) }, watchInterval: 60_000 },
  );
  engines.push(engine);
  await engine.started;
  const call = (path: string, { token = tokens.news, ...init }: Call = {}) =>
    fetch(`${engine.url}${path}`, {
      ...init,
      headers: { ...(token === '' ? {} : { authorization: `Bearer ${token}` }), ...init.headers },
    });
  const post = (path: string, body: unknown, init: Call = {}) =>
    call(path, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...init,
      headers: { 'content-type': 'application/json', ...init.headers },
    });
  return { engine, call, post };
}

const errorOf = async (response: Response) => ({
  status: response.status,
  ...((await response.json()) as { error: Record<string, unknown> }).error,
});

describe('an engine', () => {
  test('answers with the tenant of the token, and describes itself', async () => {
    const { call, post } = await start();
    expect(await (await post('/v1/echo', { text: 'hi' })).json()).toEqual({ text: 'hi', tenant: 'news' });
    expect(await (await post('/v1/echo', { text: 'hi' }, { token: tokens.sport })).json()).toEqual({
      text: 'hi',
      tenant: 'sport',
    });
    expect(await (await call('/readyz', { token: '' })).json()).toEqual({ ready: true, reasons: {}, degraded: {} });
    expect((await call('/healthz', { token: '' })).status).toBe(200);
    const document = (await (await call('/openapi.json', { token: '' })).json()) as {
      openapi: string;
      paths: Record<string, unknown>;
    };
    expect(document.openapi).toBe('3.1.0');
    expect(document.paths['/v1/echo']).toMatchObject({
      post: {
        requestBody: { content: { 'application/json': { schema: { required: ['text'] } } } },
        responses: { 200: {}, '4XX': {}, '5XX': {} },
      },
    });
    const page = await (await call('/metrics', { token: '' })).text();
    expect(page).toContain('quintet_requests_total{route="/v1/echo",method="POST",status="200"} 2');
    expect(page).toContain('quintet_ready 1');
    const line = logs
      .map((each) => JSON.parse(each) as Record<string, unknown>)
      .find((each) => each['route'] === '/v1/echo');
    expect(line).toMatchObject({ level: 'info', engine: 'test', status: 200, tenant: 'news' });
    expect(logs.join()).not.toContain(tokens.news);
  });

  test('bytes that are no UTF-8 are refused, not replaced', async () => {
    const { call } = await start();
    const body = Buffer.from('{"text":"a\xff"}', 'latin1');
    const headers = { 'content-type': 'application/json' };
    const refused = await call('/v1/echo', { method: 'POST', headers, body });
    expect(await errorOf(refused)).toMatchObject({ status: 400, code: 'MALFORMED_BODY' });
  });

  test.each<[what: string, path: string, body: string, headers: Record<string, string>, want: Record<string, unknown>]>(
    [
      ['a missing field', '/v1/echo', '{}', {}, { status: 400, code: 'INVALID_REQUEST', field: 'text' }],
      [
        'a nested field',
        '/v1/echo',
        '{"text":"a","nested":{"count":9}}',
        {},
        { status: 400, code: 'INVALID_REQUEST', field: 'nested.count' },
      ],
      ['broken JSON', '/v1/echo', '{"text":', {}, { status: 400, code: 'MALFORMED_BODY' }],
      [
        'a poisoned prototype',
        '/v1/echo',
        '{"text":"a","__proto__":{"x":1}}',
        {},
        { status: 400, code: 'MALFORMED_BODY' },
      ],
      ['an empty body', '/v1/echo', '', {}, { status: 400, code: 'MALFORMED_BODY' }],
      [
        'another content type',
        '/v1/echo',
        'x',
        { 'content-type': 'text/csv' },
        { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' },
      ],
      [
        'too large a body',
        '/v1/echo',
        `{"text":"${'a'.repeat(3000)}"}`,
        {},
        { status: 413, code: 'BODY_TOO_LARGE', message: 'The body is larger than 2048 bytes.' },
      ],
      ['no such route', '/v1/nothing', '{}', {}, { status: 404, code: 'NOT_FOUND' }],
    ],
  )('names what is wrong with %s', async (_what, path, body, headers, want) => {
    const { post } = await start({ rateLimits: { maxBodySize: 2048 } });
    expect(await errorOf(await post(path, body, { headers }))).toMatchObject(want);
  });

  test('turns overload, time-outs and its own faults into their errors, and tells nobody the reason of a fault', async () => {
    const { call } = await start();
    const overloaded = await call('/v1/overloaded');
    expect(overloaded.headers.get('retry-after')).toBe('4');
    expect(overloaded.headers.get('cache-control')).toBe('no-store');
    expect(await errorOf(overloaded)).toMatchObject({ status: 503, code: 'OVERLOADED', retryAfter: 4 });
    expect(await errorOf(await call('/v1/hang'))).toMatchObject({ status: 504, code: 'DEADLINE_EXCEEDED' });
    const fault = await errorOf(await call('/v1/bug'));
    expect(fault).toMatchObject({ status: 500, code: 'INTERNAL', requestId: expect.any(String) });
    expect(JSON.stringify(fault)).not.toContain('secret');
    expect(logs.join()).toContain('the secret reason');
  });

  test('lets a stream that has begun go on beyond the time of its handler', async () => {
    const { call } = await start();
    expect(await (await call('/v1/stream')).text()).toBe('begun, ended');
  });

  test('refuses requests without a token, with a wrong one, and for others with the right of an administrator only', async () => {
    const { call } = await start({}, { actions: { clearCache: async (input) => ({ cleared: input }) } });
    for (const token of ['', 'wrong-token-0123456789']) {
      const refused = await call('/v1/greeting', { token });
      expect(refused.headers.get('www-authenticate')).toContain('Bearer');
      expect(await errorOf(refused)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
    }
    expect(await errorOf(await call('/v1/nothing', { token: '' }))).toMatchObject({ status: 401 });
    const act = (name: string, token: string) =>
      call(`/admin/actions/${name}`, {
        method: 'POST',
        token,
        body: '{"all":true}',
        headers: { 'content-type': 'application/json' },
      });
    expect(await errorOf(await act('clearCache', tokens.news))).toMatchObject({ status: 403, code: 'FORBIDDEN' });
    expect(await (await act('clearCache', tokens.admin)).json()).toEqual({
      action: 'clearCache',
      result: { cleared: { all: true } },
    });
    expect(await errorOf(await act('constructor', tokens.admin))).toMatchObject({ status: 404 });
  });

  test('blocks an address that guesses tokens, without locking out others behind the same proxy', async () => {
    const { call } = await start();
    const codes = [];
    for (let at = 0; at < 23; at++)
      codes.push((await call('/v1/greeting', { token: `guess-${at}-0123456789abc` })).status);
    expect(codes.slice(0, 20)).toEqual(Array<number>(20).fill(401));
    expect(codes.slice(20)).toEqual([429, 429, 429]);
    expect(await errorOf(await call('/v1/greeting', { token: '' }))).toMatchObject({
      status: 429,
      code: 'CLIENT_BLOCKED',
    });
    expect((await call('/v1/greeting')).status).toBe(200);
  });

  test('limits each client and each tenant, and requests at once', async () => {
    const { call } = await start({
      rateLimits: { perClient: { requests: 3, window: '1m', blockFor: '5m' }, maxConcurrent: 1 },
      tenants: [{ name: 'sport', requestsPerMinute: 1 }],
    });
    const both = await Promise.all([
      call('/v1/slow', { token: tokens.admin }),
      call('/v1/slow', { token: tokens.admin }),
    ]);
    expect(both.map((response) => response.status).sort((a, b) => a - b)).toEqual([200, 429]);
    const codes = [];
    for (let at = 0; at < 5; at++) codes.push((await call('/v1/greeting')).status);
    expect(codes).toEqual([200, 200, 200, 429, 429]);
    expect((await call('/v1/greeting', { token: tokens.sport })).status).toBe(200);
    const over = await call('/v1/greeting', { token: tokens.sport });
    expect(Number(over.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await errorOf(over)).toMatchObject({ status: 429, code: 'QUOTA_EXCEEDED' });
  });

  test('lets the origins that were named call from browsers, without asking preflights for a token', async () => {
    const { call } = await start({ cors: { origins: ['https://app.example'] } });
    const preflight = (origin: string) =>
      call('/v1/echo', {
        method: 'OPTIONS',
        token: '',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
      });
    expect((await preflight('https://app.example')).headers.get('access-control-allow-origin')).toBe(
      'https://app.example',
    );
    expect((await preflight('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
  });

  test('lets CDNs hold public answers, and answers 304 to who has them', async () => {
    const { call } = await start();
    const first = await call('/v1/cached');
    expect(Object.fromEntries(first.headers)).toMatchObject({
      'cache-control': 'public, max-age=60, s-maxage=600',
      'surrogate-key': 'bank%207',
      'cache-tag': 'bank%207',
    });
    const again = await call('/v1/cached', { headers: { 'if-none-match': first.headers.get('etag') ?? '' } });
    expect(again.status).toBe(304);
    expect(await again.text()).toBe('');
  });

  test('takes over limits, tokens and its own reloadable settings, and refuses what needs a restart', async () => {
    const { engine, call } = await start({ greeting: 'hello' }, { reloadable: ['greeting'] });
    const write = async (document: object) => {
      await writeFile(file(), JSON.stringify({ auth: { directory: secrets() }, server: quick, ...document }));
      await engine.reload();
    };
    await write({ greeting: 'good day' });
    expect(await (await call('/v1/greeting')).json()).toEqual({ greeting: 'good day' });
    await write({ greeting: 'ignored', batching: { maxSize: 9 } });
    expect(await (await call('/v1/greeting')).json()).toEqual({ greeting: 'good day' });
    expect(logs.join()).toContain('batching.maxSize can only change with a restart');
    await write({ greeting: 5 });
    expect(await (await call('/v1/greeting')).json()).toEqual({ greeting: 'good day' });
    await write({ greeting: 'good day', rateLimits: { perClient: { requests: 1 } } });
    expect([(await call('/v1/greeting')).status, (await call('/v1/greeting')).status]).toEqual([200, 429]);
  });

  test('says why it is not ready while it starts, and when its start failed', async () => {
    let go = () => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    await writeFile(file(), JSON.stringify({ server: quick }));
    const engine = await startEngine(
      { name: 'slow', config, start: () => gate },
      { configFile: file(), env: {}, logStream: { write: () => undefined } },
    );
    engines.push(engine);
    const ready = async () => ({
      status: (await fetch(`${engine.url}/readyz`)).status,
      ...((await (await fetch(`${engine.url}/readyz`)).json()) as object),
    });
    expect(await ready()).toMatchObject({ status: 503, ready: false, reasons: { start: 'starting' } });
    go();
    await engine.started;
    expect(await ready()).toMatchObject({ status: 200, ready: true });

    const broken = await startEngine(
      {
        name: 'broken',
        config,
        start: async () => Promise.reject(new QuintetError('MODEL_MISSING', { uri: 'file:/m', reason: 'ENOENT' })),
      },
      { configFile: file(), env: {}, logStream: { write: () => undefined } },
    );
    engines.push(broken);
    await expect(broken.started).rejects.toMatchObject({ code: 'MODEL_MISSING' });
    const reasons = (await (await fetch(`${broken.url}/readyz`)).json()) as object;
    expect(reasons).toMatchObject({ reasons: { start: 'Model file:/m is not there: ENOENT' } });
  });

  test('refuses to start with a configuration that is wrong, naming field and source', async () => {
    await expect(start({ server: { keepAliveTimeout: 'soon' } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      field: 'server.keepAliveTimeout',
    });
    await expect(start({ greeting: 7 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('greeting'),
    });
    await writeFile(file(), '{');
    await expect(startEngine({ name: 'x', config }, { configFile: file(), env: {} })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  test('takes settings from the environment over those of the file', async () => {
    const { call } = await start(
      { greeting: 'file' },
      {},
      { QUINTET_CONFIG__GREETING: 'environment', QUINTET_SERVICE_HOST: 'not ours' },
    );
    expect(await (await call('/v1/greeting')).json()).toEqual({ greeting: 'environment' });
  });

  test('ends although a connection was upgraded and its client stays', async () => {
    let drained = false;
    const { engine } = await start(
      { server: { drainTimeout: '50ms' } },
      {
        onDrain: () => void (drained = true),
        routes: (server) => {
          server.server.on('upgrade', (_request, socket) => {
            socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: news\r\nConnection: upgrade\r\n\r\n');
          });
        },
      },
    );
    const { port } = new URL(engine.url);
    const client = connect(Number(port), '127.0.0.1');
    const ended = new Promise((resolve) => client.once('close', resolve));
    client.on('error', () => undefined);
    client.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: news\r\nConnection: upgrade\r\n\r\n');
    await new Promise((resolve) => client.once('data', resolve));
    await engine.drain();
    await ended;
    expect(drained).toBe(true);
  });

  test('finishes requests under way when it drains, while telling probes that it is not ready', async () => {
    let drained = false;
    const { engine, call } = await start({ server: { drainDelay: '200ms' } }, { onDrain: () => void (drained = true) });
    const slow = call('/v1/slow');
    await eventually(async () =>
      expect(await (await call('/metrics')).text()).toContain('quintet_requests_in_flight 1'),
    );
    const draining = engine.drain();
    expect((await call('/readyz')).status).toBe(503);
    const late = await call('/v1/greeting');
    expect([late.status, late.headers.get('connection')]).toEqual([200, 'close']);
    expect(drained).toBe(false);
    expect(await (await slow).json()).toEqual({ done: true });
    await draining;
    expect(drained).toBe(true);
    await expect(fetch(`${engine.url}/healthz`)).rejects.toThrow('fetch failed');
  });

  test('closes connections of clients that send nothing, or headers without end', async () => {
    const { engine } = await start({ server: { headerLimit: 2048 } });
    const { port } = new URL(engine.url);
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(Number(port), '127.0.0.1', () =>
        socket.write(`GET / HTTP/1.1\r\nx: ${'a'.repeat(4000)}\r\n\r\n`),
      );
      socket.on('data', (chunk) => (text += chunk.toString())).on('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 431/);
  });

  test('counts a client that went away as 499 and not as an error', async () => {
    const { call } = await start();
    const caller = new AbortController();
    const slow = call('/v1/slow', { signal: caller.signal }).catch(() => undefined);
    await eventually(async () =>
      expect(await (await call('/metrics')).text()).toContain('quintet_requests_in_flight 1'),
    );
    caller.abort();
    await slow;
    await eventually(async () =>
      expect(await (await call('/metrics')).text()).toContain('route="/v1/slow",method="GET",status="499"} 1'),
    );
  });

  test('tells a handler through its signal that the client went away or its time is up, and not before', async () => {
    const { post } = await start();
    expect(await errorOf(await post('/v1/wait', { text: 'a' }))).toMatchObject({
      status: 504,
      code: 'DEADLINE_EXCEEDED',
    });
    await eventually(() => expect(seen).toEqual([false, 'DEADLINE_EXCEEDED']));
    const caller = new AbortController();
    const left = post('/v1/wait', { text: 'b' }, { signal: caller.signal }).catch(() => undefined);
    await eventually(() => expect(seen.length).toBe(3));
    caller.abort();
    await left;
    await eventually(() => expect(seen.slice(2)).toEqual([false, 'CANCELLED']));
  });

  test('gives CPU profiles and heap snapshots to administrators only, one at a time', async () => {
    const { call } = await start();
    expect((await call('/admin/profile/cpu?seconds=0.1')).status).toBe(403);
    const [one, other] = await Promise.all([
      call('/admin/profile/cpu?seconds=0.3', { token: tokens.admin }),
      call('/admin/profile/cpu?seconds=0.3', { token: tokens.admin }),
    ]);
    expect([one.status, other.status].sort((a, b) => a - b)).toEqual([200, 409]);
    const profile = (await (one.status === 200 ? one : other).json()) as { nodes: unknown[] };
    expect(profile.nodes.length).toBeGreaterThan(0);
    const heap = await call('/admin/profile/heap', { token: tokens.admin });
    const reader = heap.body?.getReader();
    const beginning = await reader?.read();
    expect(Buffer.from(beginning?.value ?? []).toString('utf8', 0, 100)).toContain('"snapshot"');
    await reader?.cancel();
  }, 60_000);

  test('runs a job to its end, and lets it know when it is to stop', async () => {
    const { engine } = await start(
      {},
      { job: async ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())) },
    );
    await engine.drain();
    await expect(engine.finished).resolves.toBeUndefined();
    const failing = await start({}, { job: async () => Promise.reject(new Error('no data')) });
    await expect(failing.engine.finished).rejects.toThrow('no data');
  });

  test('sends traces to the endpoint that is set, below the span of the caller', async () => {
    const bodies: string[] = [];
    const collector = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        bodies.push(body);
        response.end('{}');
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => collector.once('listening', resolve));
    const { port } = collector.address() as { port: number };
    const { engine, post } = await start({}, {}, { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await post('/v1/echo', { text: 'a' }, { headers: { traceparent } });
    await engine.drain();
    await new Promise((resolve) => collector.close(resolve));
    interface Sent {
      name: string;
      traceId: string;
      spanId: string;
      parentSpanId: string;
    }
    const spans = bodies.flatMap((body) => {
      const sent = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: Sent[] }[] }[] };
      return sent.resourceSpans.flatMap((each) => each.scopeSpans.flatMap((scope) => scope.spans));
    });
    const named = (name: string) => spans.find((span) => span.name === name);
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    expect(named('POST /v1/echo')).toMatchObject({ traceId, parentSpanId: 'b7ad6b7169203331' });
    expect(named('echoing')).toMatchObject({ traceId, parentSpanId: named('POST /v1/echo')?.spanId });
    expect(logs.join()).toContain('"traceId":"0af7651916cd43dd8448eb211c80319c"');
  });
});
