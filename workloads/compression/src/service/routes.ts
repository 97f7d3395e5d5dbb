// The HTTP routes of the service.
import { randomUUID } from 'node:crypto';
import {
  type EngineContext,
  type EngineServer,
  errorBody,
  httpCache,
  isQuintetError,
  QuintetError,
} from '@quintet/runtime';
import { z } from 'zod';
import type { Compressor } from './compressor.ts';
import type { ServiceConfig } from './config.ts';
import { inTurn } from './inTurn.ts';
import type { JobStore } from './jobs.ts';
import { checkRequest } from './request.ts';
import {
  batchAnswer,
  batchRequest,
  type CompressAnswer,
  compressAnswer,
  compressRequest,
  type errorItem,
  jobAnswer,
  jobRequest,
  usageAnswer,
} from './schema.ts';

const failures = { '4xx': errorBody, '5xx': errorBody };
const jobId = z.object({ id: z.string().max(64) });

export function routes(
  server: EngineServer,
  compressor: Compressor,
  jobs: JobStore,
  context: EngineContext<ServiceConfig>,
): void {
  server.post(
    '/v1/compress',
    {
      schema: {
        summary: 'Compress a text or a conversation',
        body: compressRequest,
        response: { 200: compressAnswer, ...failures },
      },
    },
    async ({ body, identity, signal }, reply) => {
      const answer = await compressor.reply(identity.tenant, within(body, context), signal);
      if (!Buffer.isBuffer(answer)) return answer;
      // Bytes are sent as they are: they were checked against the schema when they were kept.
      reply.type('application/json; charset=utf-8');
      return answer as never;
    },
  );

  server.post(
    '/v1/compress/batch',
    {
      schema: { summary: 'Compress up to 256 texts', body: batchRequest, response: { 200: batchAnswer, ...failures } },
    },
    async ({ body, identity, signal, log }) => ({
      items: await inTurn(body.items, (item) =>
        answerOrError(compressor, identity.tenant, within(item, context), signal, log),
      ),
    }),
  );

  server.post(
    '/v1/jobs',
    { schema: { summary: 'Compress later', body: jobRequest, response: { 202: jobAnswer, ...failures } } },
    async ({ body: { priority, ...request }, identity }, reply) => {
      checkRequest(request, context.config);
      const id = randomUUID();
      await jobs.submit({ id, tenant: identity.tenant, priority, request });
      return reply.status(202).header('location', `/v1/jobs/${id}`).send({ id, priority, status: 'Queued' });
    },
  );
  server.get(
    '/v1/jobs/:id',
    { schema: { summary: 'How a job stands', params: jobId, response: { 200: jobAnswer, ...failures } } },
    ({ params, identity }) => jobs.read(identity.tenant, params.id),
  );
  server.delete(
    '/v1/jobs/:id',
    { schema: { summary: 'Cancel a job', params: jobId, response: { 200: jobAnswer, ...failures } } },
    ({ params, identity }) => jobs.cancel(identity.tenant, params.id),
  );

  server.get(
    '/v1/originals/:id',
    {
      schema: {
        summary: 'The original of an answer, or a part of it by offsets',
        params: z.object({ id: z.string().regex(/^[0-9a-f]{32}$/) }),
        querystring: z.object({
          start: z.coerce.number().int().min(0).optional(),
          end: z.coerce.number().int().min(0).optional(),
        }),
        response: { 200: z.object({ text: z.string() }), ...failures },
      },
    },
    async (request, reply) => {
      const { params, query, identity } = request;
      const { start = 0, end } = query;
      const whole = await compressor.originals.get(identity.tenant, params.id);
      if (start > Math.min(end ?? whole.length, whole.length)) {
        const reason = `start ${start} is beyond the end, ${Math.min(end ?? whole.length, whole.length)}`;
        throw new QuintetError('INVALID_REQUEST', { field: 'start', reason });
      }
      const text = whole.slice(start, end);
      // What an id stands for never changes, and is its tenant's alone.
      const known = httpCache(request, reply, { maxAge: 3600, etag: [params.id, query.start, query.end].join('-') });
      return known ? ('' as never) : { text };
    },
  );

  server.get(
    '/v1/usage',
    { schema: { summary: "The tenant's use of today, in tokens", response: { 200: usageAnswer, ...failures } } },
    async ({ identity: { tenant } }) => {
      const { tokensPerDay, requestsPerMinute } = context.settings.tenants.find(({ name }) => name === tenant) ?? {};
      return {
        tenant,
        day: new Date().toISOString().slice(0, 10),
        tokens: await context.quotas.used(tenant),
        ...(tokensPerDay && { tokensPerDay }),
        ...(requestsPerMinute && { requestsPerMinute }),
      };
    },
  );
}

/** A deadline that would pass only after the handler's own time is moved before it: unchanged is better than 504. */
function within<R extends { deadlineMs?: number | undefined }>(
  request: R,
  { config, settings }: EngineContext<ServiceConfig>,
): R {
  const asked = request.deadlineMs ?? config.compression.latencyBudget;
  const most = Math.max(1, Math.floor(settings.server.handlerTimeout * 0.95));
  return asked !== undefined && asked > most ? { ...request, deadlineMs: most } : request;
}

export async function answerOrError(
  compressor: Compressor,
  tenant: string,
  request: z.output<typeof compressRequest>,
  signal: AbortSignal,
  log: EngineContext<ServiceConfig>['log'],
): Promise<CompressAnswer | z.output<typeof errorItem>> {
  try {
    return await compressor.answer(tenant, request, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    if (!isQuintetError(error)) log.error({ err: error }, 'a compression failed');
    const { code, message, field } = isQuintetError(error)
      ? error
      : new QuintetError('INTERNAL', { requestId: 'batch' });
    return { error: { code, message, ...(field !== undefined && { field }) } };
  }
}
