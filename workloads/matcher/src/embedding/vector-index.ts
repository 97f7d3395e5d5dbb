// Items by the vectors of their images: compared one by one while a bank has few, by a graph of neighbours (usearch,
// Malkov and Yashunin 2016) once it has many. Each bank has its own, so that others' items take no place among its nearest.
import { Index, MetricKind, ScalarKind } from 'usearch';
import { firstOfEach } from '../index/banks.ts';

export interface VectorMatch {
  readonly number: number;
  /** Cosine of the two vectors. */
  readonly similarity: number;
}

export interface VectorSearch {
  readonly minSimilarity: number;
  readonly banks: ReadonlySet<number>;
  /** Items that are asked for within these banks. */
  readonly admits: (number: number) => boolean;
}

/** Vectors of a bank that are compared one by one. */
const fewest = 2000;
/** Neighbours that are asked for, more where most of them are not in force; and matches of a bank that are given. */
const neighbours = 64;
const mostNeighbours = 4096;
const mostMatches = 500;

interface Vectors {
  readonly vectors: Map<number, Float32Array>;
  graph: Index | undefined;
}

export class VectorIndex {
  readonly #dimensions: number;
  readonly #banks = new Map<number, Vectors>();
  readonly #bankOf = new Map<number, number>();
  readonly #hidden = new Set<number>();

  constructor(dimensions: number) {
    this.#dimensions = dimensions;
  }

  get size(): number {
    return this.#bankOf.size;
  }

  get bytes(): number {
    let bytes = 0;
    for (const { vectors, graph } of this.#banks.values()) bytes += vectors.size * this.#dimensions * (graph ? 6.5 : 4);
    return Math.round(bytes);
  }

  /** Vectors of length one; of another number of dimensions they are left out. */
  add(number: number, vector: Float32Array, bank = 0): void {
    if (this.#bankOf.has(number) || vector.length !== this.#dimensions) return;
    this.#bankOf.set(number, bank);
    let own = this.#banks.get(bank);
    if (!own) this.#banks.set(bank, (own = { vectors: new Map(), graph: undefined }));
    own.vectors.set(number, vector);
    if (own.graph) own.graph.add(BigInt(number), vector, 1);
    else if (own.vectors.size > fewest) own.graph = this.#graphOf(own.vectors);
  }

  hide(number: number, hidden: boolean): void {
    if (hidden) this.#hidden.add(number);
    else this.#hidden.delete(number);
  }

  delete(number: number): void {
    this.#hidden.delete(number);
    const bank = this.#bankOf.get(number);
    if (bank === undefined) return;
    this.#bankOf.delete(number);
    const own = this.#banks.get(bank) as Vectors;
    own.vectors.delete(number);
    own.graph?.remove(BigInt(number));
  }

  get(number: number): Float32Array | undefined {
    return this.#banks.get(this.#bankOf.get(number) ?? -1)?.vectors.get(number);
  }

  keys(): Iterable<number> {
    return this.#bankOf.keys();
  }

  /** Items at least so similar, most similar first. */
  search(query: Float32Array, { minSimilarity, banks, admits }: VectorSearch): VectorMatch[] {
    if (query.length !== this.#dimensions) return [];
    const shown = (number: number) => !this.#hidden.has(number) && admits(number);
    const found: VectorMatch[] = [];
    for (const bank of banks) {
      const own = this.#banks.get(bank);
      if (!own) continue;
      for (const number of own.graph ? nearest(own.graph, query, shown, minSimilarity) : own.vectors.keys()) {
        const similarity = dot(query, own.vectors.get(number) as Float32Array);
        if (similarity >= minSimilarity && shown(number)) found.push({ number, similarity });
      }
    }
    const sorted = found.sort((a, b) => b.similarity - a.similarity || a.number - b.number);
    return firstOfEach(sorted, ({ number }) => this.#bankOf.get(number) as number, mostMatches);
  }

  #graphOf(vectors: ReadonlyMap<number, Float32Array>): Index {
    const graph = new Index({
      metric: MetricKind.Cos,
      dimensions: this.#dimensions,
      // Half of the precision for the way there; similarities are computed from the vectors themselves.
      quantization: ScalarKind.F16,
      connectivity: 16,
      expansion_add: 128,
      expansion_search: 128,
      multi: false,
    });
    for (const [number, vector] of vectors) graph.add(BigInt(number), vector, 1);
    return graph;
  }
}

/** Asks for more neighbours until one is too far, enough are in force, or there are no more. */
function nearest(
  graph: Index,
  query: Float32Array,
  shown: (number: number) => boolean,
  minSimilarity: number,
): number[] {
  for (let count = neighbours; ; count *= 4) {
    const { keys, distances } = graph.search(query, Math.min(count, graph.size()), 1);
    const numbers = Array.from(keys, Number);
    const farthest = distances.at(-1) ?? 2;
    const enough = numbers.filter(shown).length >= neighbours || 1 - farthest < minSimilarity - 0.01;
    if (enough || count >= mostNeighbours || count >= graph.size()) return numbers;
  }
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
