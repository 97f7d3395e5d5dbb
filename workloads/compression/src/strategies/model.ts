// Model: a token classifier of the user's (an ONNX file on a mounted volume) says which words matter, as LLMLingua-2 (Pan et al.
// 2024) does. Parts whose words matter most are kept, and within them the words that matter least are left out; numbers, names,
// negations, the query's words and protected parts stay. Without a model the strategy refuses: it never pretends.

import type { Document } from '../document.ts';
import { CompressionError } from '../errors.ts';
import { choose, type Preference } from '../selection.ts';
import type { Strategy } from '../strategy.ts';
import type { Words } from '../words.ts';
import { prune } from './pruning.ts';

/** Scores every word of a text from 0 (drop) to 1 (keep); what an ONNX session wrapped by the service implements. */
export interface WordClassifier {
  readonly name: string;
  /** Words that score less are left out even where the budget has room; 0 when left out. */
  readonly threshold?: number;
  score(text: string, words: readonly { readonly start: number; readonly end: number }[]): Float32Array;
}

export const unmountedModel: Strategy = {
  name: 'model',
  compress() {
    throw new CompressionError(
      'ModelNotMounted',
      'strategy',
      'no model is mounted: set spec.model, or choose another strategy',
    );
  },
};

/** Thrown where scores are to be had from elsewhere first: a thread asks for them by the words of its text. */
export class ScoresNeeded extends CompressionError {
  readonly words: Words;

  constructor(words: Words) {
    super('ScoresNeeded', 'strategy', 'the words of the text are not scored yet');
    this.words = words;
  }
}

/** In place of the model where its scores come from another thread. */
export const askForScores: Strategy = {
  name: 'model',
  compress({ document }) {
    throw new ScoresNeeded(document.words);
  },
};

/** How much more is chosen than fits, for words to be left out of it. */
const surplus = 1.6;

/** The strategy `model` on that classifier; given as a plugin it takes the place of the refusing one. */
export function modelStrategy(classifier: WordClassifier): Strategy {
  return {
    name: 'model',
    compress({ document, budget, query, forced }) {
      const scores = wordScores(document, classifier);
      const means = unitMeans(document, scores);
      const preference: Preference = { thrift: 0, gain: (unit) => means[unit] as number };
      const aim = Math.min(document.map.total, Math.floor(budget.most * surplus));
      const wide = choose(document, { most: aim, least: Math.floor(aim * 0.95), limit: aim }, preference, forced);
      const information = (word: number): number => scores[word] as number;
      const floor = classifier.threshold ?? 0;
      return (
        prune(document, wide.spans, { query, most: budget.most, forced, information, floor }) ??
        choose(document, budget, preference, forced)
      );
    },
  };
}

function wordScores({ text, words }: Document, classifier: WordClassifier): Float32Array {
  const list = Array.from(words.start, (start, i) => ({ start, end: words.end[i] as number }));
  const scores = classifier.score(text, list);
  if (scores.length !== list.length) {
    throw new CompressionError(
      'ModelFailed',
      'strategy',
      `the model ${classifier.name} scored ${scores.length} of ${list.length} words`,
    );
  }
  return scores;
}

function unitMeans({ units, firstWord }: Document, scores: Float32Array): Float64Array {
  return Float64Array.from(units, (_, unit) => {
    const from = firstWord[unit] as number;
    const to = firstWord[unit + 1] as number;
    let sum = 0;
    for (let i = from; i < to; i++) sum += scores[i] as number;
    return to > from ? sum / (to - from) : 0;
  });
}
