import { expect, it } from 'vitest';
import { costRow, cpuTo, goalOf } from './racing.ts';

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

it('each line compares with the naive search that it names, and a score that was not reached misses the target', () => {
  const pair = { naive: 100, prepared: 40, raced: 5, again: 0.1, hits: 1 };
  const cases = { of: ({ raced }: { raced: number | undefined }) => raced };
  const alone = costRow('racing', '2 × 2', [pair], cases);
  expect(alone).toMatchObject({ ours: 5, peers: { naive: 100 }, ratio: 20, met: true });
  const shared = costRow('racing', '2 × 2', [pair], { ...cases, beside: ({ prepared }) => prepared });
  expect(shared).toMatchObject({ ours: 5, peers: { naive: 40 }, ratio: 8, met: false });
  const lost = costRow('racing', '2 × 2', [pair, { ...pair, raced: undefined }], cases);
  expect(lost).toMatchObject({ size: '2 × 2, reached in 1', met: false });
});
