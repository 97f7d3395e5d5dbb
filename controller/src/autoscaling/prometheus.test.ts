// Against a server that answers as Prometheus' HTTP API does, well and badly.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Prometheus, queryFor } from './prometheus.ts';

let server: Server;
let url = '';
let prometheus: Prometheus;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let asked: { method: string | undefined; url: string | undefined; query: string | null }[];
let faults: string[];

const pods = new Map([
  ['notes-1', 'uid-1'],
  ['notes-2', 'uid-2'],
]);
const series = (name: string, value: string, pod = 'notes-1', more = {}) => ({
  metric: { quintet_signal: name, pod, ...more },
  value: [1_795_000_000, value],
});
const vector = (...result: object[]) => JSON.stringify({ status: 'success', data: { resultType: 'vector', result } });
const ask = () => prometheus.all([{ url, namespace: 'team', pods }], (error) => faults.push(error.message));

beforeEach(async () => {
  [asked, faults] = [[], []];
  const hear = async (request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    asked.push({ method: request.method, url: request.url, query: new URLSearchParams(body).get('query') });
    answer(request, response);
  };
  server = createServer((request, response) => void hear(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix/`;
  prometheus = new Prometheus({ timeoutMs: 500, maxBytes: 100_000 });
});

afterEach(async () => {
  await prometheus.close();
  server.closeAllConnections();
  server.close();
});

describe('signals from Prometheus', () => {
  it('come of one query for all pods of a resource', async () => {
    answer = (_request, response) =>
      response.end(
        vector(
          series('age', '4.2'),
          series('concurrency', '3'),
          series('requests', '120'),
          series('requestsPerSecond', '7.5'),
          series('errorsPerSecond', '0.5'),
          series('cpu', '0.25'),
          series('cpuLimit', '1'),
          series('streams', '2'),
          series('memory', '5e+08'),
          series('latency', '10', 'notes-1', { le: '+Inf' }),
          series('latency', '9', 'notes-1', { le: '1.0' }),
          series('latency', '4', 'notes-1', { le: '0.1' }),
          series('age', '5', 'notes-2'),
          series('concurrency', '1', 'notes-2'),
          series('concurrency', '9', 'somebody-else'),
        ),
      );
    const signals = await ask();
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ method: 'POST', url: '/prefix/api/v1/query' });
    expect(asked[0]?.query).toContain('quintet_streams_open{');
    expect(asked[0]?.query).toContain('namespace="team",pod=~"notes-1|notes-2"');
    expect([...signals.keys()]).toEqual(['uid-1', 'uid-2']);
    expect(signals.get('uid-1')).toMatchObject({
      concurrency: 3,
      queueDepth: 0,
      requests: 120,
      requestsPerSecond: 7.5,
      errorsPerSecond: 0.5,
      cpu: 0.25,
      memory: 5e8,
      streams: 2,
      latency: [
        { le: 0.1, count: 4 },
        { le: 1, count: 9 },
        { le: Number.POSITIVE_INFINITY, count: 10 },
      ],
    });
    // Nothing was asked of the second yet: that is known, and its CPU is not.
    expect(signals.get('uid-2')).toMatchObject({ requestsPerSecond: 0, errorsPerSecond: 0, cpu: undefined });
    expect(faults).toEqual([]);
  });

  it('are silence where Prometheus has not heard a pod lately, or at all', async () => {
    answer = (_request, response) =>
      response.end(vector(series('age', '240'), series('concurrency', '0'), series('concurrency', '0', 'notes-2')));
    expect((await ask()).size).toBe(0);
  });

  it.each(['NaN', '-1', '+Inf', 'twelve'])('leave out the figure %s', async (nonsense) => {
    answer = (_request, response) =>
      response.end(
        vector(
          series('age', '1'),
          series('concurrency', nonsense),
          series('cpu', '1'),
          series('latency', nonsense, 'notes-1', { le: '+Inf' }),
        ),
      );
    expect((await ask()).get('uid-1')).toMatchObject({ concurrency: undefined, cpu: 1, latency: undefined });
  });

  it.each<[string, (request: IncomingMessage, response: ServerResponse) => void]>([
    ['an error of the server', (_request, response) => response.writeHead(503).end('{"status":"error"}')],
    ['an error in a good answer', (_request, response) => response.end('{"status":"error","error":"bad"}')],
    ['a redirect', (_request, response) => response.writeHead(302, { location: 'http://elsewhere.test' }).end()],
    ['HTML', (_request, response) => response.end('<html>')],
    [
      'a matrix',
      (_request, response) => response.end('{"status":"success","data":{"resultType":"matrix","result":[]}}'),
    ],
    ['silence', () => undefined],
    ['an endless answer', (_request, response) => response.end(' '.repeat(200_000))],
    ['a broken connection', (request) => request.socket.destroy()],
  ])('are none on %s, which is told once', async (_what, answers) => {
    answer = answers;
    expect((await ask()).size).toBe(0);
    expect(faults).toHaveLength(1);
  });

  it('are not asked for where no pod runs', async () => {
    answer = (_request, response) => response.end(vector());
    await prometheus.all([{ url, namespace: 'team', pods: new Map() }], () => undefined);
    expect(asked).toEqual([]);
  });

  it('are asked for by names that mean only themselves', () => {
    expect(queryFor('team', ['notes.v1-1'])).toContain(String.raw`pod=~"notes\\.v1-1"`);
  });
});
