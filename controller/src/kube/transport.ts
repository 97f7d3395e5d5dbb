// How calls reach the API server: kept connections, a turn and a time-out for every call, retries where it asks for them.
import { createSecureContext } from 'node:tls';
import { type Dispatcher, Pool } from 'undici';
import { pause } from './backoff.ts';
import { type ClockOptions, ServerClock } from './clock.ts';
import type { Connection } from './config.ts';
import { ApiError, apiErrorOf, FencedError } from './errors.ts';
import { Slots } from './slots.ts';

export interface TransportOptions extends ClockOptions {
  /**
   * Requests under way at once; further ones wait. Default 16. Those that are not answered within half a second no longer
   * count, up to seven times as many. Watches have connections of their own.
   */
  connections?: number;
  /** Longest time of one call from start to last byte, waiting included, in milliseconds. Default 30 000. */
  timeoutMs?: number;
  userAgent?: string;
  /** Asked before each write: false refuses it (FencedError). For leaders that may have lost their lease. */
  mayWrite?: () => boolean;
  /** Told of every answer: for `rest_client_requests_total`. `code` is `<error>` without an answer, as in client-go. */
  onRequest?: (method: string, code: string) => void;
}

export interface Call {
  method: Dispatcher.HttpMethod;
  path: string;
  body?: string;
  contentType?: string;
  accept?: string;
  /** 404 is an answer like any other (undefined): no error is made of it. */
  mayBeAbsent?: boolean;
  signal?: AbortSignal;
}

const slowAfterMs = 500;
const slowShare = 7;
const maxThrottleRetries = 3;
/** A longer Retry-After is not waited for here: the caller is told, and its own backoff takes over. */
const maxThrottleWaitMs = 5_000;

export class Transport {
  readonly clock: ServerClock;
  readonly #connection: Connection;
  readonly #options: TransportOptions;
  readonly #timeoutMs: number;
  readonly #calls: Pool;
  readonly #slots: Slots;
  readonly #watches: Pool;
  readonly #basePath: string;

  constructor(connection: Connection, options: TransportOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.clock = new ServerClock(options);
    const { origin, pathname, protocol } = new URL(connection.server);
    this.#basePath = pathname === '/' ? '' : pathname.replace(/\/$/, '');
    const shared = {
      allowH2: false,
      connect: {
        ...connection.tls,
        // One for all connections: each would read the certificates anew and keep a copy of its own.
        ...(protocol === 'https:' && { secureContext: createSecureContext(connection.tls) }),
        timeout: 10_000,
        keepAlive: true,
        keepAliveInitialDelay: 15_000,
      },
      keepAliveTimeout: 30_000,
    };
    const quick = options.connections ?? 16;
    this.#slots = new Slots({ quick, slow: quick * slowShare, slowAfterMs });
    this.#calls = new Pool(origin, { ...shared, connections: quick * (1 + slowShare) });
    this.#watches = new Pool(origin, shared);
  }

  /** @throws ApiError for what the server refuses, or where there is no answer in time. */
  async json<T>(call: Call): Promise<T> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), this.#timeoutMs);
    try {
      return await this.#withRetries<T>({ ...call, signal: abort.signal });
    } catch (error) {
      if (!abort.signal.aborted || error instanceof ApiError || error instanceof FencedError) throw error;
      throw new ApiError(0, 'Timeout', `${call.method} ${call.path}: no answer within ${this.#timeoutMs} ms`);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Opens a watch and answers its body, to be read until the server or the call's signal ends it.
   * @param idleMs Without a byte for so long the socket counts as half-open, and reading it fails.
   * @throws ApiError when the server refuses the watch.
   */
  async watch(call: Call, idleMs: number): Promise<Dispatcher.ResponseData['body']> {
    const { statusCode, headers, body } = await this.#send(this.#watches, call, {
      headersTimeout: this.#timeoutMs,
      bodyTimeout: idleMs,
    });
    if (statusCode === 200) return body;
    throw apiErrorOf(statusCode, await body.text(), headerOf(headers['retry-after']));
  }

  /** Breaks what is under way; nothing can be sent afterwards. */
  async close(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#watches.destroy()]);
  }

  async #withRetries<T>(call: Call): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const { statusCode, headers, text } = await this.#inTurn(call);
      if (statusCode < 300) return parseBody<T>(text, call);
      if (statusCode === 404 && call.mayBeAbsent) return undefined as T;
      const error = apiErrorOf(statusCode, text, headerOf(headers['retry-after']));
      const { retryAfterMs } = error;
      const mayWait = statusCode === 429 && retryAfterMs !== undefined && retryAfterMs <= maxThrottleWaitMs;
      if (!mayWait || attempt >= maxThrottleRetries) throw error;
      await pause(retryAfterMs * (1 + Math.random() * 0.2), call.signal);
    }
  }

  async #inTurn(
    call: Call,
  ): Promise<{ statusCode: number; headers: Dispatcher.ResponseData['headers']; text: string }> {
    const slot = await this.#slots.take();
    // Webhooks and the like are slow by type and namespace, not by object.
    slot.begin(call.method === 'POST' ? call.path.replace(/\?.*/, '') : call.path.replace(/\/[^/]*$/, ''));
    try {
      const { statusCode, headers, body } = await this.#send(this.#calls, call);
      return { statusCode, headers, text: await readBody(body, call) };
    } finally {
      slot.release();
    }
  }

  async #send(
    pool: Pool,
    call: Call,
    timeouts?: { headersTimeout: number; bodyTimeout: number },
  ): Promise<Dispatcher.ResponseData> {
    for (let renewed = false; ; renewed = true) {
      const authorization = await this.#connection.authorization(renewed);
      const headers: Record<string, string> = {
        accept: call.accept ?? 'application/json',
        'user-agent': this.#options.userAgent ?? 'quintet',
      };
      if (authorization) headers.authorization = authorization;
      if (call.body !== undefined) headers['content-type'] = call.contentType ?? 'application/json';
      // Asked after every wait (for a slot, for a token, for the next attempt): a lease may run out meanwhile.
      if (call.method !== 'GET' && this.#options.mayWrite?.() === false) {
        throw new FencedError(`${call.method} ${call.path}: not the leader any more`);
      }
      let response: Dispatcher.ResponseData;
      try {
        response = await pool.request({
          method: call.method,
          path: this.#basePath + call.path,
          headers,
          body: call.body ?? null,
          signal: call.signal ?? null,
          ...timeouts,
        });
      } catch (error) {
        this.#options.onRequest?.(call.method, '<error>');
        throw connectionError(error, call);
      }
      this.#options.onRequest?.(call.method, String(response.statusCode));
      this.clock.compare(headerOf(response.headers.date));
      if (response.statusCode !== 401 || renewed || !authorization) return response;
      // The token may have been rotated since it was read.
      await response.body.dump();
    }
  }
}

async function readBody(body: Dispatcher.ResponseData['body'], call: Call): Promise<string> {
  try {
    return await body.text();
  } catch (error) {
    throw connectionError(error, call);
  }
}

function parseBody<T>(text: string, call: Call): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError(
      0,
      'MalformedAnswer',
      `${call.method} ${call.path}: the answer is not JSON: ${text.slice(0, 80)}`,
    );
  }
}

function connectionError(error: unknown, call: Call): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  const timedOut = code?.startsWith('UND_ERR_') && code.endsWith('_TIMEOUT');
  return new ApiError(
    0,
    timedOut || call.signal?.aborted ? 'Timeout' : 'ConnectionFailed',
    `${call.method} ${call.path}: ${message}`,
  );
}

function headerOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
