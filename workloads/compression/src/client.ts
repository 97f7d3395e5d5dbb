// A typed client of the service: `compress`, `compressBatch`, `compressAsync`. Waits as told when the service is busy.
import type { z } from 'zod';
import type { batchAnswer, CompressAnswer, compressRequest, JobAnswer } from './service/schema.ts';

export type { CompressAnswer, JobAnswer } from './service/schema.ts';
export type CompressRequest = z.input<typeof compressRequest>;
export type BatchItem = z.output<typeof batchAnswer>['items'][number];

export interface ClientOptions {
  /** Where the service is, such as `http://notes.default.svc`. */
  readonly url: string;
  readonly token?: string;
  /** Milliseconds for one request; default 60 000. */
  readonly timeout?: number;
  /** Further attempts after 429, 503 and lost connections; default 3. */
  readonly retries?: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** What the service answered instead of a result; `code` is stable. */
export class ServiceError extends Error {
  readonly status: number;
  readonly code: string;
  readonly field: string | undefined;

  constructor(status: number, code: string, message: string, field?: string) {
    super(message);
    this.name = 'ServiceError';
    this.status = status;
    this.code = code;
    this.field = field;
  }
}

export interface CompressionClient {
  compress(request: CompressRequest, options?: CallOptions): Promise<CompressAnswer>;
  /** In the order of the requests; an item that failed is an error, the others are answers. */
  compressBatch(requests: readonly CompressRequest[], options?: CallOptions): Promise<BatchItem[]>;
  /** Submits a job and waits for its result; an aborted signal cancels the job. */
  compressAsync(
    request: CompressRequest & { priority?: JobAnswer['priority'] },
    options?: CallOptions,
  ): Promise<CompressAnswer>;
  /** The source of an answer, or a part of it by the offsets of its spans. */
  original(id: string, range?: { start?: number; end?: number }): Promise<string>;
}

export function compressionClient(options: ClientOptions): CompressionClient {
  const call = <T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> =>
    request<T>(options, method, path, body, signal);
  return {
    compress: (body, { signal } = {}) => call('POST', '/v1/compress', body, signal),
    compressBatch: async (items, { signal } = {}) =>
      (await call<{ items: BatchItem[] }>('POST', '/v1/compress/batch', { items }, signal)).items,
    async compressAsync(body, { signal } = {}) {
      const { id } = await call<JobAnswer>('POST', '/v1/jobs', body, signal);
      for (let wait = 50; ; wait = Math.min(2000, wait * 1.5)) {
        if (signal?.aborted) {
          await call('DELETE', `/v1/jobs/${id}`);
          throw signal.reason;
        }
        const job = await call<JobAnswer>('GET', `/v1/jobs/${id}`);
        if (job.status === 'Succeeded' && job.result) return job.result;
        if (job.status === 'Failed')
          throw new ServiceError(
            500,
            job.error?.code ?? 'INTERNAL',
            job.error?.message ?? 'the job failed',
            job.error?.field,
          );
        if (job.status === 'Cancelled') throw new ServiceError(409, 'CANCELLED', `job ${id} was cancelled`);
        await pause(wait);
      }
    },
    async original(id, { start, end } = {}) {
      const query = new URLSearchParams();
      if (start !== undefined) query.set('start', String(start));
      if (end !== undefined) query.set('end', String(end));
      return (await call<{ text: string }>('GET', `/v1/originals/${id}?${query.toString()}`)).text;
    },
  };
}

async function request<T>(
  { url, token, timeout = 60_000, retries = 3 }: ClientOptions,
  method: string,
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const limit = AbortSignal.timeout(timeout);
  const either = signal ? AbortSignal.any([signal, limit]) : limit;
  for (let attempt = 0; ; attempt++) {
    let response: Response;
    try {
      response = await fetch(new URL(path, url), {
        method,
        signal: either,
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(token && { authorization: `Bearer ${token}` }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    } catch (error) {
      // A submitted job might have been taken: asking again would do it twice, which is no harm but work.
      if (either.aborted || attempt >= retries) throw error;
      await pause(100 * 2 ** attempt);
      continue;
    }
    if (response.ok) return (await response.json()) as T;
    const failure = await failureOf(response);
    const busy = response.status === 429 || response.status === 503;
    if (!busy || attempt >= retries) throw failure;
    await pause(1000 * Math.min(30, Number(response.headers.get('retry-after') ?? 1)));
  }
}

async function failureOf(response: Response): Promise<ServiceError> {
  const body = (await response.json().catch(() => ({}))) as {
    error?: { code: string; message: string; field?: string };
  };
  const { code = 'UNKNOWN', message = response.statusText, field } = body.error ?? {};
  return new ServiceError(response.status, code, message, field);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
