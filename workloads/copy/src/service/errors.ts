// Errors as OpenAI's clients expect them, with our code and fix beside: `{error: {message, type, param, code, fix}}`.
import { asQuintetError, errorBody, logFailure, type QuintetError } from '@quintet/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

export const openAiError = z
  .object({
    error: errorBody.shape.error.extend({
      type: z.string().describe("OpenAI's class of the error."),
      param: z.string().nullable().describe('Which part of the request is meant.'),
    }),
  })
  .describe('An error');

/** The error's body; also what a stream that breaks ends with. */
export function openAiBody(error: QuintetError, requestId?: string): z.output<typeof openAiError> {
  const { field, ...body } = error.toBody(requestId);
  return { error: { ...body, type: typeOf(error), param: field ?? null } };
}

export function sendOpenAiError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = asQuintetError(thrown, request);
  logFailure(error, thrown, request);
  reply.header('cache-control', 'no-store');
  if (error.retryAfter !== undefined) reply.header('retry-after', error.retryAfter);
  if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="quintet"');
  return reply.code(error.status).type('application/json').send(openAiBody(error, request.id));
}

function typeOf({ status, code }: QuintetError): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (code === 'QUOTA_EXCEEDED') return 'insufficient_quota';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
