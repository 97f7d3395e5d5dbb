// Answers to briefs that mean the same as one before: of the same tenant and the same parameters, by a mounted embedding model, from the cache alone.
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type Cache, type CacheRequest, counter, gaugeOf, type Registry } from '@quintet/runtime';
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
  /** Bytes that what is remembered may take; 64 MiB when left out. */
  mostBytes?: number;
}

interface Known {
  id: string;
  scope: string;
  asked: CacheRequest;
  vectors: Float32Array[];
  bytes: number;
}

/** Requests compared in one turn of the event loop: no token of any answer moves meanwhile. */
const turn = 64;

export function semantic({
  embedding,
  minSimilarity,
  cache,
  registry,
  onError,
  mostBytes = 64 * 2 ** 20,
}: SemanticOptions): Semantic {
  /** Those unused for longest first. */
  const all = new Map<string, Known>();
  /** Requests that differ in nothing but their texts, by the hash of what is the same. */
  const scopes = new Map<string, Set<Known>>();
  let bytes = 0;
  const hits = counter(registry, 'quintet_copy_semantic_hits_total', 'Answers to briefs that mean the same.', []);
  gaugeOf(registry, 'quintet_copy_semantic_bytes', 'Memory of briefs that others may mean the same as.', [], () => [
    [{}, bytes],
  ]);

  const forget = (known: Known) => {
    if (all.get(known.id) !== known) return;
    all.delete(known.id);
    bytes -= known.bytes;
    const scope = scopes.get(known.scope);
    scope?.delete(known);
    if (scope?.size === 0) scopes.delete(known.scope);
  };
  const remember = (known: Known) => {
    const before = all.get(known.id);
    if (before) forget(before);
    all.set(known.id, known);
    bytes += known.bytes;
    const scope = scopes.get(known.scope) ?? new Set();
    scopes.set(known.scope, scope.add(known));
    for (const oldest of all.values()) {
      if (bytes <= mostBytes) return;
      forget(oldest);
    }
  };

  const find = async (scope: string, vectors: readonly Float32Array[]): Promise<Answer[] | undefined> => {
    const alike: { known: Known; least: number }[] = [];
    for (const [at, known] of [...(scopes.get(scope) ?? [])].entries()) {
      if (at > 0 && at % turn === 0) await setImmediate();
      const least = leastSimilarity(known.vectors, vectors, minSimilarity);
      if (least !== undefined) alike.push({ known, least });
    }
    for (const { known, least } of alike.toSorted((a, b) => b.least - a.least)) {
      const kept = await cache.get(known.asked);
      // Evicted, purged or too old.
      if (!kept) forget(known);
      else {
        // Used last, as long as nobody remembered it anew meanwhile.
        if (all.get(known.id) === known && all.delete(known.id)) all.set(known.id, known);
        return kept.value.map((answer) => ({ ...answer, similarity: least }));
      }
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
        return { ...(found && { found }), keep: () => remember(knownOf(asked, scope, vectors)) };
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

function knownOf(asked: CacheRequest, scope: string, vectors: Float32Array[]): Known {
  const text = JSON.stringify(asked);
  const id = createHash('sha256').update(text).digest('base64url');
  // Two bytes a character, as the strings of a request may take.
  const bytes = 2 * text.length + vectors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { id, scope, asked, vectors, bytes };
}

/** One text that says something else makes another brief, however many are alike: undefined below `least`. */
function leastSimilarity(a: readonly Float32Array[], b: readonly Float32Array[], least: number): number | undefined {
  let lowest = 1;
  for (const [i, vector] of a.entries()) {
    lowest = Math.min(lowest, similarity(vector, b[i] ?? new Float32Array(0)));
    if (lowest < least) return undefined;
  }
  return lowest;
}
