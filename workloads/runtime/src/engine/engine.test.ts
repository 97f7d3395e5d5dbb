// What an engine answers: requests, wrong ones, its own faults, and what it tells of itself.
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { eachWithItsOwn, errorOf, logs, start, tokens } from './fixtures/engines.ts';

eachWithItsOwn();

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

test.each<[what: string, path: string, body: string, headers: Record<string, string>, want: Record<string, unknown>]>([
  ['a missing field', '/v1/echo', '{}', {}, { status: 400, code: 'INVALID_REQUEST', field: 'text' }],
  [
    'a nested field',
    '/v1/echo',
    '{"text":"a","nested":{"count":9}}',
    {},
    { status: 400, code: 'INVALID_REQUEST', field: 'nested.count' },
  ],
  ['broken JSON', '/v1/echo', '{"text":', {}, { status: 400, code: 'MALFORMED_BODY' }],
  ['a poisoned prototype', '/v1/echo', '{"text":"a","__proto__":{"x":1}}', {}, { status: 400, code: 'MALFORMED_BODY' }],
  ['an empty body', '/v1/echo', '', {}, { status: 400, code: 'MALFORMED_BODY' }],
  [
    'another content type',
    '/v1/echo',
    'x',
    { 'content-type': 'text/csv' },
    { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' },
  ],
  [
    'text that is none of JSON',
    '/v1/echo',
    '{"text":"a"}',
    { 'content-type': 'text/plain' },
    { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE', message: 'Content type text/plain is not supported.' },
  ],
  [
    'too large a body',
    '/v1/echo',
    `{"text":"${'a'.repeat(3000)}"}`,
    {},
    { status: 413, code: 'BODY_TOO_LARGE', message: 'The body is larger than 2048 bytes.' },
  ],
  ['no such route', '/v1/nothing', '{}', {}, { status: 404, code: 'NOT_FOUND' }],
])('names what is wrong with %s', async (_what, path, body, headers, want) => {
  const { post } = await start({ rateLimits: { maxBodySize: 2048 } });
  expect(await errorOf(await post(path, body, { headers }))).toMatchObject(want);
});

test('turns overload, time-outs and its own faults into their errors, and tells nobody the reason of a fault', async () => {
  const { call } = await start();
  const overloaded = await call('/v1/overloaded');
  expect(overloaded.headers.get('retry-after')).toBe('4');
  expect(overloaded.headers.get('cache-control')).toBe('no-store');
  expect(await errorOf(overloaded)).toMatchObject({ status: 503, code: 'OVERLOADED', retryAfter: 4 });
  // It comes with each request meanwhile: a line will do.
  const line = logs.find((each) => each.includes('"OVERLOADED"')) ?? '{}';
  expect(JSON.parse(line)).toMatchObject({ level: 'warn', reason: 'The queue q is full (9 waiting).' });
  expect(line).not.toMatch(/stack|at async/);
  expect(await errorOf(await call('/v1/hang'))).toMatchObject({ status: 504, code: 'DEADLINE_EXCEEDED' });
  const fault = await errorOf(await call('/v1/bug'));
  expect(fault).toMatchObject({ status: 500, code: 'INTERNAL', requestId: expect.any(String) });
  expect(JSON.stringify(fault)).not.toContain('secret');
  expect(logs.join()).toContain('the secret reason');
  const page = await (await call('/metrics', { token: '' })).text();
  expect(page).toContain('quintet_errors_total{code="OVERLOADED"} 1');
});

test('lets a stream that has begun go on beyond the time of its handler', async () => {
  const { call } = await start();
  expect(await (await call('/v1/stream')).text()).toBe('begun, ended');
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
