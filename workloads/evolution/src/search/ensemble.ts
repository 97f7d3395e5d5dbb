// Greedy selection of an ensemble from predictions of judged rows (Caruana et al. 2004), with replacement: a member's weight is how often it was chosen.
import { type Metric, scoreOf, type Truth } from '../metrics/metrics.ts';
import { randomOf } from '../random.ts';
import { modelBytesOf } from './kept.ts';
import type { Individual } from './population.ts';

export interface EnsembleMember {
  readonly individual: Individual;
  /** 0..1; all sum to 1. */
  readonly weight: number;
}

export interface Ensemble {
  readonly members: readonly EnsembleMember[];
  /** Mean score over folds. */
  readonly score: number;
  /** Pipelines that would have been considered, or chosen, had there been room for their models. */
  readonly roomless: number;
}

export interface EnsembleOptions {
  readonly metric: Metric;
  /** True labels of each fold's judged rows. */
  readonly truths: readonly Truth[];
  readonly maxMembers: number;
  /** Bytes of the fitted models of all members; no bound where left out. */
  readonly room?: number;
  /** Numbers that may be looked at: what bounds the time, whatever the size of the data. */
  readonly effort: number;
  readonly seed: number;
}

const mostRows = 20_000;
const mostRounds = 40;
const mostCandidates = 40;
/** Rounds without gain that end the choice. */
const patience = 8;

/** Undefined where no pipeline has predictions, or room. */
export function greedyEnsemble(individuals: readonly Individual[], options: EnsembleOptions): Ensemble | undefined {
  const { room = Number.POSITIVE_INFINITY } = options;
  const whole = individuals.filter((individual) => individual.predictions.length > 0);
  const ranked = whole
    .filter((individual) => modelBytesOf(individual) <= room)
    .sort((a, b) => b.score - a.score || a.index - b.index);
  if (ranked.length === 0) return undefined;
  const folds = samplesOf(options);
  const numbers = folds.reduce((sum, fold) => sum + fold.rows.length * fold.truth.outputs, 0);
  const looks = Math.max(30, Math.floor(options.effort / numbers));
  const candidates = distinct(ranked).slice(0, Math.min(mostCandidates, Math.max(5, Math.floor(Math.sqrt(looks)))));
  const rounds = Math.min(mostRounds, Math.max(3, Math.floor(looks / candidates.length)));
  const parts = candidates.map((individual) => folds.map((fold, k) => picked(individual.predictions[k]!, fold)));
  const sums = folds.map((fold) => new Float64Array(fold.rows.length * fold.truth.outputs));
  const scratch = sums.map((sum) => new Float32Array(sum.length));
  const sizes = candidates.map(modelBytesOf);
  const roomless = new Set<number>();
  const counts = new Int32Array(candidates.length);
  const best = { score: Number.NEGATIVE_INFINITY, counts: counts.slice(), round: 0 };
  for (let round = 1; round <= (options.maxMembers === 1 ? 1 : rounds); round++) {
    const members = counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
    let chosen = -1;
    let top = Number.NEGATIVE_INFINITY;
    const taken = sizes.reduce((sum, size, i) => sum + (counts[i]! > 0 ? size : 0), 0);
    for (const [i, part] of parts.entries()) {
      if (counts[i] === 0 && members >= options.maxMembers) continue;
      if (counts[i] === 0 && taken + sizes[i]! > room) {
        roomless.add(i);
        continue;
      }
      const score = scoreWith(part, round);
      if (score > top) {
        top = score;
        chosen = i;
      }
      // The first is the best alone, by all rows.
      if (round === 1) break;
    }
    if (chosen < 0) break;
    counts[chosen]!++;
    for (const [k, sum] of sums.entries()) for (let j = 0; j < sum.length; j++) sum[j]! += parts[chosen]![k]![j]!;
    if (top > best.score + 1e-9) {
      best.score = top;
      best.counts = counts.slice();
      best.round = round;
    } else if (round - best.round >= patience) break;
  }
  return { ...weighed(candidates, best.counts, options), roomless: whole.length - ranked.length + roomless.size };

  function scoreWith(part: readonly Float32Array[], round: number): number {
    let total = 0;
    for (const [k, { truth }] of folds.entries()) {
      const mixed = scratch[k]!;
      for (let j = 0; j < mixed.length; j++) mixed[j] = (sums[k]![j]! + part[k]![j]!) / round;
      total += scoreOf(options.metric, truth, mixed);
    }
    return total / folds.length;
  }
}

/** The ensemble's predictions of one fold's judged rows. */
export function mixedPredictions(members: readonly EnsembleMember[], fold: number): Float32Array {
  const mixed = new Float64Array(members[0]!.individual.predictions[fold]!.length);
  for (const { individual, weight } of members) {
    const part = individual.predictions[fold]!;
    for (let j = 0; j < mixed.length; j++) mixed[j]! += weight * part[j]!;
  }
  return Float32Array.from(mixed);
}

function weighed(
  candidates: readonly Individual[],
  counts: Int32Array,
  { metric, truths }: EnsembleOptions,
): Omit<Ensemble, 'roomless'> {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const members = candidates.flatMap((individual, i) =>
    counts[i]! > 0 ? [{ individual, weight: counts[i]! / total }] : [],
  );
  const score =
    truths.reduce((sum, truth, fold) => sum + scoreOf(metric, truth, mixedPredictions(members, fold)), 0) /
    truths.length;
  return { members: members.sort((a, b) => b.weight - a.weight || a.individual.index - b.individual.index), score };
}

interface Sample {
  readonly rows: Int32Array;
  readonly truth: Truth;
}

function samplesOf({ truths, seed }: EnsembleOptions): Sample[] {
  const share = Math.min(1, mostRows / truths.reduce((sum, truth) => sum + truth.y.length, 0));
  return truths.map((truth, fold) => {
    const all = Int32Array.from({ length: truth.y.length }, (_, i) => i);
    const rows =
      share === 1
        ? all
        : randomOf('ensemble', seed, fold)
            .shuffle(all)
            .slice(0, Math.ceil(share * all.length))
            .sort();
    return {
      rows,
      truth: {
        ...truth,
        y: Float64Array.from(rows, (row) => truth.y[row]!),
        weights: truth.weights && Float64Array.from(rows, (row) => truth.weights![row]!),
      },
    };
  });
}

function picked(predictions: Float32Array, { rows, truth: { outputs } }: Sample): Float32Array {
  const values = new Float32Array(rows.length * outputs);
  for (const [i, row] of rows.entries())
    values.set(predictions.subarray(row * outputs, (row + 1) * outputs), i * outputs);
  return values;
}

/** Pipelines that predict the same would only be chosen twice. */
function distinct(ranked: readonly Individual[]): Individual[] {
  const seen = new Set<string>();
  return ranked.filter(({ scores, key }) => {
    const mark = scores.join() || key;
    return !seen.has(mark) && seen.add(mark);
  });
}
