// One request from options to answer: checked, cached per tenant, done in a worker thread within its deadline, accounted for.
import {
  counter,
  type EngineContext,
  engineCache,
  isQuintetError,
  type MemoryTier,
  type Pool,
  prefetcher,
  QuintetError,
} from '@quintet/runtime';
import { type Chunk, chunksOf, joined } from '../chunks.ts';
import type { CompressOptions } from '../compress.ts';
import type { ConversationOptions, Policy } from '../conversation.ts';
import { Feedback, type FeedbackState } from '../feedback.ts';
import { tokenizer } from '../tokens.ts';
import type { ServiceConfig } from './config.ts';
import { inTurn } from './inTurn.ts';
import { type Kept, keptCodec, keptOf, repliedFrom, type TextResult } from './kept.ts';
import { type OriginalStores, type Originals, openOriginals } from './originals.ts';
import { type PluginFile, pluginFiles } from './plugins.ts';
import type { CompressAnswer, CompressRequest } from './schema.ts';
import type { Outcome, Task } from './work.ts';

export interface Compressor {
  readonly originals: Originals;
  answer(tenant: string, request: CompressRequest, signal: AbortSignal): Promise<CompressAnswer>;
  /** As `answer`, but what a cache had comes as the JSON that was kept, neither read nor written again. */
  reply(tenant: string, request: CompressRequest, signal: AbortSignal): Promise<CompressAnswer | Buffer>;
  /** Writes what was learned to Redis, or reads what others learned; takes changed plugins over. */
  sync(): Promise<void>;
  /** For healing: the first tier, and everything this process holds. */
  readonly memory: MemoryTier;
  clearCache(): Promise<void>;
  purge(tenant: string): Promise<void>;
  close(): Promise<void>;
}

const feedbackKey = 'quintet:compression:feedback';
/** Longest text that is worth being made ahead and remembered for it. */
const longestPrefetched = 32_768;

export async function openCompressor(
  context: EngineContext<ServiceConfig>,
  pool: Pool,
  version: string,
  stores: OriginalStores,
): Promise<Compressor> {
  const cache = await engineCache<Kept>({
    name: 'compression',
    kind: 'compress',
    version,
    codec: keptCodec,
    ...context,
  });
  const originals = openOriginals(stores, () => context.config.originals.retention);
  const feedback = new Feedback();
  let learnedSince = 0;
  let plugins: readonly PluginFile[] = pluginFiles(context.config);
  const tokens = counter(
    context.registry,
    'quintet_compression_tokens_total',
    'Tokens compressed: what came in, and what went out.',
    ['tenant', 'which'],
  );
  const work = async (task: Omit<Task, 'maxTokens'>, signal: AbortSignal, timeout?: number): Promise<Outcome> => {
    const outcome = await pool.run<Outcome>(
      { ...task, maxTokens: context.config.compression.maxInputTokens },
      { signal, ...(timeout && { timeout }) },
    );
    if ('refused' in outcome) {
      const { code, message, field } = outcome.refused;
      throw new QuintetError(code === 'InvalidField' || code === 'TooLong' ? 'INVALID_REQUEST' : 'UNPROCESSABLE', {
        reason: message,
        field,
      });
    }
    return outcome;
  };
  const compressText = async (
    tenant: string,
    options: CompressOptions,
    keep: boolean,
    signal: AbortSignal,
    timeout?: number,
  ) => {
    const { compression } = context.config;
    const fixed = Object.fromEntries(
      compression.strategies.map((each) => [each.contentType.toLowerCase(), each.strategy.toLowerCase()]),
    );
    return cache.getOrMake(
      { tenant, input: { ...options, fixed, keep, ...(plugins.length > 0 && { plugins: plugins.map(identity) }) } },
      async (cancelled) => {
        const learned = compression.feedback === 'Enabled' ? { learned: feedback.state } : {};
        const outcome = await work({ options, fixed, plugins, ...learned }, cancelled, timeout);
        const result: TextResult = (outcome as { text: TextResult }).text;
        tokens.inc({ tenant, which: 'in' }, result.originalTokens);
        tokens.inc({ tenant, which: 'out' }, result.compressedTokens);
        if (result.fidelity) {
          feedback.observe(result.analysis.type, result.rate.requested, result.strategy, result.fidelity.score);
          learnedSince++;
        }
        return keptOf(keep ? { ...result, original: await originals.keep(tenant, options.text) } : result);
      },
      // A kept answer must not outlive the original that it names.
      {
        signal,
        ttl: Math.min(context.settings.cache.ttl, keep ? context.config.originals.retention : Number.MAX_SAFE_INTEGER),
      },
    );
  };
  const ahead =
    context.settings.cache.prefetch === 'Enabled'
      ? prefetcher<{ options: CompressOptions; keep: boolean }>({
          name: 'compression',
          keyOf: ({ options }) => JSON.stringify(options),
          // Only while no request waits for a thread.
          fetch: async (tenant, { options, keep }, signal) => {
            if (pool.waiting === 0) await compressText(tenant, options, keep, signal);
          },
          maxKeys: 2000,
          registry: context.registry,
        })
      : undefined;

  return {
    originals,
    memory: cache.memory,
    clearCache: () => cache.clear(),
    purge: (tenant) => cache.invalidateTenant(tenant),
    async answer(tenant, request, signal) {
      const reply = await replyTo(tenant, request, signal);
      return Buffer.isBuffer(reply) ? (JSON.parse(reply.toString('utf8')) as CompressAnswer) : reply;
    },
    reply: replyTo,
    async sync() {
      const { redis, config } = context;
      plugins = pluginFiles(config);
      if (!redis || config.compression.feedback === 'Disabled') return;
      if (learnedSince > 0) {
        learnedSince = 0;
        await redis.callOr((client) => client.set(feedbackKey, JSON.stringify(feedback.state)), null);
      } else {
        const stored = await redis.callOr((client) => client.get(feedbackKey), null);
        if (stored) feedback.restore(JSON.parse(stored) as FeedbackState);
      }
    },
    async close() {
      ahead?.close();
      await ahead?.settled();
      await cache.close();
    },
  };

  async function replyTo(
    tenant: string,
    request: CompressRequest,
    signal: AbortSignal,
  ): Promise<CompressAnswer | Buffer> {
    const { config } = context;
    check(request, config);
    const timeout = request.deadlineMs ?? config.compression.latencyBudget;
    const reserved = await context.quotas.reserve(tenant, Math.ceil(lengthOf(request) / 4));
    try {
      const answer = request.messages
        ? conversationAnswer(await work({ conversation: conversationOptions(request, config) }, signal, timeout))
        : await textAnswer(tenant, request, signal, timeout);
      await reserved.settle(Buffer.isBuffer(answer) || answer.source !== 'miss' ? 0 : answer.originalTokens);
      return answer;
    } catch (error) {
      await reserved.settle(0);
      if (isQuintetError(error) && error.code === 'DEADLINE_EXCEEDED')
        return unchanged(request, config, `the deadline of ${timeout} ms passed`);
      throw error;
    }
  }

  async function textAnswer(
    tenant: string,
    request: CompressRequest,
    signal: AbortSignal,
    timeout: number | undefined,
  ): Promise<CompressAnswer | Buffer> {
    const { config } = context;
    const text = request.text as string;
    const options = textOptions(request, config);
    const keep = config.originals.mode === 'Kept';
    if (!request.baseId) {
      if (text.length <= longestPrefetched) ahead?.observe(tenant, { options, keep });
      const { value, source } = await compressText(tenant, options, keep, signal, timeout);
      return source === 'miss' ? { ...(value.result as CompressAnswer), source } : repliedFrom(value, source);
    }
    await originals.get(tenant, request.baseId);
    const result = await incremental(tenant, chunksOf(text), options, signal, timeout);
    return { ...(result as CompressAnswer), ...(keep && { original: await originals.keep(tenant, text) }) };
  }

  /** Parts that were compressed before come from the cache. */
  async function incremental(
    tenant: string,
    chunks: readonly Chunk[],
    options: CompressOptions,
    signal: AbortSignal,
    timeout?: number,
  ) {
    const parts = await inTurn(chunks, ({ text }) =>
      compressText(tenant, { ...options, text }, false, signal, timeout),
    );
    const results = parts.map(({ value }) => value.result);
    const longest = results.toSorted((a, b) => b.originalTokens - a.originalTokens)[0];
    const reused = parts.filter(({ source }) => source !== 'miss').length;
    return {
      ...joined(chunks, results),
      strategy: longest?.strategy ?? 'auto',
      ...(longest && { analysis: longest.analysis }),
      incremental: { parts: parts.length, reused },
      source: reused === parts.length ? (parts[0]?.source ?? 'miss') : 'miss',
    };
  }
}

function identity({ name, digest }: PluginFile): string {
  return `${name}:${digest}`;
}

function check(request: CompressRequest, { compression }: ServiceConfig): void {
  const refuse = (field: string, reason: string): never => {
    throw new QuintetError('INVALID_REQUEST', { field, reason });
  };
  if ((request.text === undefined) === (request.messages === undefined)) refuse('text', 'give either text or messages');
  if (request.ratio !== undefined && request.targetTokens !== undefined)
    refuse('targetTokens', 'give either ratio or targetTokens, not both');
  if ((request.ratio ?? 1) > compression.maxRatio) refuse('ratio', `ratio must not exceed ${compression.maxRatio}`);
  if (request.baseId && request.targetTokens !== undefined)
    refuse('targetTokens', 'a change of an earlier text takes a ratio, not targetTokens');
  if (request.baseId && request.protect) refuse('protect', 'a change of an earlier text cannot protect parts');
  for (const { start, end } of request.protect ?? [])
    if (end < start) refuse('protect', 'the end of a protected part comes before its start');
}

function lengthOf(request: CompressRequest): number {
  return request.text?.length ?? request.messages?.reduce((sum, { content }) => sum + content.length, 0) ?? 0;
}

function textOptions(request: CompressRequest, { compression }: ServiceConfig): CompressOptions {
  const measure =
    request.fidelity ??
    (compression.fidelity === 'Measure' || (compression.fidelity === 'Sample' && Math.random() < 0.05));
  return {
    text: request.text as string,
    ...(request.targetTokens === undefined
      ? { ratio: request.ratio ?? compression.defaultRatio }
      : { targetTokens: request.targetTokens }),
    ...(request.query && { query: request.query }),
    strategy: (request.strategy ?? compression.strategy).toLowerCase(),
    tokenizer: request.tokenizer ?? compression.tokenizer,
    ...(request.protect && { protect: request.protect }),
    fidelity: measure,
  };
}

function conversationOptions(
  request: CompressRequest,
  { compression, conversations }: ServiceConfig,
): ConversationOptions {
  const lower = (word: string): never => word.toLowerCase() as never;
  const policies: Policy[] = conversations.policies.map(({ protect, role, tool, tag, ratio, strategy }) => ({
    action: protect ? 'Keep' : 'Compress',
    ...(role && { role: lower(role) }),
    ...(tool && { tool }),
    ...(tag && { tag }),
    ...(ratio && { ratio }),
    ...(strategy && { strategy: lower(strategy) }),
  }));
  for (const role of conversations.protectedRoles) policies.push({ role: lower(role), action: 'Keep' });
  return {
    messages: request.messages as ConversationOptions['messages'],
    ratio: request.ratio ?? compression.defaultRatio,
    keepRecent: conversations.keepLast,
    policies,
    tokenizer: request.tokenizer ?? compression.tokenizer,
  };
}

function conversationAnswer(outcome: Outcome): CompressAnswer {
  const { conversation } = outcome as Extract<Outcome, { conversation: unknown }>;
  const { messages, stable, originalTokens, compressedTokens, ratio } = conversation;
  return {
    messages: messages as CompressAnswer['messages'],
    stable,
    originalTokens,
    compressedTokens,
    ratio,
    strategy: 'conversation',
    source: 'miss',
  };
}

/** The request's own text, said to be unchanged: late is worse than long. */
function unchanged(request: CompressRequest, { compression }: ServiceConfig, reason: string): CompressAnswer {
  const exact = tokenizer(request.tokenizer ?? compression.tokenizer);
  const tokens =
    request.text === undefined
      ? (request.messages ?? []).reduce((sum, { content }) => sum + exact.count(content), 0)
      : exact.count(request.text);
  return {
    ...(request.text === undefined
      ? { messages: request.messages }
      : { text: request.text, spans: request.text ? [{ start: 0, end: request.text.length, kept: true }] : [] }),
    originalTokens: tokens,
    compressedTokens: tokens,
    ratio: 1,
    strategy: 'none',
    unchanged: reason,
    source: 'miss',
  };
}
