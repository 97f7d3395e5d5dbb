// Stops a pipeline early that cannot catch up: after the teaching sample, and between its folds.
//
// A pipeline is compared, fold by fold, with the best that was known when it was bred. It is stopped when it lies behind by more than chance explains: the mean
// difference over its folds exceeds z × s / √folds, s being the deviation of such differences as seen so far in this run, and z the normal quantile of
// the error rate shared among all looks (Bonferroni). So a pipeline that is as good as the compared one is stopped in at most `errorRate` of cases, as
// far as differences are normal. Until differences were seen, s is taken from how the compared one's own folds scatter: two pipelines on the same rows
// differ less from fold to fold than each does by itself.
import type { Individual } from './population.ts';

export const errorRate = 0.05;

/** Differences that the assumed deviation counts for, beside those that were seen. */
const assumed = 4;

export class Race {
  readonly #looks: number;
  #squares = 0;
  #freedom = 0;
  #lowSquares = 0;
  #lowCount = 0;

  /** @param looks Most that one pipeline goes through: at its sample, and between its folds */
  constructor(looks: number) {
    this.#looks = looks;
  }

  /** Learns how differences scatter from a pipeline that ran all folds. */
  learn(individual: Individual, reference: Individual | undefined): void {
    if (!reference) return;
    const differences = individual.scores.map((score, fold) => reference.scores[fold]! - score);
    const mean = meanOf(differences);
    this.#squares += differences.reduce((sum, each) => sum + (each - mean) ** 2, 0);
    this.#freedom += differences.length - 1;
    if (individual.low === undefined || reference.low === undefined) return;
    this.#lowSquares += (reference.low - individual.low - mean) ** 2;
    this.#lowCount++;
  }

  /** What is known now, which later pipelines do not change. */
  frozen(): Race {
    const race = new Race(this.#looks);
    race.#squares = this.#squares;
    race.#freedom = this.#freedom;
    race.#lowSquares = this.#lowSquares;
    race.#lowCount = this.#lowCount;
    return race;
  }

  losesSample(low: number, reference: Individual | undefined): boolean {
    if (reference?.low === undefined) return false;
    // Where a sample puts a pipeline scatters about as much as its folds do.
    const squares = this.#lowSquares + assumed * varianceOf(reference.scores);
    return reference.low - low > this.#z * Math.sqrt(squares / (this.#lowCount + assumed));
  }

  losesFolds(scores: readonly number[], reference: Individual | undefined): boolean {
    if (!reference) return false;
    const mean = meanOf(scores.map((score, fold) => reference.scores[fold]! - score));
    const squares = this.#squares + (assumed * varianceOf(reference.scores)) / 2;
    return mean > (this.#z * Math.sqrt(squares / (this.#freedom + assumed))) / Math.sqrt(scores.length);
  }

  get #z(): number {
    return normalQuantile(1 - errorRate / this.#looks);
  }
}

/** Acklam's approximation, relative error below 1.2e-9 in the middle; here for 0.5 < p < 1. */
export function normalQuantile(p: number): number {
  if (p > 0.97575) {
    const q = Math.sqrt(-2 * Math.log(1 - p));
    return (
      -(
        ((((-7.784894002430293e-3 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) * q +
          4.374664141464968) *
          q +
        2.938163982698783
      ) /
      ((((7.784695709041462e-3 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q + 1)
    );
  }
  const q = p - 0.5;
  const r = q * q;
  return (
    ((((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r -
      30.66479806614716) *
      r +
      2.506628277459239) *
      q) /
    (((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r -
      13.28068155288572) *
      r +
      1)
  );
}

function varianceOf(values: readonly number[]): number {
  const mean = meanOf(values);
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
