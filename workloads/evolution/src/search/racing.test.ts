// How often a race stops what it should keep, as a search really goes: the best so far has passed the same looks, and scatter is learned from survivors.
import { describe, expect, it } from 'vitest';
import { randomOf } from '../random.ts';
import type { Individual } from './population.ts';
import { Race, worth } from './racing.ts';
import { looksOf } from './trial.ts';

const folds = 5;
const random = randomOf('looks of a search');
const normal = () => random.normal();

interface Case {
  readonly sampled: boolean;
  /** Deviations by which a sample scatters, of those by which a fold does. */
  readonly scatter: number;
  readonly rivals: number;
}

/** Normal noise, as the race assumes; the deviation of a difference on one fold is 1. */
function stopped({ sampled, scatter, rivals }: Case): number {
  let lost = 0;
  const searches = 60;
  const trials = 40;
  for (let search = 0; search < searches; search++) {
    const hard = Array.from({ length: folds }, () => 3 * normal());
    const made = (quality: number) => {
      const scores = hard.map((each) => each + quality + normal() / Math.SQRT2);
      const low = sampled ? quality + (scatter * normal()) / Math.SQRT2 - 5 : undefined;
      return { scores, low, quality, score: scores.reduce((sum, each) => sum + each) / folds };
    };
    type Made = ReturnType<typeof made>;
    const known = (each: Made) => each as unknown as Individual;
    const race = new Race(looksOf(folds).length);
    let best = made(0);
    const loses = (each: Made, others: readonly Made[] = []): boolean => {
      const told = [each, ...others];
      const low = others.length === 0 ? undefined : Math.max(...told.map((other) => other.low!));
      const rival = others.length === 0 ? undefined : [Math.max(...told.map(({ scores }) => scores[0]!))];
      return (
        (sampled && race.losesSample(each.low!, known(best), false, low)) ||
        race.losesFolds(each.scores.slice(0, 1), known(best), false, rival)
      );
    };
    const ordinary = () => made(best.quality - Math.abs(2 * normal()) + 0.6);
    for (let i = 0; i < 120; i++) {
      const candidate = ordinary();
      if (loses(candidate)) continue;
      race.learn(known(candidate), known(best));
      if (candidate.score > best.score) best = candidate;
    }
    for (let i = 0; i < trials; i++) {
      const one = made(best.quality);
      // A sample's scatter is the unit of the look at it.
      const shift = best.score + worth * (sampled ? Math.max(1, scatter) : 1) - one.score;
      const better = {
        ...one,
        low: one.low === undefined ? undefined : one.low + shift,
        scores: one.scores.map((each) => each + shift),
      };
      if (loses(better, Array.from({ length: rivals }, ordinary))) lost++;
    }
  }
  return lost / (searches * trials);
}

describe('the race of a search', () => {
  // 0.08, 0.06; 0.14, 0.11, 0.13 when this was written; a standard error is about 0.015.
  it.each<Case & { readonly most: number }>([
    { sampled: false, scatter: 1, rivals: 0, most: 0.11 },
    { sampled: false, scatter: 1, rivals: 5, most: 0.11 },
    { sampled: true, scatter: 1, rivals: 0, most: 0.17 },
    { sampled: true, scatter: 2, rivals: 0, most: 0.17 },
    { sampled: true, scatter: 1, rivals: 5, most: 0.17 },
  ])(
    'stops what is worth keeping in no more cases than it says: sample $sampled, scatter $scatter, rivals $rivals',
    (each) => {
      expect(stopped(each)).toBeLessThan(each.most);
    },
  );
});
