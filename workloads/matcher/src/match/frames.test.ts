import { expect, test } from 'vitest';
import type { Bank } from '../record/record.ts';
import { plainBank } from '../testing/bank.ts';
import { judgeFrames } from './frames.ts';
import type { Finding } from './verdict.ts';

const bank = (number: number, kind: Bank['kind']): Bank => ({ ...plainBank, number, name: `bank-${number}`, kind });
const banks = new Map([bank(1, 'Positive'), bank(2, 'Negative')].map((each) => [each.number, each]));
const rules = { maxDistance: 31, profileWeight: 0.3, minProfileSimilarity: 0.85, minEmbeddingSimilarity: 0.75 };
const seen = (number: number, of: number, frame: number, distance: number): Finding => ({
  number,
  bank: of,
  stage: 'Hash',
  ...(frame > 0 && { frame }),
  hash: { distance, variant: 'Original' },
});
const judged = (findings: Finding[], frames: number[]) => {
  const { matches, suppressed } = judgeFrames(findings, frames, banks, rules);
  const shown = (each: { number: number; frame: number }) => [each.number, each.frame];
  return { matches: matches.map(shown), suppressed: suppressed.map(shown) };
};

test('of an item that several frames show, the nearest decides', () => {
  expect(judged([seen(7, 1, 0, 30), seen(7, 1, 3, 4), seen(7, 1, 5, 12)], [0, 3, 5]).matches).toEqual([[7, 3]]);
});

test('an item is suppressed where it is in each frame that shows it, and in no other case', () => {
  const both = [seen(7, 1, 0, 3), seen(9, 2, 0, 3), seen(7, 1, 4, 3), seen(9, 2, 4, 3)];
  expect(judged(both, [0, 4])).toEqual({ matches: [], suppressed: [[7, 0]] });
  expect(judged(both.slice(0, 3), [0, 4])).toEqual({ matches: [[7, 4]], suppressed: [] });
});

test('a name is suppressed by what every frame shows, and bytes are of the whole file', () => {
  const named: Finding = { number: 7, bank: 1, stage: 'Profile', profile: { similarity: 1, fields: [] } };
  expect(judged([named, seen(9, 2, 0, 3)], [0]).suppressed).toEqual([[7, 0]]);
  expect(judged([named, seen(9, 2, 0, 3)], [0, 1]).matches).toEqual([[7, 1]]);
  const same: Finding = { number: 7, bank: 1, stage: 'Exact' };
  expect(judged([same, seen(7, 1, 1, 0)], [0, 1]).matches).toEqual([[7, 1]]);
});
