import { expect, test } from 'vitest';
import { Pace } from './pace.ts';

test('a write is followed by another reconcile at once, none by nothing', () => {
  const pace = new Pace(() => 0);
  expect(pace.note('a', { writes: 3, corrections: 0 })).toBe(0);
  expect(pace.note('a', { writes: 0, corrections: 0 })).toBeUndefined();
  expect(pace.waitOf('a')).toBe(0);
});

test('a kind that writes every time is slowed down, and forgiven once it did not', () => {
  const pace = new Pace(() => 0);
  const waits = Array.from({ length: 12 }, () => pace.note('a', { writes: 1, corrections: 0 }));
  expect(waits).toEqual([0, 0, 0, 0, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  expect(pace.waitOf('a')).toBe(0);
  pace.note('a', { writes: 0, corrections: 0 });
  expect(pace.note('a', { writes: 1, corrections: 0 })).toBe(0);
});

test('corrections are counted through quiet reconciles between them, until peace has lasted', () => {
  let now = 0;
  const pace = new Pace(() => now);
  const fights = Array.from({ length: 6 }, () => {
    pace.note('a', { writes: 1, corrections: 1 });
    pace.note('a', { writes: 0, corrections: 0 });
    return pace.isNewFight('a');
  });
  expect(fights).toEqual([false, false, false, false, true, false]);
  expect(pace.waitOf('a')).toBe(400);
  now = 60_001;
  pace.note('a', { writes: 0, corrections: 0 });
  expect(pace.waitOf('a')).toBe(0);
});
