// Answers to briefs that mean the same as one before: of the same tenant and the same parameters, by a mounted embedding model, from the cache alone.
import { createHash } from 'node:crypto';
import { type Cache, type CacheRequest, counter, type Registry } from '@quintet/runtime';
import { type Embedding, similarity } from '@quintet/runtime/texts';
import type { Meaning } from '../brief/meaning.ts';
import type { Answer } from './generator.ts';

export interface Semantic {
  /** Looks for answers to a request that means the same. Never throws: an embedding that fails finds nothing. */
  look: (asked: CacheRequest, meaning: Meaning, signal: AbortSignal) => Promise<Look>;
}

export interface Look {
  /** Marked with the similarity. */
  found?: Answer[];
  /** Remembers that answers to this request were made and kept. */
  keep: () => void;
}

export interface SemanticOptions {
  embedding: Pick<Embedding, 'embed'>;
  /** Of every pair of texts, at least; 1 is the same direction. */
  minSimilarity: number;
  cache: Pick<Cache<Answer[]>, 'get'>;
  registry: Registry;
  onError: (error: unknown) => void;
  /** Requests remembered. */
  most?: number;
}

interface Known {
  asked: CacheRequest;
  vectors: Float32Array[];
}

export function semantic({
  embedding,
  minSimilarity,
  cache,
  registry,
  onError,
  most = 4096,
}: SemanticOptions): Semantic {
  /** Requests that differ in nothing but their texts, by the hash of what is the same; those unused for longest first. */
  const scopes = new Map<string, Known[]>();
  let size = 0;
  const hits = counter(registry, 'quintet_copy_semantic_hits_total', 'Answers to briefs that mean the same.', []);

  const remember = (scope: string, known: Known) => {
    const all = scopes.get(scope) ?? [];
    scopes.delete(scope);
    scopes.set(scope, [...all, known]);
    size++;
    for (const [oldest, [, ...rest]] of scopes) {
      if (size <= most) return;
      size--;
      if (rest.length > 0) scopes.set(oldest, rest);
      else scopes.delete(oldest);
    }
  };
  const forget = (scope: string, known: Known) => {
    const all = scopes.get(scope) ?? [];
    const rest = all.filter((each) => each !== known);
    size -= all.length - rest.length;
    if (rest.length > 0) scopes.set(scope, rest);
    else scopes.delete(scope);
  };

  const find = async (scope: string, vectors: readonly Float32Array[]): Promise<Answer[] | undefined> => {
    const alike = (scopes.get(scope) ?? [])
      .map((known) => ({ known, least: leastSimilarity(known.vectors, vectors) }))
      .filter(({ least }) => least >= minSimilarity)
      .toSorted((a, b) => b.least - a.least);
    for (const { known, least } of alike) {
      const kept = await cache.get(known.asked);
      if (kept) return kept.value.map((answer) => ({ ...answer, similarity: least }));
      // Evicted, purged or too old.
      forget(scope, known);
    }
    return undefined;
  };

  return {
    look: async (asked, { same, texts }, signal) => {
      try {
        const scope = scopeOf(asked, same);
        const vectors = await Promise.all(texts.map((text) => embedding.embed(text, signal)));
        const found = await find(scope, vectors);
        if (found) hits.inc();
        return { ...(found && { found }), keep: () => remember(scope, { asked, vectors }) };
      } catch (error) {
        if (!signal.aborted) onError(error);
        return { keep: () => undefined };
      }
    },
  };
}

/** Everything that the answer depends on but the prompt, which is made of `same` and the texts. */
function scopeOf({ tenant, input }: CacheRequest, same: unknown): string {
  const { prompt: _, ...rest } = input as { prompt: unknown };
  return createHash('sha256')
    .update(JSON.stringify([tenant, rest, same]))
    .digest('base64url');
}

/** One text that says something else makes another brief, however many are alike. */
function leastSimilarity(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return Math.min(1, ...a.map((vector, i) => similarity(vector, b[i] ?? new Float32Array(0))));
}
