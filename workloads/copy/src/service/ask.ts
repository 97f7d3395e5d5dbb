// What a request to OpenAI's API asks for: which model, what of it, and how its tokens are to be drawn.
import { type EngineContext, QuintetError } from '@quintet/runtime';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Prompt, TextModel } from '../models/model.ts';
import type { CopyConfig } from './config.ts';
import { type Ask, defaultLength, type Generator } from './generator.ts';
import type { chatRequest, completionRequest } from './schema.ts';
import { notLoaded } from './writer.ts';

type ChatRequest = z.output<typeof chatRequest>;
export type Common = z.output<typeof completionRequest> | ChatRequest;

export interface ModelOptions {
  context: EngineContext<CopyConfig>;
  /** Undefined with runtime Template. Throws for an adapter that does not serve, and says which field named it. */
  generator: (adapter?: string, field?: 'model' | 'adapter') => Generator | undefined;
}

/** The model that is asked for: the one that is served, or an adapter of it as `model:adapter`. */
export function modelFor({ generator, context }: ModelOptions, asked: string | null | undefined): Generator {
  const served = generator();
  if (!served && context.config.runtime !== 'Template') throw notLoaded();
  if (!served) {
    throw new QuintetError('UNPROCESSABLE', {
      reason: `runtime ${context.config.runtime} has no language model: send a brief to /v1/copy, or mount a model`,
    });
  }
  const { unavailable, id } = served.model;
  if (unavailable) throw new QuintetError('NOT_READY', { reason: unavailable, retryAfter: 5 });
  if (asked?.startsWith(`${id}:`)) return generator(asked.slice(id.length + 1), 'model') ?? served;
  if (asked != null && asked !== id)
    throw new QuintetError('NOT_FOUND', { what: `The model ${asked} (served is ${id})`, field: 'model' });
  return served;
}

/** The request as the generator takes it, with the resource's defaults. */
export function askOf(
  body: Common,
  prompt: Prompt,
  request: FastifyRequest,
  config: CopyConfig,
  model: TextModel,
): Ask {
  const { generation } = config;
  const longest = 'max_completion_tokens' in body ? (body.max_completion_tokens ?? body.max_tokens) : body.max_tokens;
  const stop = typeof body.stop === 'string' ? [body.stop] : (body.stop ?? generation.stop);
  return {
    tenant: request.identity.tenant,
    prompt,
    n: body.n ?? 1,
    maxTokens: longest ?? defaultLength(model, generation.maxLength),
    temperature: body.temperature ?? generation.temperature,
    topP: body.top_p ?? generation.topP,
    topK: body.top_k ?? generation.topK,
    repetitionPenalty: body.repetition_penalty ?? generation.repetitionPenalty,
    stop,
    seed: body.seed ?? generation.seed,
    priority: config.priorities === 'Enabled' ? (body.priority ?? 'Normal') : 'Normal',
    deadline: body.deadline_ms == null ? undefined : Date.now() + body.deadline_ms,
    version: '',
    tag: body.user ?? '',
    logprobs: alternativesOf(body),
    cached: !bypasses(request),
  };
}

/** How many tokens are told beside each one; undefined where no chances are asked for. Throws where they are asked for only in part. */
function alternativesOf(body: Common): number | undefined {
  if (!('messages' in body)) return typeof body.logprobs === 'number' ? body.logprobs : undefined;
  if (body.logprobs) return body.top_logprobs ?? 0;
  if (!body.top_logprobs) return undefined;
  throw new QuintetError('INVALID_REQUEST', { field: 'top_logprobs', reason: 'it needs logprobs: true' });
}

/** True where the client asks for an answer that is made anew. */
export function bypasses({ headers }: FastifyRequest): boolean {
  return /\bno-(cache|store)\b/i.test(headers['cache-control'] ?? '');
}

export function promptOf({ messages }: ChatRequest): Prompt {
  return {
    messages: messages.map(({ role, content }) => ({
      role: role === 'developer' ? 'system' : role,
      content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
    })),
  };
}
