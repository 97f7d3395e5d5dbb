// LoRA adapters beside the model: opened while it serves, named `model:adapter`, and each with answers of its own.
import { type EngineContext, QuintetError } from '@quintet/runtime';
import type { LlamaBase } from '../models/llama.ts';
import type { TextModel } from '../models/model.ts';
import type { CopyConfig } from './config.ts';
import type { Generator } from './generator.ts';
import { fileOf, type OpenOptions } from './open.ts';

export interface Adapters {
  /** Throws `NOT_FOUND` for one that the resource does not name, and `NOT_READY` with the reason for one that is not loaded. */
  get: (name: string, field?: 'model' | 'adapter') => Generator;
  /** Those that serve. */
  readonly generators: readonly Generator[];
  /** Loads those that are new, and lets go of those that are gone once their answers have ended. */
  apply: (wanted: CopyConfig['adapters']) => void;
  close: () => Promise<void>;
}

export interface AdaptersOptions extends Pick<OpenOptions, 'claims'> {
  context: EngineContext<CopyConfig>;
  /** Undefined where the runtime takes no adapters. */
  base: LlamaBase | undefined;
  serve: (model: TextModel) => { generator: Generator; close: () => void };
  /** Milliseconds between attempts to load one that is missing or damaged. */
  retryAfter: number;
}

interface Loaded {
  /** What it was made from, to see whether it changed. */
  made: string;
  reason: string;
  generator?: Generator;
  stop: AbortController;
  ended: Promise<void>;
}

/** Milliseconds between looks at whether the answers of one that was taken away have ended. */
const look = 200;
/** So many looks in a row find none before it is closed: a request has found its generator a moment before it uses it. */
const looks = 3;

export function adapters({ context, base, serve, retryAfter, claims }: AdaptersOptions): Adapters {
  const all = new Map<string, Loaded>();
  /** Those that were let go and still answer are among them. */
  const living = new Set<Promise<void>>();

  const keep = async (wanted: CopyConfig['adapters'][number], loaded: Loaded): Promise<void> => {
    const { signal } = loaded.stop;
    let model: TextModel | undefined;
    while (!model && !signal.aborted) {
      try {
        model = await open(wanted, (message) => {
          loaded.reason = message;
        });
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== loaded.reason)
          context.log.error({ err: error, adapter: wanted.name }, 'an adapter cannot be used');
        loaded.reason = reason;
        await waited(retryAfter, signal);
      }
    }
    if (!model) return;
    if (!signal.aborted) {
      const { generator, close } = serve(model);
      loaded.generator = generator;
      context.log.info({ adapter: wanted.name, model: model.id }, 'an adapter serves');
      await aborted(signal);
      for (let free = 0; free < looks; free = generator.busy ? 0 : free + 1) await waited(look);
      close();
    }
    await model.close();
  };

  const open = async (
    { name, source, scale }: CopyConfig['adapters'][number],
    onProgress: (message: string) => void,
  ): Promise<TextModel> => {
    if (!base)
      throw new QuintetError('CONFIG_INVALID', {
        field: 'adapters',
        source: 'the resource',
        reason: `runtime ${context.config.runtime} takes no adapters here`,
      });
    const file = await fileOf(context, { source, at: `adapters.${name}.source` }, claims ? { claims } : {}, onProgress);
    // Adapters of one model are of one size, and may have been written at one moment.
    return base.adapted({ name, path: file.path, revision: `${file.path}:${file.digest}`, scale });
  };

  const drop = (name: string, { stop }: Loaded) => {
    all.delete(name);
    stop.abort();
  };

  return {
    get: (name, field = 'model') => {
      const found = all.get(name);
      if (!found) throw new QuintetError('NOT_FOUND', { what: `The adapter ${name}`, field });
      if (found.generator) return found.generator;
      throw new QuintetError('NOT_READY', { reason: `adapter ${name}: ${found.reason}`, field, retryAfter: 10 });
    },
    get generators() {
      return [...all.values()].flatMap(({ generator }) => generator ?? []);
    },
    apply: (wanted) => {
      const made = new Map(wanted.map((each) => [each.name, JSON.stringify(each)]));
      for (const [name, each] of all) if (made.get(name) !== each.made) drop(name, each);
      for (const each of wanted) {
        if (all.has(each.name)) continue;
        const stop = new AbortController();
        const loaded: Loaded = {
          made: made.get(each.name) ?? '',
          reason: 'it is being loaded',
          stop,
          ended: Promise.resolve(),
        };
        loaded.ended = keep(each, loaded).catch((error: unknown) =>
          context.log.error({ err: error }, 'an adapter ended'),
        );
        living.add(loaded.ended);
        void loaded.ended.then(() => living.delete(loaded.ended));
        all.set(each.name, loaded);
      }
    },
    close: async () => {
      for (const [name, each] of all) drop(name, each);
      await Promise.all(living);
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Ends early, and without an error, when `signal` aborts. */
function waited(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
