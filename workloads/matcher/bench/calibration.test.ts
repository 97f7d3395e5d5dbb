import { describe, expect, test } from 'vitest';
import { type Finding, judge } from '../src/match/verdict.ts';
import { plainBank as bank } from '../src/testing/bank.ts';
import { type Measured, profilePairs } from './calibration.ts';

const rules = { maxDistance: 31, profileWeight: 0.3, minProfileSimilarity: 0.81, minEmbeddingSimilarity: 1 };

/** Scores of findings beside the share of those with such a score that are right. */
function reliability(pairs: readonly Measured[], finding: (measure: number) => Partial<Finding>) {
  const scored = pairs.map(({ measure, same }) => {
    const { matches } = judge(
      [{ number: 1, bank: 0, stage: 'Exact', ...finding(measure) }],
      new Map([[0, bank]]),
      rules,
    );
    return { score: matches[0]?.score ?? 0, same };
  });
  return (from: number, to: number) => {
    const inside = scored.filter(({ score }) => score >= from && score < to);
    const mean = inside.reduce((sum, { score }) => sum + score, 0) / inside.length;
    return { mean, right: inside.filter(({ same }) => same).length / inside.length, count: inside.length };
  };
}

describe('a score', () => {
  test('of names is the share of such pairs that are one person, as pairs of another seed show', () => {
    const pairs = profilePairs(30_000, 4711).filter(({ measure }) => measure >= rules.minProfileSimilarity);
    const between = reliability(pairs, (similarity) => ({ stage: 'Profile', profile: { similarity, fields: [] } }));
    for (const [from, to] of [
      [0.5, 0.7],
      [0.7, 0.85],
      [0.85, 0.95],
      [0.95, 1],
    ] as const) {
      const { mean, right, count } = between(from, to);
      expect(count).toBeGreaterThan(100);
      expect(Math.abs(mean - right), `${from} to ${to}: ${mean} of ${right}`).toBeLessThan(0.05);
    }
  });
});
