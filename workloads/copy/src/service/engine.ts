// CopyEngine: language models, or templates, behind OpenAI's API and briefs, on the runtime every engine stands on.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  type EngineContext,
  type EngineDefinition,
  engineCache,
  gaugeOf,
  QuintetError,
  remedies,
} from '@quintet/runtime';
import type { Embedding } from '@quintet/runtime/texts';
import { type Prompts, readPrompts } from '../brief/template.ts';
import type { LlamaBase } from '../models/llama.ts';
import type { TextModel } from '../models/model.ts';
import { accounts } from './accounts.ts';
import { type Adapters, adapters } from './adapters.ts';
import { type Ahead, writingAhead } from './ahead.ts';
import type { ModelOptions } from './ask.ts';
import { type CopyConfig, config } from './config.ts';
import { openMeaning, semanticOf } from './embedding.ts';
import { type Answer, type Generator, generator } from './generator.ts';
import { openLedger } from './ledger.ts';
import { type Followed, openModel } from './open.ts';
import { routes } from './routes.ts';
import { type Turns, turns } from './turns.ts';
import { writer } from './writer.ts';

export interface CopyOptions extends Followed {
  /** Where claims are mounted. */
  claims?: string;
  /** Milliseconds between attempts to load a model that is missing or damaged; `Never` gives up at once. */
  retryAfter?: number | 'Never';
  /** Threads that the model computes with; the cgroup's quota when left out. */
  threads?: number;
  /** Milliseconds after which a replica that died no longer holds what it had reserved; a minute when left out. */
  lease?: number;
  /** Milliseconds for an answer that is no stream; 15 minutes when left out. */
  longestAnswer?: number;
}

/** Requests that may wait for each that is in work. */
const patience = 16;
/** Milliseconds that a drain waits for what is settled. */
const longestSettling = 5000;
const builtIn = fileURLToPath(new URL('../../templates', import.meta.url));

export function copyEngine(options: CopyOptions = {}): EngineDefinition<typeof config> {
  let prompts: Prompts;
  let serving: Serving | undefined;
  let ahead: Ahead | undefined;
  const closing: (() => Promise<void>)[] = [];
  /** Of the answers at once that the model allows. */
  let share = 1;
  const loadPrompts = ({ prompts: own }: CopyConfig) => {
    prompts = readPrompts(builtIn, own?.directory);
  };
  return {
    name: 'copy',
    version: '0.1.0',
    config,
    ...remedies({
      caches: () => ({ clear: async () => serving?.cache.clear(), memory: serving ? [serving.cache.memory] : [] }),
      batches: () => (serving ? [(asked) => void (share = asked)] : []),
    }),
    reloadable: ['generation', 'guardrails', 'prompts', 'priorities', 'adapters'],
    onReload: (changed) => {
      loadPrompts(changed);
      serving?.adapters.apply(changed.adapters);
    },
    routes: async (server, context) => {
      loadPrompts(context.config);
      const served: ModelOptions['generator'] = (adapter, field) =>
        adapter === undefined ? serving?.base : serving?.adapters.get(adapter, field);
      const write = writer({ context, prompts: () => prompts, generator: served });
      const idle = () => serving?.idle() ?? false;
      if (context.settings.cache.prefetch === 'Enabled')
        ahead = writingAhead({ write, idle, registry: context.registry });
      const adapted = () => serving?.adapters.generators ?? [];
      await routes(server, {
        context,
        write: ahead?.write ?? write,
        prompts: () => prompts,
        generator: served,
        adapted,
        longestAnswer: options.longestAnswer,
      });
    },
    // Until the model is there the engine says what it waits for, and tries again: a claim that is filled later needs no restart.
    start: async (context) => {
      if (context.config.runtime === 'Template') return;
      let said = '';
      let embedding: Embedding | undefined;
      closing.push(async () => embedding?.close());
      for (;;) {
        try {
          const url = ledgerUrl(context.config);
          // Before the model, and kept: what is small is not to have gigabytes loaded in vain while it is missing.
          embedding ??= await openMeaning(context, options);
          const model = await openModel(context, { ...options, check: (id) => checkPrice(context.config, id) });
          serving = await serve(model, url, context, closing, {
            ...options,
            embedding,
            onWait: () => ahead?.yield(),
            share: () => share,
          });
          serving.adapters.apply(context.config.adapters);
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
      await ahead?.close();
      for (const close of closing) await close();
    },
  };
}

type EngineCache = Awaited<ReturnType<typeof engineCache<Answer[]>>>;

interface Serving {
  base: Generator;
  adapters: Adapters;
  cache: EngineCache;
  /** Nothing is in work. */
  idle: () => boolean;
}

interface ServeOptions extends CopyOptions {
  /** Says which briefs mean the same, where that is asked for. */
  embedding: Embedding | undefined;
  onWait: () => void;
  share: () => number;
}

async function serve(
  model: TextModel | LlamaBase,
  url: string | undefined,
  context: EngineContext<CopyConfig>,
  closing: (() => Promise<void>)[],
  { lease = 60_000, retryAfter, claims, embedding, onWait, share }: ServeOptions,
): Promise<Serving> {
  // What is tried again leaves nothing behind.
  const undone = async (error: unknown): Promise<never> => {
    await model.close();
    throw error;
  };
  const version = `${model.id}:${model.revision}`;
  const cache = await engineCache<Answer[]>({ name: 'copy', kind: 'answer', version, ...context }).catch(undone);
  const meant = semanticOf(context, embedding, cache);
  const ledger = url === undefined ? undefined : openLedger(url, context.registry, lease);
  const books = accounts(context, ledger, { lease, adaptable: 'adapted' in model ? model.id : undefined });
  // Answers that were cut off are settled yet: the ledger and Redis are closed after them.
  closing.push(
    async () => {
      const settled = new AbortController();
      await Promise.race([books.idle(), pause(longestSettling, settled.signal)]);
      settled.abort();
    },
    () => cache.close(),
    () => adapted.close(),
    () => model.close(),
    async () => ledger?.close(),
  );
  // An adapter has turns of its own, as it has places of its own in the model.
  const queues = queuesOf(context, onWait, share);
  const serveModel = (each: TextModel) => {
    const queue = queues.open(each);
    return {
      generator: generator({ model: each, cache, turns: queue, accounts: books, context, semantic: meant }),
      close: () => queues.close(queue),
    };
  };
  const adapted = adapters({
    context,
    base: 'adapted' in model ? model : undefined,
    serve: serveModel,
    retryAfter: typeof retryAfter === 'number' ? retryAfter : 10_000,
    ...(claims && { claims }),
  });
  return { base: serveModel(model).generator, adapters: adapted, cache, idle: queues.idle };
}

/** Makes the queue of a model; the figures are those of all. */
function queuesOf(
  { registry, settings }: EngineContext<CopyConfig>,
  onWait: () => void,
  share: () => number,
): { open: (model: TextModel) => Turns; close: (queue: Turns) => void; idle: () => boolean } {
  const all = new Set<Turns>();
  const sum = (of: (queue: Turns) => number) => [...all].reduce((total, queue) => total + of(queue), 0);
  gaugeOf(registry, 'quintet_queue_depth', 'Requests that wait.', ['queue'], () => [
    [{ queue: 'copy' }, sum(({ waiting }) => waiting)],
  ]);
  gaugeOf(registry, 'quintet_copy_sequences', 'Answers in work.', [], () => [[{}, sum(({ running }) => running)]]);
  return {
    open: (model) => {
      const queue = turns({
        parallel: () => Math.max(1, Math.floor(model.parallel * share())),
        maxQueue: patience * model.parallel,
        weightOf: (tenant) => Number(settings.tenants.find(({ name }) => name === tenant)?.['weight'] ?? 1),
        onWait,
      });
      all.add(queue);
      return queue;
    },
    close: (queue) => void all.delete(queue),
    idle: () => sum(({ running, waiting }) => running + waiting) === 0,
  };
}

/** Throws where money is limited and the model has no price: its budget would never be spent. */
function checkPrice({ budgets }: CopyConfig, id: string): void {
  const limited = budgets?.keys.find(({ costPerDay, costPerMonth }) => (costPerDay ?? costPerMonth) !== undefined);
  if (!limited || budgets?.prices.some(({ name }) => name === id)) return;
  throw new QuintetError('CONFIG_INVALID', {
    field: 'budgets.prices',
    source: 'the resource',
    reason: `key ${limited.name} has costPerDay or costPerMonth, and the model ${id} has no price`,
  });
}

/** Of the PostgreSQL that the resource names, else of that in the environment; none without `budgets`. */
function ledgerUrl({ budgets }: CopyConfig): string | undefined {
  if (!budgets) return undefined;
  const { postgres } = budgets;
  if (!postgres) return process.env['QUINTET_POSTGRES_URL'] || undefined;
  return readFileSync(`${postgres.directory}/${postgres.secretRef.key}`, 'utf8').trim();
}

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
