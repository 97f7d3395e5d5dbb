// Models on servers with OpenAI's API: several endpoints, the one that has read a prompt's beginning or has least to do, another when it fails, a fallback
// when all do.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { secretsRoot } from '@quintet/crds';
import { type Dependency, dependency, QuintetError, type Registry } from '@quintet/runtime';
import OpenAI, { APIError } from 'openai';
import { affinity } from './affinity.ts';
import { heldChances } from './chances.ts';
import { chancesOf } from './logprobs.ts';
import type { Ended, Prompt, TextModel, TextRequest, TokenChance } from './model.ts';
import { stopScanner } from './stops.ts';

export interface Endpoint {
  name: string;
  /** Base URL, up to /v1. */
  url: string;
  /** Model asked for; the first that it lists when left out. */
  model?: string | undefined;
  /** Changes with what it writes, where that is known. */
  revision?: string | undefined;
  apiKey?: string | undefined;
  /** Share of requests; 0 only takes over. */
  weight: number;
  maxConcurrent: number;
  /** Milliseconds until the first token. */
  timeout: number;
}

export interface OpenAiOptions {
  endpoints: readonly Endpoint[];
  /** Endpoint that takes over when the others are down. */
  fallback?: string | undefined;
  fallbackDuringStream: 'Error' | 'Restart';
  /** Prefix: prompts of a tenant that begin alike go to one server as far as it has no more to do than its share. */
  routing: 'Prefix' | 'LeastLoad';
  /** Milliseconds that a failing endpoint is left alone; 5 000 when left out. */
  openFor?: number;
  registry?: Registry;
}

interface Server extends Endpoint {
  client: OpenAI;
  health: Dependency;
  running: number;
}

/** Asks for one token, so that a server that is back is used again. */
async function probe(server: Server): Promise<void> {
  const stop = new AbortController();
  const prompt = { messages: [{ role: 'user' as const, content: 'Hello' }] };
  const request: TextRequest = {
    tenant: '',
    prompt,
    overflow: 'Refuse',
    maxTokens: 1,
    temperature: 0,
    topP: 1,
    topK: 0,
    repetitionPenalty: 1,
    stop: [],
  };
  await server.health
    .callOr(async (limit) => void (await open(server, request, AbortSignal.any([limit, stop.signal]))), undefined)
    .catch(() => undefined);
  stop.abort();
}

/** The API key that is mounted for an endpoint, key `apiKey` unless the reference names one. */
export function endpointKey(name: string, key = 'apiKey', root = secretsRoot): string {
  return readFileSync(`${root}/openai.endpoints.${name}.secretRef/${key}`, 'utf8').trim();
}

export function openAiModel(options: OpenAiOptions): TextModel {
  const servers = options.endpoints.map(
    (endpoint): Server => ({
      ...endpoint,
      client: new OpenAI({
        baseURL: endpoint.url,
        apiKey: endpoint.apiKey ?? 'none',
        maxRetries: 0,
        timeout: endpoint.timeout,
      }),
      health: dependency(`openai:${endpoint.name}`, {
        // Time is limited until the first token only; what comes after may take as long as the answer is.
        timeout: endpoint.timeout,
        retries: 0,
        failures: 3,
        ...(options.openFor !== undefined && { openFor: options.openFor }),
        isFailure: (error) => !isOfRequest(error),
        ...(options.registry && { registry: options.registry }),
      }),
      running: 0,
    }),
  );
  const [named] = servers;
  if (!named) throw new RangeError('no endpoints');
  const regular = servers.filter(({ weight, name }) => weight > 0 && name !== options.fallback);

  const routes = options.routing === 'Prefix' ? affinity() : undefined;
  const load = ({ running, weight }: Server) => (running + 1) / weight;

  /** Those to try, best first; then the fallback and those of weight 0; last those that failed and may be back. */
  const order = (beginning: string): Server[] => {
    const able = servers.filter(({ health, running, maxConcurrent }) => health.available && running < maxConcurrent);
    const sound = able.filter(({ health }) => health.healthy);
    const first = sound.filter((server) => regular.includes(server));
    const ready = [
      ...(routes ? routes.order(first, beginning) : first.toSorted((a, b) => load(a) - load(b))),
      ...sound.filter((server) => !regular.includes(server)),
    ];
    const doubtful = able.filter(({ health }) => !health.healthy);
    // Where others serve, no request waits for a server that may still hang: a token is asked of it beside.
    if (ready.length > 0) for (const server of doubtful) void probe(server);
    return ready.length > 0 ? ready : doubtful;
  };

  async function* attempt(
    server: Server,
    request: TextRequest,
    signal: AbortSignal,
  ): AsyncGenerator<string, Ended, void> {
    server.running++;
    const stop = new AbortController();
    const within = AbortSignal.any([signal, stop.signal]);
    try {
      const stream = await server.health.call(
        async (limit) => open(server, request, AbortSignal.any([limit, within])),
        signal,
      );
      return yield* read(stream, request);
    } finally {
      server.running--;
      stop.abort();
    }
  }

  return {
    id: named.model ?? named.name,
    revision: revisionOf(servers),
    get parallel() {
      const room = (of: readonly Server[]) =>
        of.reduce((sum, { health, maxConcurrent }) => sum + (health.available ? maxConcurrent : 0), 0);
      // At least one: what waits is then refused with the reason instead of waiting for ever.
      return room(regular) || room(servers) || 1;
    },
    countTokens: estimate,
    get unavailable() {
      return servers.some(({ health }) => health.available) ? undefined : 'no endpoint answers';
    },
    async *generate(request, signal) {
      let sent = '';
      let problem: unknown;
      const beginning = `${request.tenant}\0${textOf(request.prompt)}`;
      for (const server of order(beginning)) {
        routes?.sent(server, beginning);
        // Of a text begun again, tokens that were told are not told twice.
        const told = request.chances && { top: request.chances.top, tokens: [] as TokenChance[] };
        const from = sent.length;
        const tell = () =>
          request.chances?.tokens.push(...(told?.tokens.splice(0) ?? []).filter(({ offset }) => offset >= from));
        const pieces = attempt(server, { ...request, chances: told }, signal);
        let repeated = '';
        try {
          for (;;) {
            const { done, value } = await pieces.next();
            tell();
            if (done) {
              // The second text ended before all of the first was repeated.
              if (repeated.length < sent.length) throw problem;
              return value;
            }
            // Begun again elsewhere: what the client has is skipped, and must be the same.
            if (repeated.length < sent.length) {
              repeated += value;
              const known = Math.min(repeated.length, sent.length);
              if (repeated.slice(0, known) !== sent.slice(0, known)) throw problem;
              const rest = repeated.slice(sent.length);
              if (rest === '') continue;
              sent += rest;
              yield rest;
            } else {
              sent += value;
              repeated = sent;
              yield value;
            }
          }
        } catch (error) {
          if (signal.aborted)
            throw signal.reason instanceof QuintetError ? signal.reason : new QuintetError('CANCELLED');
          if (error === problem || isOfRequest(error)) throw refused(error, server.name);
          if (error instanceof QuintetError && error.code === 'UNPROCESSABLE') throw error;
          problem = error;
          if (sent !== '' && options.fallbackDuringStream === 'Error') throw unavailable(server.name, error);
        } finally {
          await pieces.return(undefined as never);
        }
      }
      throw problem
        ? unavailable('every endpoint', problem)
        : new QuintetError('OVERLOADED', { queue: 'endpoints', waiting: 'all', retryAfter: 1 });
    },
    close: async () => undefined,
  };
}

/** Clients are told it, and where the servers are is not for them. */
function revisionOf(servers: readonly Endpoint[]): string {
  const told = servers.map(({ name, url, model, revision }) => [name, url, model, revision]);
  const digest = createHash('sha256').update(JSON.stringify(told)).digest('hex').slice(0, 16);
  const labels = new Set(servers.flatMap(({ revision }) => revision ?? []));
  return [...labels, digest].join(':');
}

type Stream = Awaited<ReturnType<typeof open>>;

/** Opens the stream and waits for its first event, so that a server that accepts and then says nothing counts as failed. */
async function open(server: Server, request: TextRequest, signal: AbortSignal) {
  const { client } = server;
  const model = server.model ?? (await client.models.list({ signal })).data[0]?.id ?? '';
  const body = {
    model,
    max_tokens: request.maxTokens,
    temperature: request.temperature,
    top_p: request.topP,
    stop: request.stop.length > 0 ? request.stop.slice(0, 4) : null,
    stream: true as const,
    stream_options: { include_usage: true },
    ...(request.seed !== undefined && { seed: request.seed }),
    // Of vLLM, SGLang, llama.cpp and Quintet; OpenAI's own server refuses them at their defaults too.
    ...(request.topK > 0 && { top_k: request.topK }),
    ...(request.repetitionPenalty !== 1 && { repetition_penalty: request.repetitionPenalty }),
  };
  const { prompt, chances } = request;
  const stream =
    'text' in prompt
      ? await client.completions.create(
          { ...body, prompt: prompt.text, ...(chances && { logprobs: chances.top }) },
          { signal },
        )
      : await client.chat.completions.create(
          {
            ...body,
            messages: [...prompt.messages],
            ...(chances && { logprobs: true, ...(chances.top > 0 && { top_logprobs: chances.top }) }),
          },
          { signal },
        );
  const events = (stream as AsyncIterable<OpenAI.Completion | OpenAI.ChatCompletionChunk>)[Symbol.asyncIterator]();
  return { first: await events.next(), events };
}

async function* read(
  { first, events }: Stream,
  { prompt, stop, used, chances }: TextRequest,
): AsyncGenerator<string, Ended, void> {
  let finish: Ended['finish'] | undefined;
  let usage: { prompt_tokens: number; completion_tokens: number } | undefined;
  let text = '';
  // Servers take four stop texts, and some none.
  const scanner = stopScanner(stop);
  const held = heldChances(chances);
  let sent = 0;
  const ended = (reason: Ended['finish']): Ended => ({
    finish: reason,
    promptTokens: usage?.prompt_tokens ?? estimate(prompt),
    completionTokens: usage?.completion_tokens ?? estimate({ text }),
  });
  if (used) used.promptTokens = estimate(prompt);
  for (let event = first; !event.done; event = await events.next()) {
    const { choices, usage: counted } = event.value;
    if (counted) usage = counted;
    const [choice] = choices;
    if (!choice) continue;
    const piece = 'delta' in choice ? (choice.delta.content ?? '') : choice.text;
    if (chances) {
      const tokens = chancesOf(choice.logprobs, text.length);
      if (piece !== '' && text === '' && tokens.length === 0) throw withoutChances();
      for (const token of tokens) held.add(token);
    }
    text += piece;
    if (used) used.completionTokens = estimate({ text });
    const { text: passed, stopped } = scanner.push(piece);
    sent += passed.length;
    held.release(sent);
    if (passed !== '') yield passed;
    if (stopped) return ended('stop');
    if (choice.finish_reason) finish = choice.finish_reason === 'length' ? 'length' : 'stop';
  }
  // A connection that ends in the middle ends the stream without a reason.
  if (finish === undefined) throw new Error('the stream ended before the answer did');
  const rest = scanner.end();
  held.release(Number.POSITIVE_INFINITY);
  if (rest !== '') yield rest;
  return ended(finish);
}

/** It answered without what was asked for, and will do so again. */
function withoutChances(): QuintetError {
  return new QuintetError('UNPROCESSABLE', {
    field: 'logprobs',
    reason: 'the server behind it does not give logprobs',
  });
}

function textOf(prompt: Prompt): string {
  if ('text' in prompt) return prompt.text;
  return prompt.messages.map(({ role, content }) => `${role}\0${content}`).join('\0');
}

/** About four characters a token: for fair turns and reservations; what is settled is the server's own count. */
function estimate(prompt: Prompt): number {
  const characters =
    'text' in prompt ? prompt.text.length : prompt.messages.reduce((sum, { content }) => sum + content.length + 16, 0);
  return Math.ceil(characters / 4);
}

/** The server understood and refused: another one would too. */
function isOfRequest(error: unknown): error is APIError {
  return error instanceof APIError && typeof error.status === 'number' && [400, 404, 413, 422].includes(error.status);
}

function refused(error: unknown, name: string): unknown {
  if (!isOfRequest(error)) return error;
  return new QuintetError('UNPROCESSABLE', { reason: `endpoint ${name} refused: ${error.message}` }, { cause: error });
}

function unavailable(name: string, error: unknown): QuintetError {
  return new QuintetError(
    'DEPENDENCY_UNAVAILABLE',
    { dependency: name, reason: error instanceof Error ? error.message : String(error), retryAfter: 1 },
    { cause: error },
  );
}
