import type { Token } from 'node-llama-cpp';
import { expect, test } from 'vitest';
import { bySequence, placeOf } from './sequenceOrder.ts';

test('a batch is in the order of its sequences, and no larger than it may be', () => {
  const item = (index: number, length: number) => ({
    tokens: Array.from({ length }, () => 0 as Token),
    logits: [],
    evaluationPriority: placeOf(index),
  });
  const items = [item(11, 1), item(2, 30), item(3, 1), item(0, 1)];
  const ordered = bySequence({ items, size: 32 });
  expect(ordered.map(({ item: { evaluationPriority } }) => evaluationPriority)).toEqual([0, 2, 3, 11]);
  expect(ordered.map(({ processAmount }) => processAmount)).toEqual([1, 30, 1, 0]);
});
