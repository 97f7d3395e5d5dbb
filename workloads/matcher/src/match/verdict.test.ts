import { expect, test } from 'vitest';
import { compareProfiles, type Profile } from '../profile/similarity.ts';
import { plainBank as bank } from '../testing/bank.ts';
import { type Finding, judge } from './verdict.ts';

const rules = { maxDistance: 31, profileWeight: 0.3, minProfileSimilarity: 0.85, minEmbeddingSimilarity: 1 };

function scoreOf(query: Profile, item: Profile, beside: readonly Finding[] = []): number | undefined {
  const profile = compareProfiles(query, item) as NonNullable<Finding['profile']>;
  const findings: Finding[] = [...beside, { number: 1, bank: 0, stage: 'Profile', profile }];
  return judge(findings, new Map([[0, bank]]), rules).matches[0]?.score;
}

test('attributes alone score one half, and add nothing to what an image says', () => {
  const attributes = { country: 'GR' };
  expect(scoreOf({ attributes }, { attributes })).toBe(0.5);
  expect(scoreOf({ name: 'Maria', attributes }, { name: 'Maria', attributes })).toBeGreaterThan(0.99);
  const image: Finding = { number: 1, bank: 0, stage: 'Hash', hash: { distance: 20, variant: 'Original' } };
  const alone = judge([image], new Map([[0, bank]]), rules).matches[0]?.score;
  expect(scoreOf({ attributes }, { attributes }, [image])).toBe(alone);
});
