// Whether a probability that is predicted is what is observed: tenths of it on judged rows, for two classes.
import type { Truth } from '../metrics/metrics.ts';
import { type EnsembleMember, mixedPredictions } from '../search/ensemble.ts';

/** Mean prediction and share of positives of each tenth that has rows, by their weights. Empty for other tasks. */
export function calibrationOf(members: readonly EnsembleMember[], truths: readonly Truth[]): [number, number][] {
  const bins = Array.from({ length: 10 }, () => ({ count: 0, predicted: 0, positive: 0 }));
  for (const [fold, { task, y, weights }] of truths.entries()) {
    if (task !== 'Binary') return [];
    for (const [i, probability] of mixedPredictions(members, fold).entries()) {
      const bin = bins[Math.min(9, Math.floor(probability * 10))]!;
      const weight = weights ? weights[i]! : 1;
      bin.count += weight;
      bin.predicted += weight * probability;
      bin.positive += weight * y[i]!;
    }
  }
  return bins.filter((bin) => bin.count > 0).map((bin) => [bin.predicted / bin.count, bin.positive / bin.count]);
}
