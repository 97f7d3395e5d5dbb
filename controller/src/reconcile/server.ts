// The page that the kubelet and Prometheus read: /healthz, /readyz, /metrics. Three answers need no framework, which
// would hold as much memory as the watched objects of a hundred resources.
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface ServerOptions {
  /** Default: every address, of IPv6 and IPv4, or of IPv4 alone where the machine has no IPv6. */
  host?: string | undefined;
  /** 0 takes a free port. */
  port: number;
  registry: Registry;
  /** What is still missing before work can be done; empty: ready. */
  missing: () => string[];
  /** What hangs and only a restart can help; empty: alive. */
  stuck: () => string[];
}

export interface RunningServer {
  port: number;
  close(): Promise<void>;
}

interface Answer {
  status: number;
  type: string;
  text: string;
}

/** A scrape or a probe sends nothing but its headers. */
const limits = {
  requestTimeout: 10_000,
  headersTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 8_192,
};
const idleMs = 30_000;

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const server = createServer(limits, (request, response) => {
    // What it sends is not read: a connection with a body ends with the answer.
    if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined)
      response.setHeader('connection', 'close');
    answerTo(options, request.method, request.url).then(
      (answer) => send(response, answer),
      (error: Error) => send(response, json(500, { error: error.message })),
    );
  });
  server.setTimeout(idleMs);
  const { host, port } = options;
  await (host === undefined
    ? listen(server, port, '::').catch(unlessNoIpv6(() => listen(server, port, '0.0.0.0')))
    : listen(server, port, host));
  return { port: (server.address() as AddressInfo).port, close: () => close(server) };
}

async function answerTo(options: ServerOptions, method: string | undefined, url: string | undefined): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return json(405, { error: 'only GET is answered here' });
  switch (url?.split('?', 1)[0]) {
    case '/healthz':
      return verdict(options.stuck());
    case '/readyz':
      return verdict(options.missing());
    case '/metrics':
      return { status: 200, type: options.registry.contentType, text: await options.registry.metrics() };
    default:
      return json(404, { error: 'there are /healthz, /readyz and /metrics' });
  }
}

const verdict = (problems: string[]): Answer =>
  json(problems.length === 0 ? 200 : 503, { status: problems.length === 0 ? 'ok' : 'failed', problems });

const json = (status: number, body: object): Answer => ({
  status,
  type: 'application/json; charset=utf-8',
  text: JSON.stringify(body),
});

/** Node leaves out the text where HEAD was asked. */
function send(response: ServerResponse, { status, type, text }: Answer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) }).end(text);
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

const unlessNoIpv6 =
  <T>(otherwise: () => Promise<T>) =>
  (error: unknown): Promise<T> => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL') return otherwise();
    throw error;
  };
