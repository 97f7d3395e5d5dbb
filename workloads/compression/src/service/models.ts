// The models that the spec mounts: found on a claim or fetched from S3 once for the node, checked, opened, tried again while
// they are missing.
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { claimsRoot, imagesRoot, secretsRoot } from '@quintet/crds';
import { type EngineContext, fileSource, isQuintetError, modelCache, QuintetError, s3Source } from '@quintet/runtime';
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
  const given = onVolumeAt(source, at);
  if (given !== undefined) return fromVolume(given, sha256, signal);
  if (source.s3) {
    const directory = join(process.env['QUINTET_CACHE'] ?? '/tmp/quintet-cache', 'models');
    const onProgress = ({ done, total }: { done: number; total: number }): void =>
      log.info({ model: at, done, total }, 'fetching');
    return fromS3(source.s3, sha256, at, modelCache({ directory, registry }), { signal, onProgress });
  }
  const reason = 'it needs a persistentVolumeClaim, s3 or oci';
  throw new QuintetError('MODEL_MISSING', { uri: 'without a source', reason, field: at });
}

function onVolumeAt(
  { directory, persistentVolumeClaim: claim, oci }: ModelSpec['source'],
  at: string,
): string | undefined {
  if (directory !== undefined) return directory;
  if (claim) return join(claimsRoot, claim.claimName, claim.path);
  return oci && join(imagesRoot, `${at}.source.oci`, oci.path);
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
  s3: NonNullable<ModelSpec['source']['s3']>,
  sha256: string | undefined,
  at: string,
  cache: ReturnType<typeof modelCache>,
  options: { signal: AbortSignal; onProgress: (progress: { done: number; total: number }) => void },
): Promise<ModelFiles & { digest: string }> {
  const { bucket, key, endpoint, region } = s3;
  const credentials = s3.secretRef && credentialsAt(`${secretsRoot}/${at}.source.s3.secretRef`);
  const objectAt = (name: string) =>
    s3Source({
      bucket,
      key: name,
      ...(endpoint && { endpoint }),
      ...(region && { region }),
      ...(credentials && { credentials }),
    });
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

function credentialsAt(folder: string): { accessKeyId: string; secretAccessKey: string } {
  const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8').trim();
  return { accessKeyId: read('AWS_ACCESS_KEY_ID'), secretAccessKey: read('AWS_SECRET_ACCESS_KEY') };
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
