// One request from options to answer: checked, cached per tenant, done in a worker thread within its deadline, accounted for.
import {
  counter,
  type EngineContext,
  engineCache,
  isQuintetError,
  type MemoryTier,
  orAborted,
  type Pool,
  QuintetError,
  type Source,
  sharedOf,
} from '@quintet/runtime';
import { chunksOf, joined } from '../chunks.ts';
import type { CompressOptions } from '../compress.ts';
import { conversationOf, type Message } from '../conversation.ts';
import { aheadOf } from './ahead.ts';
import type { ServiceConfig } from './config.ts';
import { inTurn } from './inTurn.ts';
import { type Kept, keptCodec, keptOf, repliedFrom, type TextResult } from './kept.ts';
import { openLearning } from './learning.ts';
import type { ServiceModels } from './models.ts';
import { type OriginalStores, type Originals, openOriginals } from './originals.ts';
import { type PluginFile, pluginFiles } from './plugins.ts';
import { checkRequest, conversationOptions, lengthOf, textOptions, unchanged } from './request.ts';
import type { CompressAnswer, CompressRequest } from './schema.ts';
import type { Outcome, Task } from './work.ts';

export interface Compressor {
  readonly originals: Originals;
  answer(tenant: string, request: CompressRequest, signal: AbortSignal): Promise<CompressAnswer>;
  /** As `answer`, for a text that goes to the model among others: it has no legend. */
  part(tenant: string, request: CompressRequest, signal: AbortSignal): Promise<CompressAnswer>;
  /** As `answer`, but what a cache had comes as the JSON that was kept, neither read nor written again. */
  reply(tenant: string, request: CompressRequest, signal: AbortSignal): Promise<CompressAnswer | Buffer>;
  /** Shares what was learned with other replicas; hands originals to a store that is back; takes changed plugins over. */
  sync(): Promise<void>;
  /** For healing: the first tier, and everything this process holds. */
  readonly memory: MemoryTier;
  clearCache(): Promise<void>;
  purge(tenant: string): Promise<void>;
  close(): Promise<void>;
}

/** Milliseconds that a thread has to see that nobody waits any more; ending it costs the loading of its tokenizer. */
const grace = 2000;

interface Made {
  readonly answer: CompressAnswer | Buffer;
  /** Tokens of originals that were compressed for it: what a cache had is free. */
  readonly charged: number;
}
interface Options {
  /** Whether the original is kept. */
  readonly keep: boolean;
  /** Whether what was learned may change the strategy: not where the same text must give the same bytes for ever. */
  readonly learned: boolean;
}

export async function openCompressor(
  context: EngineContext<ServiceConfig>,
  pool: Pool,
  version: string,
  stores: OriginalStores,
  models: ServiceModels,
): Promise<Compressor> {
  const cache = await engineCache<Kept>({
    name: 'compression',
    kind: 'compress',
    version,
    codec: keptCodec,
    ...context,
  });
  const originals = openOriginals(stores, () => context.config.originals.retention);
  const learning = openLearning(context.redis, `${stores.prefix}:learned`);
  let plugins: readonly PluginFile[] = pluginFiles(context.config);
  const tokens = counter(
    context.registry,
    'quintet_compression_tokens_total',
    'Tokens compressed: what came in, and what went out.',
    ['tenant', 'which'],
  );
  const work = async (task: Omit<Task, 'maxTokens' | 'flag'>, signal: AbortSignal): Promise<Outcome> => {
    const flag = sharedOf(Int32Array, 1);
    const outcome = await pool.run<Outcome>(
      { ...task, flag, maxTokens: context.config.compression.maxInputTokens },
      { signal, leave: { flag, grace } },
    );
    if ('refused' in outcome) {
      const { code, message, field } = outcome.refused;
      if (code === 'Cancelled') throw new QuintetError('CANCELLED');
      throw new QuintetError(ofRequest.has(code) ? 'INVALID_REQUEST' : 'UNPROCESSABLE', { reason: message, field });
    }
    return outcome;
  };
  /** Where the strategy is the model, the thread first says which words it wants scored. */
  const scored = async (task: Omit<Task, 'maxTokens' | 'flag'>, signal: AbortSignal): Promise<TextResult> => {
    const first = await work({ ...task, classifier: models.classifies }, signal);
    if (!('unscored' in first)) return (first as { text: TextResult }).text;
    const scores = await models.score((task.options as CompressOptions).text, first.unscored, signal);
    return ((await work({ ...task, scores, threshold: models.threshold }, signal)) as { text: TextResult }).text;
  };
  const fixedOf = ({ compression }: ServiceConfig): Record<string, string> =>
    Object.fromEntries(
      compression.strategies.map((each) => [each.contentType.toLowerCase(), each.strategy.toLowerCase()]),
    );
  const compressText = async (
    tenant: string,
    options: CompressOptions,
    { keep, learned }: Options,
    signal: AbortSignal,
  ): Promise<{ value: Kept; source: Source }> => {
    const { compression } = context.config;
    const fixed = fixedOf(context.config);
    const input = {
      ...options,
      fixed,
      keep,
      learned,
      ...models.identity,
      ...(plugins.length > 0 && { plugins: plugins.map(identity) }),
    };
    return cache.getOrMake(
      { tenant, input },
      async (cancelled) => {
        const learnt = learned && compression.feedback === 'Enabled' ? { learned: learning.state } : {};
        const result = await models.similar(
          options,
          await scored({ options, fixed, plugins, ...learnt }, cancelled),
          cancelled,
        );
        tokens.inc({ tenant, which: 'in' }, result.originalTokens);
        tokens.inc({ tenant, which: 'out' }, result.compressedTokens);
        if (result.fidelity)
          learning.observe(result.analysis.type, result.rate.requested, result.strategy, result.fidelity.score);
        return keptOf(keep ? { ...result, original: await originals.keep(tenant, options.text) } : result);
      },
      // A kept answer must not outlive the original that it names.
      {
        signal,
        ttl: Math.min(context.settings.cache.ttl, keep ? context.config.originals.retention : Number.MAX_SAFE_INTEGER),
      },
    );
  };
  const ahead = aheadOf(context, pool, (tenant, { options, keep }, signal) =>
    compressText(tenant, options, { keep, learned: true }, signal),
  );

  return {
    originals,
    memory: cache.memory,
    clearCache: () => cache.clear(),
    purge: (tenant) => cache.invalidateTenant(tenant),
    answer: async (tenant, request, signal) => read(await replyTo(tenant, request, signal)),
    part: async (tenant, request, signal) => read(await replyTo(tenant, { ...request, legend: false }, signal)),
    reply: replyTo,
    async sync() {
      plugins = pluginFiles(context.config);
      if (context.config.compression.feedback === 'Enabled') await learning.sync();
      await originals.flush();
    },
    async close() {
      ahead?.close();
      await ahead?.settled();
      await cache.close();
    },
  };

  /** The deadline is the caller's own: work that others wait for too goes on without it. */
  async function replyTo(
    tenant: string,
    request: CompressRequest,
    signal: AbortSignal,
  ): Promise<CompressAnswer | Buffer> {
    const { config } = context;
    checkRequest(request, config);
    const limit = request.deadlineMs ?? config.compression.latencyBudget;
    if (limit === undefined) return accounted(tenant, request, signal);
    const late = AbortSignal.timeout(limit);
    try {
      return await orAborted(accounted(tenant, request, AbortSignal.any([signal, late])), late);
    } catch (error) {
      if (!late.aborted || signal.aborted || !endedEarly(error)) throw error;
      return unchanged(request, `the deadline of ${limit} ms passed`);
    }
  }

  async function accounted(
    tenant: string,
    request: CompressRequest,
    signal: AbortSignal,
  ): Promise<CompressAnswer | Buffer> {
    const reserved = await context.quotas.reserve(tenant, Math.ceil(lengthOf(request) / 4));
    try {
      const { answer, charged } = await (request.messages
        ? conversationAnswer(tenant, request, request.messages as Message[], signal)
        : textAnswer(tenant, request, signal));
      await reserved.settle(charged);
      return answer;
    } catch (error) {
      await reserved.settle(0);
      throw error;
    }
  }

  async function textAnswer(tenant: string, request: CompressRequest, signal: AbortSignal): Promise<Made> {
    const { config } = context;
    const options = textOptions(request, config);
    const keep = config.originals.mode === 'Kept';
    if (request.baseId) return incremental(tenant, request.baseId, options, keep, signal);
    ahead?.observe(tenant, { options, keep });
    const { value, source } = await compressText(tenant, options, { keep, learned: true }, signal);
    return source === 'miss'
      ? { answer: { ...(value.result as CompressAnswer), source }, charged: value.result.originalTokens }
      : { answer: repliedFrom(value, source), charged: 0 };
  }

  /** Parts that were compressed before come from the cache. */
  async function incremental(
    tenant: string,
    baseId: string,
    options: CompressOptions,
    keep: boolean,
    signal: AbortSignal,
  ): Promise<Made> {
    if (!keep) {
      const reason = 'originals are not kept here, so there is no earlier text to name';
      throw new QuintetError('INVALID_REQUEST', { field: 'baseId', reason });
    }
    await originals.get(tenant, baseId);
    const chunks = chunksOf(options.text);
    const parts = await inTurn(chunks, ({ text }) =>
      compressText(tenant, { ...options, text }, { keep: false, learned: true }, signal),
    );
    const results = parts.map(({ value }) => value.result);
    const longest = results.toSorted((a, b) => b.originalTokens - a.originalTokens)[0];
    const made = parts.filter(({ source }) => source === 'miss');
    const answer = {
      ...joined(chunks, results),
      strategy: longest?.strategy ?? 'auto',
      ...(longest && { analysis: longest.analysis }),
      incremental: { parts: parts.length, reused: parts.length - made.length },
      source: made.length === 0 ? (parts[0]?.source ?? 'miss') : 'miss',
      original: await originals.keep(tenant, options.text),
    };
    return { answer: answer as CompressAnswer, charged: chargeOf(made) };
  }

  /** Each message by itself: those of earlier turns come from the cache, byte for byte as they were. */
  async function conversationAnswer(
    tenant: string,
    request: CompressRequest,
    messages: readonly Message[],
    signal: AbortSignal,
  ): Promise<Made> {
    const { config } = context;
    const outcome = await work({ conversation: conversationOptions(request, config) }, signal);
    const { plan } = outcome as Extract<Outcome, { plan: unknown }>;
    const keep = config.originals.mode === 'Kept';
    const parts = await inTurn(messages, async ({ content }, index) => {
      const options = plan.work[index];
      if (!options) return undefined;
      return compressText(tenant, { ...options, text: content, fidelity: false }, { keep, learned: false }, signal);
    });
    const results = parts.map((part) => part?.value.result);
    const made = parts.flatMap((part) => (part?.source === 'miss' ? [part] : []));
    const { messages: compressed, ...figures } = conversationOf(messages, plan, results);
    const answer: CompressAnswer = {
      ...figures,
      messages: compressed as CompressAnswer['messages'],
      compressed: results.flatMap((result, message) => (result ? [{ ...partOf(result), message }] : [])),
      rate: { ...figures.rate },
      strategy: 'conversation',
      source: 'miss',
    };
    return { answer, charged: chargeOf(made) };
  }
}

function read(reply: CompressAnswer | Buffer): CompressAnswer {
  return Buffer.isBuffer(reply) ? (JSON.parse(reply.toString('utf8')) as CompressAnswer) : reply;
}

function partOf({ originalTokens, compressedTokens, strategy, rate, spans, original }: TextResult) {
  return {
    originalTokens,
    compressedTokens,
    strategy,
    rate,
    spans: spans.map((span) => ({ ...span })),
    ...(original && { original }),
  };
}

/** Refusals that a look at the request explains. */
const ofRequest: ReadonlySet<string> = new Set(['InvalidField', 'TooLong', 'UnknownStrategy']);

function chargeOf(made: readonly { value: Kept }[]): number {
  return made.reduce((sum, { value }) => sum + value.result.originalTokens, 0);
}

/** Whether work ended because its time was up, not because it is wrong. */
function endedEarly(error: unknown): boolean {
  if (!isQuintetError(error)) return (error as Error).name === 'TimeoutError';
  return error.code === 'CANCELLED' || error.code === 'DEADLINE_EXCEEDED';
}

function identity({ name, digest }: PluginFile): string {
  return `${name}:${digest}`;
}
