// The HTTP routes: OpenAI's completions, chat and models, and briefs.
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { asQuintetError, type EngineServer, noSuchRoute } from '@quintet/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Prompts } from '../brief/template.ts';
import { asChatLogprobs, asCompletionLogprobs } from '../models/logprobs.ts';
import { askOf, bypasses, type Common, type ModelOptions, modelFor, promptOf } from './ask.ts';
import type { CopyConfig } from './config.ts';
import { openAiBody, openAiError, sendOpenAiError } from './errors.ts';
import { type Answer, type Ask, fingerprintOf, type Generator, type Piece, type StreamEvent } from './generator.ts';
import {
  chatAnswer,
  chatRequest,
  completionAnswer,
  completionRequest,
  copyAnswer,
  copyRequest,
  modelsAnswer,
  templatesAnswer,
} from './schema.ts';
import { whileRead } from './stall.ts';
import type { Write } from './writer.ts';

export interface RouteOptions extends ModelOptions {
  /** Those of adapters that serve. */
  adapted: () => readonly Generator[];
  prompts: () => Prompts;
  write: Write;
  /** Milliseconds for an answer that is no stream: a long one on a CPU takes minutes. */
  longestAnswer?: number | undefined;
}

const quarterHour = 15 * 60_000;
/** Milliseconds that a client may leave what is sent to it unread: the model waits for it meanwhile. */
const longestStall = 30_000;

const failures = { '4xx': openAiError, '5xx': openAiError };

export async function routes(server: EngineServer, options: RouteOptions): Promise<void> {
  // A scope of its own, so that all errors of these routes, those of hooks too, are in OpenAI's form.
  await server.register(async (scope: EngineServer) => {
    scope.setErrorHandler((error, request, reply) => sendOpenAiError(error, request, reply));
    openAiRoutes(scope, options);
    briefRoutes(scope, options);
  });
  // Whatever else is asked for under OpenAI's prefix.
  await server.register(
    async (scope: EngineServer) => {
      scope.setErrorHandler((error, request, reply) => sendOpenAiError(error, request, reply));
      scope.setNotFoundHandler((request, reply) => sendOpenAiError(noSuchRoute(request), request, reply));
    },
    { prefix: '/v1' },
  );
}

function openAiRoutes(server: EngineServer, options: RouteOptions): void {
  const { context, longestAnswer: handlerTimeout = quarterHour } = options;
  const started = Math.floor(Date.now() / 1000);
  server.get(
    '/v1/models',
    { schema: { summary: 'The models that are served', response: { 200: modelsAnswer, ...failures } } },
    async () => {
      const base = options.generator();
      const data = [...(base ? [base] : []), ...options.adapted()].map((each) => ({
        id: each.model.id,
        object: 'model' as const,
        created: started,
        owned_by: 'quintet',
        parent: each === base ? null : (base?.model.id ?? null),
      }));
      return { object: 'list' as const, data };
    },
  );
  server.post(
    '/v1/completions',
    {
      handlerTimeout,
      schema: {
        summary: "Continue a text, as OpenAI's API",
        body: completionRequest,
        response: { 200: completionAnswer, ...failures },
      },
    },
    async (request, reply) => {
      const generator = modelFor(options, request.body.model);
      const ask = askOf(request.body, { text: request.body.prompt }, request, context.config, generator.model);
      const fixed = fixedOf(generator, context.config, 'cmpl');
      if (request.body.stream) {
        const chunk = (index: number, { text, tokens }: Piece, finish: string | null) => ({
          ...fixed,
          object: 'text_completion',
          choices: [{ index, text, finish_reason: finish, logprobs: tokens ? asCompletionLogprobs(tokens) : null }],
        });
        return streamed(generator, ask, request, reply, { chunk, fixed: { ...fixed, object: 'text_completion' } });
      }
      const { answers, source } = await generator.answers(ask, request.signal);
      reply.header('x-quintet-source', source);
      return {
        ...fixed,
        object: 'text_completion' as const,
        choices: answers.map(({ text, finish, tokens }, index) => ({
          index,
          text,
          finish_reason: finish,
          logprobs: tokens ? asCompletionLogprobs(tokens) : null,
        })),
        usage: usageOf(answers),
      };
    },
  );
  server.post(
    '/v1/chat/completions',
    {
      handlerTimeout,
      schema: {
        summary: "Answer a conversation, as OpenAI's API",
        body: chatRequest,
        response: { 200: chatAnswer, ...failures },
      },
    },
    async (request, reply) => {
      const generator = modelFor(options, request.body.model);
      const ask = askOf(request.body, promptOf(request.body), request, context.config, generator.model);
      const fixed = fixedOf(generator, context.config, 'chatcmpl');
      if (request.body.stream) {
        const object = 'chat.completion.chunk';
        const chunk = (index: number, { text, tokens }: Piece, finish: string | null, begins: boolean) => ({
          ...fixed,
          object,
          choices: [
            {
              index,
              delta: { ...(begins && { role: 'assistant' }), ...(text !== '' && { content: text }) },
              finish_reason: finish,
              logprobs: tokens ? asChatLogprobs(tokens) : null,
            },
          ],
        });
        return streamed(generator, ask, request, reply, { chunk, fixed: { ...fixed, object } });
      }
      const { answers, source } = await generator.answers(ask, request.signal);
      reply.header('x-quintet-source', source);
      return {
        ...fixed,
        object: 'chat.completion' as const,
        choices: answers.map(({ text, finish, tokens }, index) => ({
          index,
          message: { role: 'assistant' as const, content: text, refusal: null },
          finish_reason: finish,
          logprobs: tokens ? asChatLogprobs(tokens) : null,
        })),
        usage: usageOf(answers),
      };
    },
  );
}

function briefRoutes(server: EngineServer, { prompts, write, longestAnswer = quarterHour }: RouteOptions): void {
  server.post(
    '/v1/copy',
    {
      handlerTimeout: longestAnswer,
      schema: {
        summary: 'Turn a brief into ranked variants',
        body: copyRequest,
        response: { 200: copyAnswer, ...failures },
      },
    },
    (request) => write(request.identity.tenant, request.body, request.signal, !bypasses(request)),
  );
  server.get(
    '/v1/templates',
    { schema: { summary: 'The templates that briefs may name', response: { 200: templatesAnswer, ...failures } } },
    async () => ({
      templates: [...prompts().templates.values()].map(({ name, title, parts }) => ({
        name,
        title,
        needsModel: parts === undefined,
      })),
    }),
  );
}

function fixedOf({ model }: Generator, config: CopyConfig, kind: string) {
  return {
    id: `${kind}-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: model.id,
    system_fingerprint: fingerprintOf(model.revision, config.prompts?.revision ?? ''),
  };
}

function usageOf(answers: readonly Answer[]) {
  // OpenAI counts a prompt once, however many answers it has.
  const prompt = answers[0]?.promptTokens ?? 0;
  const completion = answers.reduce((sum, { completionTokens }) => sum + completionTokens, 0);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: answers[0]?.reusedTokens ?? 0 },
  };
}

interface Shape {
  chunk: (index: number, piece: Piece, finish: string | null, begins: boolean) => object;
  fixed: object;
}

/** Server-sent events. What goes wrong before the first piece is an HTTP error; after it, an event with the error ends the stream. */
async function streamed(
  generator: Generator,
  ask: Ask,
  request: FastifyRequest & { body: Common },
  reply: FastifyReply,
  { chunk, fixed }: Shape,
): Promise<FastifyReply> {
  const events = generator.stream(ask, request.signal);
  const first = await events.next();
  async function* lines(): AsyncGenerator<string, void, void> {
    const begun = new Set<number>();
    const ends: Answer[] = [];
    const line = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
    const lineOf = (event: StreamEvent) => {
      const begins = !begun.has(event.index);
      begun.add(event.index);
      if ('text' in event) return line(chunk(event.index, event, null, begins));
      ends[event.index] = event.end;
      return line(chunk(event.index, { text: '' }, event.end.finish, begins));
    };
    try {
      if (!first.done) yield lineOf(first.value);
      for await (const event of events) yield lineOf(event);
      if (request.body.stream_options?.include_usage) yield line({ ...fixed, choices: [], usage: usageOf(ends) });
      yield 'data: [DONE]\n\n';
    } catch (error) {
      const known = asQuintetError(error, request);
      if (known.code !== 'CANCELLED') request.log.warn({ err: error }, 'a stream broke');
      yield line(openAiBody(known, request.id));
    } finally {
      await events.return(undefined);
    }
  }
  return reply
    .type('text/event-stream; charset=utf-8')
    .header('cache-control', 'no-store')
    .header('x-accel-buffering', 'no')
    .send(
      Readable.from(
        whileRead(lines(), longestStall, () => reply.raw.destroy()),
        { objectMode: false },
      ),
    );
}
