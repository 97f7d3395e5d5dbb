// The methods ours is measured against: the first sentences, random ones, BM25 to the query, and sumy's TextRank and LexRank.
// All choose among the same units, in the order of their scores, whole units while they fit.
import { execFileSync } from 'node:child_process';
import type { Document } from '../src/document.ts';
import type { Random } from './random.ts';

export function lead({ units }: Document): Float64Array {
  return Float64Array.from(units, (_, index) => -index);
}

export function randomly({ units }: Document, random: Random): Float64Array {
  return Float64Array.from(units, () => random.next());
}

/** Okapi BM25 (k1 = 1.5, b = 0.75) with each unit as a document, words in lower case. */
export function bm25(document: Document, query: string): Float64Array {
  const words = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
  const texts = document.units.map((unit) => words(document.text.slice(unit.start, unit.end)));
  const mean = texts.reduce((sum, text) => sum + text.length, 0) / Math.max(texts.length, 1);
  const scores = new Float64Array(texts.length);
  for (const term of new Set(words(query))) {
    const counts = texts.map((text) => text.filter((word) => word === term).length);
    const frequency = counts.filter((count) => count > 0).length;
    const idf = Math.log(1 + (texts.length - frequency + 0.5) / (frequency + 0.5));
    counts.forEach((count, i) => {
      const length = (texts[i] as string[]).length / mean;
      scores[i] = (scores[i] as number) + (idf * count * 2.5) / (count + 1.5 * (0.25 + 0.75 * length));
    });
  }
  return scores;
}

/** Units in the order of their scores while they fit, back in text order. */
export function fillBudget({ text, units, cost }: Document, scores: Float64Array, tokens: number): string {
  const order = [...units.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const kept: number[] = [];
  let used = 0;
  for (const unit of order) {
    if (used + (cost[unit] as number) > tokens) continue;
    used += cost[unit] as number;
    kept.push(unit);
  }
  return kept
    .sort((a, b) => a - b)
    .map((unit) => text.slice(units[unit]?.start, units[unit]?.end))
    .join('');
}

export interface SumyResult {
  scores: number[];
  /** CPU seconds for this document alone, without start-up. */
  seconds: number;
}

/** Scores by sumy in one Python process; undefined where that Python has no sumy. */
export function sumy(
  python: string,
  method: 'LexRank' | 'TextRank',
  documents: readonly Document[],
): SumyResult[] | undefined {
  const input = documents.map(({ text, units }) => units.map((unit) => text.slice(unit.start, unit.end)));
  try {
    const output = execFileSync(python, ['-c', program, method], {
      input: JSON.stringify(input),
      maxBuffer: 1 << 28,
      timeout: 1_200_000,
    });
    return JSON.parse(output.toString('utf8')) as SumyResult[];
  } catch {
    return undefined;
  }
}

const program = `
import json, re, sys, time
from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
from sumy.summarizers.lex_rank import LexRankSummarizer
from sumy.summarizers.text_rank import TextRankSummarizer

class Words:
    def to_words(self, text): return re.findall(r"[^\\W_]+", text)

class Scores(LexRankSummarizer if sys.argv[1] == "LexRank" else TextRankSummarizer):
    def _get_best_sentences(self, sentences, count, rating, *args, **kwargs):
        self.rating = rating
        return ()

results = []
for units in json.load(sys.stdin):
    sentences = [Sentence(unit, Words()) for unit in units]
    document = ObjectDocumentModel([Paragraph(sentences)])
    began = time.process_time()
    summarizer = Scores()
    summarizer(document, 1)
    seconds = time.process_time() - began
    rating = getattr(summarizer, "rating", {})
    results.append({"scores": [float(rating.get(s, 0.0)) for s in document.sentences], "seconds": seconds})
json.dump(results, sys.stdout)
`;
