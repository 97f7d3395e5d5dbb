// A proxy between controller and API server that breaks things as planned: plain HTTP on loopback in front, TLS with
// the given credentials behind. It knows enough of watches to strike inside a line.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AnswerFault, Plan, PlannedStreamFault, StreamFault } from './plan.ts';

export interface ProxyOptions {
  /** https://host:port of the API server. */
  target: string;
  tls: { ca: Buffer; cert: Buffer; key: Buffer };
  plan: Plan;
}

export class FaultProxy {
  /** Faults that struck, by name. */
  readonly struck = new Map<AnswerFault | StreamFault, number>();
  /** Requests that came, by method; watches by `WATCH`. */
  readonly requests = new Map<string, number>();
  /** False: everything passes. */
  faulty = true;
  readonly #options: ProxyOptions;
  readonly #agent: Agent;
  readonly #server: Server;
  readonly #stop = new AbortController();

  private constructor(options: ProxyOptions) {
    this.#options = options;
    this.#agent = new Agent({ ...options.tls, keepAlive: true, maxSockets: 64 });
    this.#server = createServer((incoming, response) => {
      this.#serve(incoming, response).catch(() => response.destroy());
    });
  }

  static async start(options: ProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get total(): number {
    return [...this.requests.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Breaks all connections at once, as a load balancer that is replaced. */
  breakAll(): void {
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const isWatch = incoming.method === 'GET' && /[?&]watch=(1|true)/.test(incoming.url ?? '');
    const method = isWatch ? 'WATCH' : (incoming.method ?? '');
    this.requests.set(method, (this.requests.get(method) ?? 0) + 1);
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);

    const fault = this.faulty ? this.#options.plan.call(isWatch) : undefined;
    if (fault) this.#count(fault);
    if (fault === 'resetBefore') return void incoming.socket.resetAndDestroy();
    if (fault === 'blackHole') return;
    if (fault === 'gone') return refuse(response, 410, 'Expired', 'too old resource version');
    if (fault === 'throttled')
      return refuse(response, 429, 'TooManyRequests', 'too many requests', { 'retry-after': '1' });
    if (fault === 'serverError') return refuse(response, 500, 'InternalError', 'etcdserver: request timed out');

    const answer = await this.#forward(incoming, Buffer.concat(chunks), response);
    if (!answer) return;
    // The worst moment: done, and the client does not learn of it.
    if (fault === 'resetAfter') return void incoming.socket.resetAndDestroy();
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    if (isWatch && answer.statusCode === 200) {
      response.flushHeaders();
      await this.#stream(answer, response, this.faulty ? this.#options.plan.stream() : undefined);
    } else {
      answer.pipe(response);
    }
  }

  /** The API server's answer; none when it cannot be reached, and then the client's connection breaks too. */
  async #forward(
    incoming: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): Promise<IncomingMessage | undefined> {
    const { host: _host, connection: _connection, ...headers } = incoming.headers;
    const upstream = httpsRequest(this.#options.target + (incoming.url ?? '/'), {
      method: incoming.method ?? 'GET',
      headers,
      agent: this.#agent,
      signal: this.#stop.signal,
    });
    response.on('close', () => upstream.destroy());
    return await new Promise((resolve) => {
      upstream.on('response', resolve);
      upstream.on('error', () => {
        response.destroy();
        resolve(undefined);
      });
      upstream.end(body);
    });
  }

  async #stream(
    answer: IncomingMessage,
    response: ServerResponse,
    planned: PlannedStreamFault | undefined,
  ): Promise<void> {
    let lines = 0;
    let slow = false;
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        lines += chunk.reduce((count, byte) => count + (byte === 0x0a ? 1 : 0), 0);
        if (planned && !slow && this.faulty && lines > planned.afterLines) {
          this.#count(planned.fault);
          if (planned.fault !== 'slow') return await this.#strike(planned.fault, chunk, response);
          slow = true;
        }
        if (slow && this.faulty) await this.#drip(chunk, response);
        else if (!response.write(chunk))
          await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
      }
      response.end();
    } catch {
      response.destroy();
    } finally {
      answer.destroy();
    }
  }

  async #strike(fault: StreamFault, chunk: Buffer, response: ServerResponse): Promise<void> {
    switch (fault) {
      case 'goneInStream':
        response.end(
          `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' } })}\n`,
        );
        return;
      case 'malformedLine':
        response.write('{"type":"MODIFIED","object":{"metadata":\n');
        await this.#hold(response);
        return;
      case 'cutMidLine':
        response.write(chunk.subarray(0, chunk.length - Math.ceil(chunk.length / 3)), () => response.destroy());
        return;
      case 'blackHole':
        await this.#hold(response);
        return;
      case 'end':
        response.end();
        return;
      default:
        response.destroy();
    }
  }

  /** Open, and silent, until the client gives up. */
  async #hold(response: ServerResponse): Promise<void> {
    await new Promise((resolve) => response.once('close', resolve));
  }

  async #drip(chunk: Buffer, response: ServerResponse): Promise<void> {
    const step = Math.max(1, Math.ceil(chunk.length / 8));
    for (let at = 0; at < chunk.length && !response.destroyed; at += step) {
      response.write(chunk.subarray(at, at + step));
      await sleep(10);
    }
  }

  #count(fault: AnswerFault | StreamFault): void {
    this.struck.set(fault, (this.struck.get(fault) ?? 0) + 1);
  }
}

function refuse(
  response: ServerResponse,
  code: number,
  reason: string,
  message: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message }));
}
