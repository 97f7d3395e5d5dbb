import { expect, it } from 'vitest';
import { cpuTo, goalOf } from './racing.ts';

it('the naive search is timed to the goal of the others, though it went on to a hair better', () => {
  const naive = {
    curve: [
      { cpu: 1, score: 0.8 },
      { cpu: 9, score: 0.9 },
      { cpu: 40, score: 0.9001 },
    ],
  };
  const goal = goalOf(naive);
  expect(cpuTo(goal, naive)).toBe(9);
  expect(cpuTo(goal, { curve: [{ cpu: 3, score: 0.89995 }] })).toBe(3);
  expect(cpuTo(goal, { curve: [{ cpu: 3, score: 0.8995 }] })).toBeUndefined();
});
