// Exact answers kept at 4, 8, 16 and 32 times, with the question as query and without one; ours beside the peers.

import { type Embedding, similarity } from '@quintet/runtime/texts';
import { compress } from '../src/compress.ts';
import { analyse } from '../src/detect.ts';
import { type Document, readDocument } from '../src/document.ts';
import { tokenizer } from '../src/tokens.ts';
import type { Sample } from './corpus.ts';
import { factsKept } from './facts.ts';
import { bm25, fillBudget, lead, randomly, sumy } from './peers.ts';
import { seeded } from './random.ts';

export const ratios = [4, 8, 16, 32] as const;

export type MeanName = 'numbers' | 'entities' | 'negations' | 'similarity' | 'rate error';

export interface Quality {
  /** Method → share of answers kept, per ratio. */
  readonly withQuery: Record<string, number[]>;
  readonly without: Record<string, number[]>;
  /** Share of outlying lines and records kept per ratio, by method; without a query. */
  readonly outliers: Record<string, number[]>;
  /** The same for ours with a query. */
  readonly outliersWithQuery: number[];
  /** Share of our outputs within 5 % of the ratio, and the largest error. */
  readonly rateMet: number[];
  readonly byKind: Record<string, number[]>;
  /** Means over the documents by method, without a query: facts kept, similarity, and distance from the rate asked for. */
  readonly means: Record<MeanName, Record<string, number[]>>;
  readonly questions: number;
}

export async function quality(
  samples: readonly Sample[],
  python: string | undefined,
  embedding: Embedding | undefined,
): Promise<Quality> {
  const counter = tokenizer('o200k_base');
  // Peers choose among sentences and lines (JSON: the lines it is printed on).
  const documents = samples.map(({ text }) => {
    const { type } = analyse(text);
    return readDocument(text, type === 'json' ? 'logs' : type, counter, 96);
  });
  const ranked = new Map<string, (Float64Array | undefined)[]>([
    ['lead', documents.map(lead)],
    ['random', documents.map((document) => randomly(document, seeded(7)))],
  ]);
  for (const method of ['TextRank', 'LexRank'] as const) {
    const scores = python ? sumy(python, method, documents) : undefined;
    if (scores)
      ranked.set(
        method,
        scores.map((each) => Float64Array.from(each.scores)),
      );
  }
  const tally = new Tally();
  const means = new Means();
  for (const [index, sample] of samples.entries()) {
    const document = documents[index] as Document;
    // An embedding costs more than all else together: every fourth document tells.
    const source = index % 4 === 0 ? await embedding?.embed(sample.text) : undefined;
    const weigh = async (name: string, column: number, text: string): Promise<void> => {
      const asked = document.map.total / (ratios[column] as number);
      means.add('rate error', name, column, Math.abs(counter.count(text) - asked) / asked);
      for (const [fact, share] of Object.entries(factsKept(sample.text, text)))
        if (share !== undefined) means.add(fact as MeanName, name, column, share);
      if (embedding && source) means.add('similarity', name, column, similarity(source, await embedding.embed(text)));
    };
    for (const [column, ratio] of ratios.entries()) {
      const budget = Math.floor(document.map.total / ratio);
      const grain = Math.max(8, Math.min(96, Math.floor(budget / 6)));
      const records = readDocument(sample.text, analyse(sample.text).type, counter, grain);
      const ours = compress({ text: sample.text, ratio, fidelity: false });
      tally.add('rate', 'met', column, ours.rate.met);
      judge(tally, 'without', 'ours', column, sample, ours.text);
      await weigh('ours', column, ours.text);
      for (const [name, scores] of ranked) {
        const text = fillBudget(document, scores[index] as Float64Array, budget);
        judge(tally, 'without', name, column, sample, text);
        await weigh(name, column, text);
      }
      for (const { query, answer } of sample.questions) {
        const text = compress({ text: sample.text, ratio, query, fidelity: false }).text;
        tally.add('query', 'ours', column, text.includes(answer));
        tally.add('kind', `${sample.kind} ours`, column, text.includes(answer));
        for (const outlier of sample.outliers) tally.add('outliers with query', 'ours', column, text.includes(outlier));
        const peer = fillBudget(document, bm25(document, query), budget);
        tally.add('query', 'BM25', column, peer.includes(answer));
        const same = fillBudget(records, bm25(records, query), budget);
        tally.add('query', 'BM25 over our units', column, same.includes(answer));
        tally.add('kind', `${sample.kind} BM25`, column, peer.includes(answer));
      }
    }
  }
  return {
    withQuery: tally.shares('query'),
    without: tally.shares('without'),
    outliers: tally.shares('outliers'),
    outliersWithQuery: tally.shares('outliers with query').ours ?? [],
    rateMet: tally.shares('rate').met ?? [],
    byKind: tally.shares('kind'),
    means: means.all(),
    questions: samples.reduce((sum, sample) => sum + sample.questions.length, 0),
  };
}

function judge(tally: Tally, group: string, name: string, column: number, sample: Sample, text: string): void {
  for (const { answer } of sample.questions) tally.add(group, name, column, text.includes(answer));
  if (name === 'ours')
    for (const { answer } of sample.questions) tally.add('kind', `${sample.kind} blind`, column, text.includes(answer));
  if (name === 'random')
    for (const { answer } of sample.questions)
      tally.add('kind', `${sample.kind} random`, column, text.includes(answer));
  for (const outlier of sample.outliers) tally.add('outliers', name, column, text.includes(outlier));
}

class Means {
  readonly #sums: Record<MeanName, Record<string, { sum: number[]; count: number[] }>> = {
    numbers: {},
    entities: {},
    negations: {},
    similarity: {},
    'rate error': {},
  };

  add(figure: MeanName, name: string, column: number, value: number): void {
    const { sum, count } = (this.#sums[figure][name] ??= { sum: [], count: [] });
    sum[column] = (sum[column] ?? 0) + value;
    count[column] = (count[column] ?? 0) + 1;
  }

  all(): Quality['means'] {
    return Object.fromEntries(
      Object.entries(this.#sums).map(([figure, names]) => [
        figure,
        Object.fromEntries(
          Object.entries(names).map(([name, { sum, count }]) => [
            name,
            sum.map((value, i) => value / (count[i] as number)),
          ]),
        ),
      ]),
    ) as unknown as Quality['means'];
  }
}

class Tally {
  readonly #counts = new Map<string, Map<string, { hits: number[]; all: number[] }>>();

  add(group: string, name: string, column: number, hit: boolean): void {
    let names = this.#counts.get(group);
    if (!names) this.#counts.set(group, (names = new Map()));
    let counts = names.get(name);
    if (!counts) names.set(name, (counts = { hits: [], all: [] }));
    counts.all[column] = (counts.all[column] ?? 0) + 1;
    counts.hits[column] = (counts.hits[column] ?? 0) + (hit ? 1 : 0);
  }

  shares(group: string): Record<string, number[]> {
    const result: Record<string, number[]> = {};
    for (const [name, { hits, all }] of this.#counts.get(group) ?? []) {
      result[name] = all.map((count, i) => (hits[i] ?? 0) / count);
    }
    return result;
  }
}
