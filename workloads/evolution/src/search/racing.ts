// Stops a pipeline early that will not lead: after the teaching sample, and between its folds.
//
// A pipeline is compared, fold by fold, with the best that was known when it was bred. The bar is set for one that would be better than that one by `worth`
// deviations of such a difference on one fold: it would be stopped in at most `errorRate` of cases, the quantile of the error rate being shared among all
// looks (Bonferroni), if differences were normal, their deviation known, and the best one a stranger to these looks. In a search neither of the last two
// holds: the best has passed the same looks, and is lucky there; and scatter is learned from those that were not stopped, which scatter less. Simulated
// with both, by the looks of a search (racing.test.ts), such a pipeline is stopped in 6 to 8 of 100 cases where folds alone are looked at, and in 11 to 14
// with a sample.
// Of those that are merely as good a look stops more: what is sought is a better one, and time spent on equals is not spent on others. The deviation is the
// median of the differences seen so far in this run, so that learners of quite another kind, whose folds scatter more, do not hide small steps near the best.
// Until enough were seen it is mixed with a quarter of how the compared one's own folds scatter: folds are hard or easy for all pipelines alike, and two of
// them differ less from fold to fold than each does by itself.
import type { Individual } from './population.ts';

/** Nominal: what it comes to in a search is said above. */
export const errorRate = 0.05;
/** Deviations of the difference on one fold, or on the sample, by which a pipeline must be better to be kept for sure. */
export const worth = 1.75;

/** Deviations that the first pipeline of a learner may be behind: ensembles live on differences, but not on what is hopeless. */
const forgiven = 6;
/** Differences that the assumed deviation counts for, beside those that were seen. */
const assumed = 4;
/** Variance of the difference of two pipelines on a fold, of the variance of one of them. */
const paired = 1 / 16;
const remembered = 400;
/** Median of the square of a standard normal number. */
const medianSquare = 0.4549;

export class Race {
  readonly #looks: number;
  /** Squares of what the differences on folds, and on samples, are off from their mean over all folds. */
  #folds: readonly number[] = [];
  #samples: readonly number[] = [];

  /** @param looks Most that one pipeline goes through: at its sample, and between its folds */
  constructor(looks: number) {
    this.#looks = looks;
  }

  /** Learns how differences scatter from a pipeline that ran all folds. */
  learn(individual: Individual, reference: Individual | undefined): void {
    if (!reference) return;
    const differences = individual.scores.map((score, fold) => reference.scores[fold]! - score);
    const mean = meanOf(differences);
    const freedom = differences.length / Math.max(1, differences.length - 1);
    const squares = differences.map((each) => freedom * (each - mean) ** 2);
    this.#folds = [...this.#folds, ...squares].slice(-remembered);
    if (individual.low === undefined || reference.low === undefined) return;
    this.#samples = [...this.#samples, (reference.low - individual.low - mean) ** 2].slice(-remembered);
  }

  /** What is known now, which later pipelines do not change. */
  frozen(): Race {
    const race = new Race(this.#looks);
    race.#folds = this.#folds;
    race.#samples = this.#samples;
    return race;
  }

  /** @param rival The best score of several others on the sample: chance alone puts it about a deviation above theirs */
  losesSample(
    low: number,
    reference: Individual | undefined,
    pioneer = false,
    rival = Number.NEGATIVE_INFINITY,
  ): boolean {
    if (reference?.low === undefined) return false;
    // Where a sample puts a pipeline scatters more than where a fold does.
    const deviation = deviationOf(this.#samples, 2 * paired * varianceOf(reference.scores));
    return Math.max(reference.low, rival - deviation) - low > deviation * (pioneer ? forgiven : this.#z - worth);
  }

  /** @param rival Scores of the best of several others on the same folds */
  losesFolds(
    scores: readonly number[],
    reference: Individual | undefined,
    pioneer = false,
    rival: readonly number[] = [Number.NEGATIVE_INFINITY],
  ): boolean {
    if (!reference) return false;
    const deviation = deviationOf(this.#folds, paired * varianceOf(reference.scores));
    const best = Math.max(meanOf(reference.scores.slice(0, scores.length)), meanOf(rival) - deviation);
    return best - meanOf(scores) > deviation * (pioneer ? forgiven : this.#z / Math.sqrt(scores.length) - worth);
  }

  get #z(): number {
    return normalQuantile(1 - errorRate / this.#looks);
  }
}

function deviationOf(squares: readonly number[], prior: number): number {
  const all = Float64Array.of(...squares, ...new Array<number>(assumed).fill(medianSquare * prior)).sort();
  return Math.sqrt(all[Math.floor(all.length / 2)]! / medianSquare);
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
