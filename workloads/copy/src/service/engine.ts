// CopyEngine: language models, or templates, behind OpenAI's API and briefs, on the runtime every engine stands on.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type EngineContext, type EngineDefinition, engineCache, histogram, QuintetError } from '@quintet/runtime';
import { z } from 'zod';
import { type Prompts, readPrompts } from '../brief/template.ts';
import { openModelFile } from '../models/file.ts';
import type { TextModel } from '../models/model.ts';
import { endpointKey, openAiModel } from '../models/openai.ts';
import { accounts } from './accounts.ts';
import { type CopyConfig, config } from './config.ts';
import { type Answer, type Generator, generator } from './generator.ts';
import { openLedger } from './ledger.ts';
import { routes } from './routes.ts';
import { turns } from './turns.ts';
import { writer } from './writer.ts';

export interface CopyOptions {
  /** Where claims are mounted. */
  claims?: string;
  /** Milliseconds between attempts to load a model that is missing or damaged; `Never` gives up at once. */
  retryAfter?: number | 'Never';
  /** Threads that the model computes with; the cgroup's quota when left out. */
  threads?: number;
}

/** Requests that may wait for each that is in work. */
const patience = 16;
/** Milliseconds that a drain waits for what is settled. */
const longestSettling = 5000;
const builtIn = fileURLToPath(new URL('../../templates', import.meta.url));

export function copyEngine(options: CopyOptions = {}): EngineDefinition<typeof config> {
  let prompts: Prompts;
  let serving: Generator | undefined;
  const closing: (() => Promise<void>)[] = [];
  const loadPrompts = ({ prompts: own }: CopyConfig) => {
    prompts = readPrompts(builtIn, own?.directory);
  };
  return {
    name: 'copy',
    version: '0.1.0',
    config,
    reloadable: ['generation', 'guardrails', 'prompts', 'priorities'],
    onReload: loadPrompts,
    routes: async (server, context) => {
      loadPrompts(context.config);
      const write = writer({ context, prompts: () => prompts, generator: () => serving });
      await routes(server, { context, write, prompts: () => prompts, generator: () => serving });
    },
    // Until the model is there the engine says what it waits for, and tries again: a claim that is filled later needs no restart.
    start: async (context) => {
      if (context.config.runtime === 'Template') return;
      let said = '';
      for (;;) {
        try {
          const url = ledgerUrl(context.config);
          const model = await openModel(context, options);
          serving = await serve(model, url, context, closing);
          context.readiness.clear('model');
          return;
        } catch (error) {
          if (options.retryAfter === 'Never') throw error;
          const reason = error instanceof Error ? error.message : String(error);
          if (reason !== said) context.log.error({ err: error }, 'the model cannot be served; trying again');
          said = reason;
          context.readiness.block('model', reason);
          await pause(options.retryAfter ?? 10_000, context.signal);
        }
      }
    },
    onDrain: async () => {
      for (const close of closing) await close();
    },
  };
}

async function serve(
  model: TextModel,
  url: string | undefined,
  context: EngineContext<CopyConfig>,
  closing: (() => Promise<void>)[],
): Promise<Generator> {
  // The last that may fail: what is tried again leaves nothing behind.
  const cache = await engineCache<Answer[]>({
    name: 'copy',
    kind: 'answer',
    version: `${model.id}:${model.revision}`,
    ...context,
  }).catch(async (error: unknown) => {
    await model.close();
    throw error;
  });
  const queue = turns({
    parallel: () => model.parallel,
    maxQueue: patience * model.parallel,
    weightOf: (tenant) => Number(context.settings.tenants.find(({ name }) => name === tenant)?.['weight'] ?? 1),
    registry: context.registry,
  });
  const ledger = url === undefined ? undefined : openLedger(url, context.registry);
  const books = accounts(context, ledger);
  // Answers that were cut off are settled yet: the ledger and Redis are closed after them.
  closing.push(
    async () => {
      const settled = new AbortController();
      await Promise.race([books.idle(), pause(longestSettling, settled.signal)]);
      settled.abort();
    },
    () => cache.close(),
    () => model.close(),
    async () => ledger?.close(),
  );
  return generator({ model, cache, turns: queue, accounts: books, context });
}

/** Throws where money is limited and the model has no price: its budget would never be spent. */
function checkPrice({ budgets }: CopyConfig, id: string): void {
  const limited = budgets?.keys.find(({ costPerDay }) => costPerDay !== undefined);
  if (!limited || budgets?.prices.some(({ name }) => name === id)) return;
  throw new QuintetError('CONFIG_INVALID', {
    field: 'budgets.prices',
    source: 'the resource',
    reason: `key ${limited.name} has costPerDay, and the model ${id} has no price`,
  });
}

/** Of the PostgreSQL that the resource names, else of that in the environment; none without `budgets`. */
function ledgerUrl({ budgets }: CopyConfig): string | undefined {
  if (!budgets) return undefined;
  const { postgres } = budgets;
  if (!postgres) return process.env['QUINTET_POSTGRES_URL'] || undefined;
  return readFileSync(`${postgres.directory}/${postgres.secretRef.key}`, 'utf8').trim();
}

async function openModel(context: EngineContext<CopyConfig>, options: CopyOptions): Promise<TextModel> {
  const { config: own, registry, signal, log } = context;
  // The controller names the server that it runs for Managed as the only endpoint.
  if (own.runtime === 'OpenAI' || own.runtime === 'Managed') {
    if (!own.openai) {
      const reason = `runtime ${own.runtime} needs openai.endpoints`;
      throw new QuintetError('CONFIG_INVALID', { field: 'openai', reason });
    }
    const { fallback, fallbackDuringStream } = own.openai;
    const endpoints = own.runtime === 'Managed' ? await managed(own.openai.endpoints, signal) : own.openai.endpoints;
    const withKeys = endpoints.map((endpoint) => ({
      ...endpoint,
      apiKey: endpoint.secretRef && endpointKey(endpoint.name, endpoint.secretRef.key),
    }));
    const model = openAiModel({ endpoints: withKeys, fallback, fallbackDuringStream, registry });
    checkPrice(own, model.id);
    return model;
  }
  if (own.runtime !== 'LlamaCpp') {
    throw new QuintetError('NOT_READY', {
      reason: `this image does not hold runtime ${own.runtime}; use LlamaCpp, OpenAI or Template`,
    });
  }
  if (!own.model)
    throw new QuintetError('MODEL_MISSING', { uri: 'model.source', reason: 'the resource names no model' });
  const { model } = own;
  const file = await openModelFile({
    source: model.source,
    sha256: model.sha256,
    at: 'model.source',
    directory: `${process.env['QUINTET_CACHE'] ?? '/var/cache/quintet'}/models`,
    registry,
    signal,
    onProgress: (message) => context.readiness.block('model', message),
    ...(options.claims && { claims: options.claims }),
  });
  const id =
    file.path
      .split('/')
      .at(-1)
      ?.replace(/\.gguf$/i, '') ?? 'model';
  checkPrice(own, id);
  const took = histogram(registry, 'quintet_copy_batch_seconds', 'From token to token of every answer in work.', [
    'model',
  ]);
  // Loaded only where it is used: the library takes a second and many megabytes.
  const { openLlama } = await import('../models/llama.ts');
  return openLlama({
    path: file.path,
    // The label alone would not tell two files apart.
    revision: [model.revision, file.digest].filter((part) => part !== undefined).join(':'),
    id,
    contextTokens: model.contextTokens,
    sequences: own.batching.maxSize,
    chatTemplate: model.chatTemplate,
    gpuLayers: model.gpuLayers,
    gpu: own.gpu.policy !== 'None',
    gpuRequired: own.gpu.policy === 'Required',
    ...(options.threads !== undefined && { threads: options.threads }),
    signal,
    onProgress: (share) => context.readiness.block('model', `loading ${file.path}: ${Math.floor(100 * share)} %`),
    onBatch: ({ milliseconds }) => took.observe({ model: id }, milliseconds / 1000),
    onLog: (level, message) => log[level](message),
  });
}

type Endpoints = NonNullable<CopyConfig['openai']>['endpoints'];

/** The endpoint with the name of its model; throws `NOT_READY` while its server loads: the pod is as little ready as the server is. */
async function managed(endpoints: Endpoints, signal: AbortSignal): Promise<Endpoints> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(5000)]);
  return Promise.all(
    endpoints.map(async (endpoint) => {
      try {
        const answer = await fetch(`${endpoint.url}/models`, { signal: within });
        if (!answer.ok) throw new Error(`it answered ${answer.status}`);
        const { data } = modelList.parse(await answer.json());
        return { ...endpoint, model: endpoint.model ?? data[0].id };
      } catch (error) {
        const { message, cause } = error as Error;
        const said = cause instanceof Error ? cause.message : message;
        throw new QuintetError(
          'NOT_READY',
          { reason: `the managed server does not serve yet: ${said}` },
          { cause: error },
        );
      }
    }),
  );
}

const modelList = z.looseObject({ data: z.tuple([z.looseObject({ id: z.string().min(1) })], z.unknown()) });

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
