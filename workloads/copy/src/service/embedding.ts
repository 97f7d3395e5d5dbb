// The mounted embedding model that says which briefs mean the same.
import type { Cache, EngineContext } from '@quintet/runtime';
import { openEmbedding } from '@quintet/runtime/texts';
import type { CopyConfig } from './config.ts';
import type { Answer } from './generator.ts';
import { fileOf, type OpenOptions } from './open.ts';
import { type Semantic, semantic } from './semantic.ts';

/** Undefined where the resource does not ask for it. Throws `MODEL_MISSING`, `MODEL_DAMAGED` or `MODEL_INVALID`. */
export async function openSemantic(
  context: EngineContext<CopyConfig>,
  cache: Cache<Answer[]>,
  options: Pick<OpenOptions, 'claims'>,
): Promise<(Semantic & { close: () => Promise<void> }) | undefined> {
  const { config, registry, log } = context;
  if (!config.semanticCache) return undefined;
  const { embedding: mounted, minSimilarity } = config.semanticCache;
  const at = 'semanticCache.embedding.source';
  const file = await fileOf(context, { ...mounted, at, inFolder: ['model.onnx', 'onnx/model.onnx'] }, options);
  const embedding = await openEmbedding({ model: file.path }, { registry });
  const onError = (error: unknown) => log.warn({ err: error }, 'the embedding model failed; the brief is written anew');
  return { ...semantic({ embedding, minSimilarity, cache, registry, onError }), close: () => embedding.close() };
}
