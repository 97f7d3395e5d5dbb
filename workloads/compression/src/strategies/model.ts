// Model: a token classifier of the user's (an ONNX file on a mounted volume) says which words matter; units are kept by the
// mean of theirs. Without a model the strategy refuses: it never pretends.

import type { Document } from '../document.ts';
import { CompressionError } from '../errors.ts';
import { choose } from '../selection.ts';
import type { Strategy } from '../strategy.ts';

/** Scores every word of a text from 0 (drop) to 1 (keep); what an ONNX session wrapped by the service implements. */
export interface WordClassifier {
  readonly name: string;
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

/** The strategy `model` on that classifier; given as a plugin it takes the place of the refusing one. */
export function modelStrategy(classifier: WordClassifier): Strategy {
  return {
    name: 'model',
    compress({ document, budget, forced }) {
      const means = unitMeans(document, classifier);
      return choose(document, budget, { thrift: 0, gain: (unit) => means[unit] as number }, forced);
    },
  };
}

function unitMeans({ text, units, words, firstWord }: Document, classifier: WordClassifier): Float64Array {
  const list = Array.from(words.start, (start, i) => ({ start, end: words.end[i] as number }));
  const scores = classifier.score(text, list);
  if (scores.length !== list.length) {
    throw new CompressionError(
      'ModelFailed',
      'strategy',
      `the model ${classifier.name} scored ${scores.length} of ${list.length} words`,
    );
  }
  return Float64Array.from(units, (_, unit) => {
    const from = firstWord[unit] as number;
    const to = firstWord[unit + 1] as number;
    let sum = 0;
    for (let i = from; i < to; i++) sum += scores[i] as number;
    return to > from ? sum / (to - from) : 0;
  });
}
