import type { Token } from 'node-llama-cpp';
import { expect, test } from 'vitest';
import { slotsOf } from './slots.ts';

const tokens = (text: string) => Array.from(text, (character) => character.charCodeAt(0) as Token);

/** Slots whose sequences hold what was asked of them last. */
function slots(count: number) {
  const sequences = Array.from({ length: count }, (_, index) => ({ index, held: '' }));
  const all = slotsOf(sequences, ({ held }) => tokens(held));
  return (tenant: string, prompt: string) => {
    const slot = all.take(tenant, tokens(prompt));
    slot.sequence.held = prompt;
    all.give(slot);
    return { index: slot.sequence.index, foreign: slot.foreign };
  };
}

test('a prompt goes where at least half of it is, else to an empty place or the one unused for longest', () => {
  const ask = slots(2);
  const first = ask('a', 'system: one');
  const second = ask('a', 'sys and quite another');
  expect(second.index).not.toBe(first.index);
  expect(ask('a', 'system: two')).toEqual(first);
  expect(ask('a', 'sys of a third kind').index).toBe(second.index);
});

test('what a tenant left is foreign to another, however much they share', () => {
  const ask = slots(1);
  expect(ask('a', 'the same').foreign).toBe(false);
  expect(ask('b', 'the same').foreign).toBe(true);
});

test('answers in work stand beside each other, and what was unused for longest is taken first where there is a choice', () => {
  const sequences = Array.from({ length: 8 }, (_, index) => index);
  const all = slotsOf(sequences, () => []);
  const take = () => all.take('a', tokens('a prompt'));
  const begun = Array.from({ length: 5 }, take);
  expect(begun.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
  for (const index of [3, 1]) all.give(begun[index] as (typeof begun)[number]);
  // The gaps first, then the ends.
  expect([take(), take(), take()].map(({ index }) => index)).toEqual([3, 1, 5]);
  // One at a time, all are used in turn.
  const alone = slotsOf(sequences, () => []);
  const used = Array.from({ length: 8 }, () => {
    const slot = alone.take('a', tokens('a prompt'));
    alone.give(slot);
    return slot.index;
  });
  expect(used).toEqual(sequences);
});
