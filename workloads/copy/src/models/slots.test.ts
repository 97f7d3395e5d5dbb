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
