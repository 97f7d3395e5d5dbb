// Categories as numbers: a column for each level, their order by frequency, or the target's mean over the rows of a level.
import type { Feature } from '../data/features.ts';
import type { PreprocessingGenes } from './fit.ts';
import { type InnerFolds, innerFolds, tallied } from './innerFolds.ts';
import { meanOf, standardOf } from './statistics.ts';
import type { Step } from './steps.ts';

interface Encoding {
  readonly index: number;
  readonly feature: Feature;
  readonly rows: Int32Array;
  readonly genes: PreprocessingGenes;
  /** Of the teaching rows, as are the rest. */
  readonly weights: Float64Array | undefined;
  readonly inner: InnerFolds;
  readonly targets: readonly Float64Array[];
}

/** Levels of a column that become columns of their own; with more, the column is encoded by the target. */
export const mostLevels = 32;

/** Whether it may be: of the levels of a column, not all need be in the teaching rows. */
export function isTargetEncoded({ levels }: Feature, genes: PreprocessingGenes): boolean {
  return (
    levels !== undefined && (genes.encode === 'Target' || (genes.encode === 'OneHot' && levels.length > mostLevels))
  );
}

/** @param apart Gets values of teaching rows that differ from what the step gives for other rows, by the step's place */
export function encode(steps: Step[], apart: Map<number, Float32Array>, encoding: Encoding): void {
  const { index, feature, rows, genes, weights } = encoding;
  const codes = feature.codes!;
  const levels = feature.levels!.length;
  const counts = new Float64Array(levels + 1);
  for (const [i, row] of rows.entries()) counts[codes[row]! + 1]! += weights ? weights[i]! : 1;
  const present = counts.subarray(1).reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
  if (genes.encode === 'OneHot' && present <= mostLevels) {
    // Of two levels one column says all.
    let skip = present === 2 && counts[0] === 0;
    for (let code = -1; code < levels; code++) {
      if (counts[code + 1] === 0) continue;
      if (skip) skip = false;
      else steps.push({ kind: 'Level', feature: index, code });
    }
    return;
  }
  if (genes.encode === 'Ordinal') {
    const order = Array.from({ length: levels }, (_, code) => code).sort(
      (a, b) => counts[b + 1]! - counts[a + 1]! || a - b,
    );
    /** Of a missing cell, and then of each code. */
    const places = new Float64Array(levels + 1).fill(present);
    for (const [place, code] of order.entries()) if (counts[code + 1]! > 0) places[code + 1] = place;
    const { mean, deviation } = genes.scale === 'None' ? { mean: 0, deviation: 1 } : standardOf(places, counts);
    const values = Float32Array.from(places, (place) => (place - mean) / deviation);
    const other = Math.fround((present - mean) / deviation);
    steps.push({
      kind: 'Table',
      feature: index,
      values: values.slice(1),
      missing: genes.impute === 'None' ? null : other,
      other,
    });
    return;
  }
  for (const target of encoding.targets) targetEncode(steps, apart, encoding, target);
}

function targetEncode(steps: Step[], apart: Map<number, Float32Array>, encoding: Encoding, target: Float64Array): void {
  const { index, feature, rows, genes, weights, inner } = encoding;
  const codes = feature.codes!;
  const places = Int32Array.from(rows, (row) => codes[row]! + 1);
  const levels = feature.levels!.length;
  const prior = meanOf(target, weights);
  const weighed = weights ? target.map((value, i) => weights[i]! * value) : target;
  const sums = tallied(inner, levels + 1, places, weighed);
  const counts = tallied(inner, levels + 1, places, weights);
  const smooth = (sum: number, count: number, towards: number) =>
    Math.fround((sum + genes.smoothing * towards) / (count + genes.smoothing));
  // Over time a level is told by its distance from the mean that was known then: without any past, that is 0, of whatever target.
  const distance = (sum: number, count: number, towards: number) =>
    Math.fround((sum - count * towards) / (count + genes.smoothing));
  const encoded = inner.seenFrom ? distance : smooth;
  const priors = seenPriors(inner, weighed, weights, prior);
  const values = Float32Array.from(sums.all, (sum, place) => encoded(sum, counts.all[place]!, prior));
  apart.set(
    steps.length,
    Float32Array.from(places, (place, i) => {
      const fold = inner.of[i]!;
      const at = place * innerFolds + fold;
      return encoded(sums.seen[at]!, counts.seen[at]!, priors[fold]!);
    }),
  );
  steps.push({
    kind: 'Table',
    feature: index,
    values: values.slice(1),
    missing: values[0]!,
    other: inner.seenFrom ? 0 : Math.fround(prior),
  });
}

/** Mean of the target over what rows of each inner fold may see; of all rows where that is nothing. */
function seenPriors(
  inner: InnerFolds,
  weighed: Float64Array,
  weights: Float64Array | undefined,
  prior: number,
): Float64Array {
  const sums = tallied(inner, 1, undefined, weighed);
  const counts = tallied(inner, 1, undefined, weights);
  // Differences of weights are never quite nothing.
  const fewest = 1e-9 * weighed.length;
  return sums.seen.map((sum, fold) => (counts.seen[fold]! > fewest ? sum / counts.seen[fold]! : prior));
}
