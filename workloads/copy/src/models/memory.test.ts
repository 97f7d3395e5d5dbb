import { expect, test } from 'vitest';
import { stateMemory } from './memory.ts';

const size = { fixed: 10, each: 30, most: 64 };

test('contexts that were expected have even shares, and one that comes later has what is left', () => {
  const memory = stateMemory(1000, 3);
  expect([1, 2, 3].map(() => memory.take(size).sequences)).toEqual([10, 10, 10]);
  const tight = stateMemory(1000, 1);
  const base = tight.take({ ...size, most: 30 });
  expect(base.sequences).toBe(30);
  expect(tight.take(size).sequences).toBe(2);
  expect(() => tight.take(size)).toThrow(/no memory is left/);
});

test('what a context gives back is there for the next, once', () => {
  const memory = stateMemory(100, 1);
  memory.take({ fixed: 0, each: 50, most: 1 });
  const first = memory.take({ fixed: 0, each: 50, most: 1 });
  expect(() => memory.take({ fixed: 0, each: 50, most: 1 })).toThrow(/no memory is left/);
  first.give();
  first.give();
  memory.take({ fixed: 0, each: 50, most: 1 });
  expect(() => memory.take({ fixed: 0, each: 50, most: 1 })).toThrow(/no memory is left/);
});

test('the model itself answers, however little memory there is', () => {
  expect(stateMemory(-5, 4).take(size).sequences).toBe(1);
});
