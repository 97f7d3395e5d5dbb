// One request from a client through the gate to a pod and back: streamed both ways, upgrades (WebSockets) included.
// Its body is not read while it waits: the client is held back by TCP itself.
import {
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as requestOver,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream';
import { type Gate, GateError, type Pass } from './gate.ts';

/** Until a pod accepts a connection: it is in the same cluster. */
const connectMs = 3_000;
/** What Node reads of a body before it holds the client back. */
const mostBuffered = 128 * 1024;
const perRequest = 4 * 1024;
/** Told to clients that are refused: about as long as a pod takes to start. */
const retryAfterSeconds = 5;

/** Answers `request` from a pod of the gate's Service. Never throws. */
export async function forward(gate: Gate, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const client = new AbortController();
  response.once('close', () => client.abort());
  // An activator is in the way for a short time only: the next connection may go to a pod itself.
  response.shouldKeepAlive = false;
  try {
    await throughGate(gate, request, client.signal, async (pass) => {
      const upstream = await connected(pass, request, client.signal);
      request.pipe(upstream);
      const answer = await answered(upstream, client.signal, mayRepeat(request));
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders));
      await streamed(answer, response);
    });
  } catch (error) {
    if (client.signal.aborted) return;
    if (response.headersSent) response.destroy();
    else refuse(response, error);
  }
}

/** Connects a client that asks to talk something else than HTTP (a WebSocket) with a pod. Never throws. */
export async function forwardUpgrade(
  gate: Gate,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const client = new AbortController();
  socket.on('error', () => socket.destroy());
  socket.once('close', () => client.abort());
  try {
    await throughGate(gate, request, client.signal, async (pass) => {
      const upgrade = { connection: 'Upgrade', upgrade: request.headers.upgrade ?? '' };
      const upstream = await connected(pass, request, client.signal, upgrade);
      upstream.end();
      const { answer, pod, first } = await upgraded(upstream, client.signal);
      socket.write(headOf(answer, pod !== undefined));
      if (!pod) {
        await streamed(answer, socket);
        return;
      }
      if (head.length > 0) pod.write(head);
      if (first.length > 0) socket.write(first);
      await joined(socket, pod);
    });
  } catch (error) {
    if (client.signal.aborted) return;
    const { status, body } = refusalOf(error);
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\nretry-after: ${retryAfterSeconds}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
  }
}

/** The connection to a pod failed before the request was on its way: another pod may take it. */
class ConnectError extends Error {
  override readonly name = 'ConnectError';
}

/** Waits for a pod and sends; anew with another pod as long as none has taken the connection. */
async function throughGate(
  gate: Gate,
  request: IncomingMessage,
  signal: AbortSignal,
  send: (pass: Pass) => Promise<void>,
): Promise<void> {
  const since = performance.now();
  gate.arrive();
  for (;;) {
    const pass = await gate.pass(costOf(request), signal, gate.holdMs - (performance.now() - since));
    try {
      return await send(pass);
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      gate.distrust(pass.backend);
    } finally {
      pass.release();
    }
  }
}

/** Memory that a request takes up while it waits. */
export function costOf({ headers, rawHeaders }: IncomingMessage): number {
  const chunked = headers['transfer-encoding'] !== undefined || headers.upgrade !== undefined;
  const body = chunked ? mostBuffered : Math.min(mostBuffered, Number(headers['content-length'] ?? 0));
  return perRequest + body + rawHeaders.reduce((sum, text) => sum + text.length, 0);
}

/** A request to the pod whose connection stands and of which nothing was sent yet. */
async function connected(
  { backend }: Pass,
  request: IncomingMessage,
  signal: AbortSignal,
  upgrade?: Record<string, string>,
): Promise<ClientRequest> {
  const options: RequestOptions = {
    host: backend.host.replace(/^\[|\]$/g, ''),
    port: backend.port,
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: headersFor(request, upgrade),
    // A connection for each: none that the pod may be closing at this moment.
    agent: false,
    signal,
    setHost: false,
  };
  const upstream = requestOver(options);
  const { promise, resolve, reject } = Promise.withResolvers<ClientRequest>();
  const fail = (error: Error) => reject(signal.aborted ? error : new ConnectError(error.message));
  const timer = setTimeout(() => upstream.destroy(new Error('no connection in time')), connectMs);
  upstream.on('error', fail);
  upstream.once('socket', (socket) => {
    socket.setNoDelay(true);
    socket.once('connect', () => resolve(upstream));
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** Nothing was changed by it, and it can be sent again: RFC 9110, 9.2.1. */
const mayRepeat = ({ method, headers }: IncomingMessage): boolean =>
  (method === 'GET' || method === 'HEAD') &&
  headers['content-length'] === undefined &&
  headers['transfer-encoding'] === undefined;

function answered(upstream: ClientRequest, signal: AbortSignal, repeats = false): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    upstream.once('response', resolve);
    upstream.on('error', (error) => {
      if (signal.aborted) reject(error);
      else reject(new (repeats ? ConnectError : Error)(`the pod broke off: ${error.message}`));
    });
  });
}

interface Upgraded {
  answer: IncomingMessage;
  /** Undefined: the pod would not, and says so in its answer. */
  pod?: Duplex;
  first: Buffer;
}

function upgraded(upstream: ClientRequest, signal: AbortSignal): Promise<Upgraded> {
  return new Promise((resolve, reject) => {
    upstream.once('upgrade', (answer, pod, first) => resolve({ answer, pod, first }));
    upstream.once('response', (answer) => resolve({ answer, first: Buffer.alloc(0) }));
    upstream.on('error', (error) => reject(signal.aborted ? error : new Error(`the pod broke off: ${error.message}`)));
  });
}

function streamed(from: IncomingMessage, to: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    pipeline(from, to, (error) => (error ? reject(error) : resolve()));
  });
}

/** Until both have ended. */
function joined(a: Duplex, b: Duplex): Promise<void> {
  return new Promise((resolve) => {
    let open = 2;
    const closed = (other: Duplex) => () => {
      other.destroy();
      if (--open === 0) resolve();
    };
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      one.on('error', () => one.destroy());
      one.once('close', closed(other));
      one.pipe(other);
    }
    if (a.destroyed) b.destroy();
  });
}

/** Of one connection, not of the message (RFC 9110, 7.6.1). */
const hopByHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'expect']);

function headersFor(request: IncomingMessage, upgrade: Record<string, string> = {}): Record<string, string | string[]> {
  const listed = (request.headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  const dropped = new Set([...hopByHop, ...listed]);
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(request.headersDistinct)) {
    if (!value || dropped.has(name)) continue;
    headers[name] = value.length === 1 && value[0] !== undefined ? value[0] : value;
  }
  headers.host ??= '';
  const from = request.socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown';
  const before = request.headers['x-forwarded-for'];
  headers['x-forwarded-for'] = before ? `${String(before)}, ${from}` : from;
  // Without either there is no body; Node would send an empty chunked one.
  const hasBody = 'content-length' in headers || 'transfer-encoding' in headers;
  if (!hasBody && !['GET', 'HEAD'].includes(request.method ?? '')) headers['content-length'] = '0';
  return { ...headers, connection: 'close', ...upgrade };
}

/** Raw headers without those of the connection; how the body is framed is this side's own affair. */
function endToEnd(raw: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]];
    if (!hopByHop.has(name.toLowerCase()) && name.toLowerCase() !== 'transfer-encoding') kept.push(name, value);
  }
  return kept;
}

/** The head of an answer, written by hand: an upgraded connection is no HTTP response of Node's any more. */
function headOf({ statusCode = 502, statusMessage, rawHeaders }: IncomingMessage, isUpgrade: boolean): string {
  const headers = isUpgrade ? rawHeaders : [...endToEnd(rawHeaders), 'connection', 'close'];
  const lines = headers.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${headers[i + 1] ?? ''}`] : []));
  return `HTTP/1.1 ${statusCode} ${statusMessage ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n`;
}

function refuse(response: ServerResponse, error: unknown): void {
  const { status, body } = refusalOf(error);
  const headers = { 'content-type': 'application/json', 'retry-after': String(retryAfterSeconds) };
  response.writeHead(status, headers).end(body);
}

/** In the form of the engines' own errors. */
function refusalOf(error: unknown): { status: number; body: string } {
  const message = error instanceof Error ? error.message : String(error);
  const isOurs = error instanceof GateError;
  const code = isOurs ? (error.reason === 'Full' ? 'ACTIVATOR_FULL' : 'NOT_STARTED') : 'POD_BROKE_OFF';
  const fix = `Wait for Retry-After seconds${isOurs ? ', or set minReplicas above 0' : ''}.`;
  return {
    status: isOurs ? 503 : 502,
    body: JSON.stringify({ error: { code, message, fix, retryAfter: retryAfterSeconds } }),
  };
}
