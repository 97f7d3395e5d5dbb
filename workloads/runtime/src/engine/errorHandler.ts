// Everything that can go wrong with a request becomes one error of the catalogue, in one shape.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { isQuintetError, QuintetError } from '../errors.ts';
import { neverCache } from '../httpCache.ts';
import { counter, type Registry } from '../metrics.ts';
import type { EngineServer } from './context.ts';

/** The body of every error, for the OpenAPI document. */
export const errorBody = z
  .object({
    error: z.object({
      code: z.string().describe('Stable; match on this.'),
      message: z.string(),
      field: z.string().optional().describe('Which part of the request is meant.'),
      fix: z.string().optional().describe('What to do.'),
      retryAfter: z.number().optional().describe('Seconds; as the header Retry-After.'),
      requestId: z.string().optional(),
    }),
  })
  .describe('An error');

export function handleErrors(server: EngineServer, registry: Registry): void {
  const errors = counter(registry, 'quintet_errors_total', 'Errors that requests ended with.', ['code']);
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const known = asQuintetError(error, request);
    errors.inc({ code: known.code });
    logFailure(known, error, request);
    return sendError(known, request, reply);
  });
  server.setNotFoundHandler((request, reply) => sendError(noSuchRoute(request), request, reply));
}

export function noSuchRoute({ method, url }: FastifyRequest): QuintetError {
  return new QuintetError('NOT_FOUND', { what: `${method} ${url.split('?')[0]?.slice(0, 200)}` });
}

/**
 * Logs what is not the client's fault. What is known and passes, such as a model that is still loaded, is a line without a stack: one comes with each
 * request meanwhile, and whoever can mend it is told elsewhere.
 */
export function logFailure(known: QuintetError, thrown: unknown, request: Pick<FastifyRequest, 'log'>): void {
  if (known.status === 503 && isQuintetError(thrown)) request.log.warn({ reason: known.message }, known.code);
  else if (known.status >= 500) request.log.error({ err: thrown }, known.code);
}

/** Translates what Fastify, zod and handlers throw. */
export function asQuintetError(
  error: unknown,
  request: Pick<FastifyRequest, 'id'> & Partial<FastifyRequest>,
): QuintetError {
  if (isQuintetError(error)) return error;
  if (hasZodFastifySchemaValidationErrors(error)) return validationError(error);
  const { code, statusCode = 500, message } = error as FastifyError;
  const make = byCode[code];
  if (make) return make(error as FastifyError, request);
  if (request.raw?.destroyed && (error as Error).name === 'AbortError')
    return new QuintetError('CANCELLED', {}, { cause: error });
  // A parser's complaint about the body; Fastify gives it 400 and no code of its own.
  if (statusCode === 400 && error instanceof SyntaxError)
    return new QuintetError('MALFORMED_BODY', { reason: message }, { cause: error });
  if (statusCode >= 400 && statusCode < 500)
    return new QuintetError('INVALID_REQUEST', { reason: message }, { cause: error });
  return new QuintetError('INTERNAL', { requestId: request.id }, { cause: error });
}

type Make = (error: FastifyError, request: Partial<FastifyRequest>) => QuintetError;
const malformed: Make = (error) => new QuintetError('MALFORMED_BODY', { reason: error.message }, { cause: error });
const byCode: Record<string, Make> = {
  FST_ERR_CTP_BODY_TOO_LARGE: (error, request) =>
    new QuintetError('BODY_TOO_LARGE', { limit: request.routeOptions?.bodyLimit ?? 0 }, { cause: error }),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: (error, request) =>
    new QuintetError('UNSUPPORTED_MEDIA_TYPE', { type: request.headers?.['content-type'] ?? 'none' }, { cause: error }),
  FST_ERR_CTP_INVALID_JSON_BODY: malformed,
  FST_ERR_CTP_EMPTY_JSON_BODY: malformed,
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: malformed,
  FST_ERR_HANDLER_TIMEOUT: (error) => new QuintetError('DEADLINE_EXCEEDED', {}, { cause: error }),
};

function validationError(error: FastifyError): QuintetError {
  const [first] = error.validation ?? [];
  const path = (first?.instancePath ?? '').split('/').filter((part) => part !== '');
  const context =
    error.validationContext === undefined || error.validationContext === 'body' ? [] : [error.validationContext];
  const field = [...context, ...path].join('.');
  const reason = `${field || error.validationContext || 'the body'}: ${first?.message ?? 'not as described'}`;
  return new QuintetError('INVALID_REQUEST', { reason, ...(field === '' ? {} : { field }) }, { cause: error });
}

function sendError(error: QuintetError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  neverCache(reply);
  if (error.retryAfter !== undefined) reply.header('retry-after', error.retryAfter);
  if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="quintet"');
  return reply
    .code(error.status)
    .type('application/json')
    .send({ error: error.toBody(request.id) });
}
