// The order in which a batch is handed to llama.cpp. It computes together what is of sequences whose numbers follow each other, in that order
// (`split_equal`, sequential); in any other order each sequence is a pass over all weights of its own.
import type { BatchItem, EvaluationPriority, PrioritizedBatchItem } from 'node-llama-cpp';

/** Tells `bySequence` which sequence a part of a batch is of: nothing else that it could know it by is handed on. */
export const placeOf = (index: number): EvaluationPriority => index as EvaluationPriority;

export function bySequence({ items, size }: { items: readonly BatchItem[]; size: number }): PrioritizedBatchItem[] {
  let room = size;
  return items
    .toSorted((a, b) => a.evaluationPriority - b.evaluationPriority)
    .map((item) => {
      const processAmount = Math.min(room, item.tokens.length);
      room -= processAmount;
      return { item, processAmount };
    });
}
