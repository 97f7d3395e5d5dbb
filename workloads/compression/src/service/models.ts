// The models that the spec mounts: found on a claim or fetched from S3 once for the node, checked, opened, tried again while
// they are missing.
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type EngineContext,
  fileSource,
  isQuintetError,
  modelCache,
  type Place,
  placeOf,
  QuintetError,
} from '@quintet/runtime';
import {
  type Classifier,
  type Embedding,
  type ModelFiles,
  openClassifier,
  openEmbedding,
  similarity,
  type WordOffsets,
} from '@quintet/runtime/texts';
import type { CompressOptions } from '../compress.ts';
import type { ModelSpec, ServiceConfig } from './config.ts';
import type { TextResult } from './kept.ts';

export interface ServiceModels {
  /** Whether the strategy `model` has a classifier, present or awaited. */
  readonly classifies: boolean;
  readonly threshold: number;
  /** Part of cache keys: another model gives other answers. */
  readonly identity: Readonly<Record<string, string>>;
  /** Resolves when all that is mounted is open. Until then the engine is not ready, and says why; it tries for ever. */
  load(signal: AbortSignal): Promise<void>;
  score(text: string, words: WordOffsets, signal: AbortSignal): Promise<Float32Array>;
  /** The result with the similarity of text and output, where fidelity is measured and an embedding is mounted. */
  similar(options: CompressOptions, result: TextResult, signal: AbortSignal): Promise<TextResult>;
  /** For healing: of each open model, how large its batches may be. */
  readonly limits: readonly ((share: number) => void)[];
  close(): Promise<void>;
}

const retryMs = 5000;
const tokenizerFiles = ['tokenizer.json', 'tokenizer_config.json', 'config.json'];

export function serviceModels(context: EngineContext<ServiceConfig>): ServiceModels {
  const { model, embedding, batching } = context.config;
  const { log, readiness, registry } = context;
  const pace = {
    maxSize: batching.maxSize,
    maxWait: batching.maxWait,
    ...(batching.optimalSize && { startSize: batching.optimalSize }),
    registry,
  };
  let classifier: Classifier | undefined;
  let embedder: Embedding | undefined;
  const identity: Record<string, string> = {};
  const until = async (name: string, signal: AbortSignal, open: () => Promise<void>): Promise<void> => {
    for (;;) {
      try {
        await open();
        readiness.clear(name);
        return;
      } catch (error) {
        if (signal.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        readiness.block(name, reason);
        log.error({ err: error }, `spec.${name} cannot be used; trying again`);
        await pause(retryMs, signal);
      }
    }
  };
  return {
    classifies: model !== undefined,
    threshold: model?.threshold ?? 0,
    identity,
    async load(signal) {
      await Promise.all([
        model &&
          until('model', signal, async () => {
            const files = await filesOf(model, 'model', context, signal);
            identity['model'] = files.digest;
            classifier = await openClassifier(files, pace);
          }),
        embedding &&
          until('embedding', signal, async () => {
            const files = await filesOf(embedding, 'embedding', context, signal);
            identity['embedding'] = files.digest;
            embedder = await openEmbedding(files, pace);
          }),
      ]);
    },
    async score(text, words, signal) {
      if (!classifier)
        throw new QuintetError('MODEL_MISSING', { uri: 'of spec.model', reason: 'it is not loaded yet' });
      return classifier.score(text, words, signal);
    },
    async similar({ text }, result, signal) {
      if (!embedder || !result.fidelity) return result;
      // The rendering alone: a legend is no part of what the text says.
      const [source, output] = await Promise.all([embedder.embed(text, signal), embedder.embed(result.text, signal)]);
      return { ...result, fidelity: { ...result.fidelity, similarity: similarity(source, output) } };
    },
    get limits() {
      return [classifier, embedder].flatMap((open) => (open ? [open.limit] : []));
    },
    async close() {
      await Promise.all([classifier?.close(), embedder?.close()]);
    },
  };
}

/** The model's file and where its tokenizer is: on the claim or in the image as it lies there, from S3 through the node's cache. */
async function filesOf(
  { source, sha256 }: ModelSpec,
  at: string,
  { registry, log }: EngineContext<ServiceConfig>,
  signal: AbortSignal,
): Promise<ModelFiles & { digest: string }> {
  const place = source.directory === undefined ? placeOf(source, `${at}.source`) : { path: source.directory };
  if ('path' in place) return fromVolume(place.path, sha256, signal);
  const directory = join(process.env['QUINTET_CACHE'] ?? '/tmp/quintet-cache', 'models');
  const onProgress = ({ done, total }: { done: number; total: number }): void =>
    log.info({ model: at, done, total }, 'fetching');
  return fromS3(place, sha256, modelCache({ directory, registry }), { signal, onProgress });
}

/** Not copied: a volume is on the node already, and large models keep their weights in files beside. */
async function fromVolume(
  given: string,
  sha256: string | undefined,
  signal: AbortSignal,
): Promise<ModelFiles & { digest: string }> {
  const found = await stat(given).catch(() => undefined);
  const model = found?.isDirectory() ? join(given, 'model.onnx') : given;
  const { size, revision } = await fileSource(model).describe(signal);
  if (sha256 === undefined) return { model, digest: `${size}-${revision}` };
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(model, { highWaterMark: 1 << 20, signal })) hash.update(chunk as Buffer);
  const actual = hash.digest('hex');
  if (actual !== sha256.toLowerCase())
    throw new QuintetError('MODEL_DAMAGED', { uri: `file:${model}`, actual, expected: sha256 });
  return { model, digest: actual };
}

/** The object, and the files of its tokenizer from the same folder of the bucket. */
async function fromS3(
  { key, object: objectAt }: Extract<Place, { key: string }>,
  sha256: string | undefined,
  cache: ReturnType<typeof modelCache>,
  options: { signal: AbortSignal; onProgress: (progress: { done: number; total: number }) => void },
): Promise<ModelFiles & { digest: string }> {
  const fetchOne = async (name: string, digest?: string) => {
    const object = objectAt(name);
    try {
      return await cache.fetch(object, { ...options, ...(digest && { sha256: digest }) });
    } finally {
      object.close?.();
    }
  };
  const model = await fetchOne(key, sha256);
  const texts = await Promise.all(
    tokenizerFiles.map((name) =>
      fetchOne(join(dirname(key), name)).catch((error: unknown) => {
        if (name !== 'tokenizer.json' && isQuintetError(error) && error.code === 'MODEL_MISSING') return undefined;
        throw error;
      }),
    ),
  );
  const tokenizer = Object.fromEntries(
    tokenizerFiles.flatMap((name, i) => {
      const path = texts[i]?.path;
      return path === undefined ? [] : [[name, readFileSync(path, 'utf8')]];
    }),
  );
  return { model: model.path, tokenizer, digest: model.sha256 };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
