// The mounted embedding model that says which briefs mean the same.
import type { Cache, EngineContext } from '@quintet/runtime';
import { type Embedding, openEmbedding } from '@quintet/runtime/texts';
import type { CopyConfig } from './config.ts';
import type { Answer } from './generator.ts';
import { fileOf, type OpenOptions } from './open.ts';
import { type Semantic, semantic } from './semantic.ts';

/** Undefined where the resource does not ask for it. Throws `MODEL_MISSING`, `MODEL_DAMAGED` or `MODEL_INVALID`. */
export async function openMeaning(
  context: EngineContext<CopyConfig>,
  options: Pick<OpenOptions, 'claims'>,
): Promise<Embedding | undefined> {
  if (!context.config.semanticCache) return undefined;
  const at = 'semanticCache.embedding.source';
  const inFolder = ['model.onnx', 'onnx/model.onnx'];
  const file = await fileOf(context, { ...context.config.semanticCache.embedding, at, inFolder }, options);
  return openEmbedding({ model: file.path }, { registry: context.registry });
}

/** Undefined without an embedding. */
export function semanticOf(
  { config, registry, log }: EngineContext<CopyConfig>,
  embedding: Embedding | undefined,
  cache: Cache<Answer[]>,
): Semantic | undefined {
  if (!embedding || !config.semanticCache) return undefined;
  const { minSimilarity } = config.semanticCache;
  const onError = (error: unknown) => log.warn({ err: error }, 'the embedding model failed; the brief is written anew');
  return semantic({ embedding, minSimilarity, cache, registry, onError });
}
