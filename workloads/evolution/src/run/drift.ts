// What features looked like in training, and how far new rows are from it: the population stability index over tenths or levels.
import type { Feature } from '../data/features.ts';
import { randomOf } from '../random.ts';

export interface FeatureStatistics {
  readonly name: string;
  readonly missing: number;
  /** Numbers: nine cuts between tenths. */
  readonly cuts?: readonly number[];
  /** Shares of the parts between cuts, or of the most frequent levels and the rest. */
  readonly shares: readonly number[];
  /** Codes of the levels that have a share of their own. */
  readonly codes?: readonly number[];
}

export interface Drift {
  readonly feature: string;
  /** Above `clearlyMoved` the distribution has; from 0.1 on somewhat. */
  readonly index: number;
  readonly missing: { readonly training: number; readonly now: number };
}

interface Described {
  readonly feature: Feature;
  readonly rows: number;
}

/** Above this the distribution has clearly moved. */
export const clearlyMoved = 0.25;
/** Of fewer rows chance alone moves the index as far. */
export const fewestRows = 200;
const levelsKept = 20;
/** Rows that say what a feature looks like: ordering millions would take longer than the budget has left when a run ends. */
const rowsLooked = 100_000;

export function statisticsOf(features: readonly Feature[], rows: Int32Array): FeatureStatistics[] {
  const some = spread(rows);
  return features.map((feature) =>
    feature.codes ? levelStatistics(feature, feature.codes, some) : numberStatistics(feature, feature.values!, some),
  );
}

/** One by chance of each of as many parts as are looked at. */
function spread(rows: Int32Array): Int32Array {
  if (rows.length <= rowsLooked) return rows;
  const random = randomOf('statistics');
  const part = rows.length / rowsLooked;
  return Int32Array.from({ length: rowsLooked }, (_, i) => rows[Math.floor((i + random.next()) * part)]!);
}

export function describeFeatures(features: readonly Feature[]): Described[] {
  return features.map((feature) => ({ feature, rows: (feature.codes ?? feature.values!).length }));
}

export function driftOf(training: readonly FeatureStatistics[], now: readonly Described[]): Drift[] {
  const found = training.map((statistics, i) => {
    const { feature, rows } = now[i]!;
    const parts = partsOf(statistics, feature);
    const missing = rows === 0 ? 0 : parts.missing / rows;
    const seen = parts.counts.reduce((sum, count) => sum + count, 0);
    let index = stability(statistics.missing, missing) + stability(1 - statistics.missing, 1 - missing);
    if (seen > 0)
      for (const [k, share] of statistics.shares.entries()) index += stability(share, parts.counts[k]! / seen);
    return { feature: statistics.name, index, missing: { training: statistics.missing, now: missing } };
  });
  return found.sort((a, b) => b.index - a.index);
}

function stability(expected: number, actual: number): number {
  const e = Math.max(1e-3, expected);
  const a = Math.max(1e-3, actual);
  return (a - e) * Math.log(a / e);
}

function numberStatistics({ name }: Feature, values: Float32Array, rows: Int32Array): FeatureStatistics {
  const present = Float64Array.from(rows, (row) => values[row]!)
    .filter((value) => !Number.isNaN(value))
    .sort();
  const cuts = [
    ...new Set(Array.from({ length: 9 }, (_, i) => present[Math.floor((present.length * (i + 1)) / 10)] ?? 0)),
  ];
  const statistics = {
    name,
    missing: 1 - present.length / Math.max(1, rows.length),
    cuts,
    shares: new Array<number>(cuts.length + 1).fill(0),
  };
  for (const value of present) statistics.shares[partOf(cuts, value)]! += 1 / present.length;
  return statistics;
}

function levelStatistics({ name, levels }: Feature, codes: Int32Array, rows: Int32Array): FeatureStatistics {
  const counts = new Float64Array(levels!.length);
  let missing = 0;
  for (const row of rows) {
    if (codes[row]! < 0) missing++;
    else counts[codes[row]!]!++;
  }
  const seen = Math.max(1, rows.length - missing);
  const order = Array.from(counts.keys())
    .sort((a, b) => counts[b]! - counts[a]! || a - b)
    .slice(0, levelsKept);
  const shares = order.map((code) => counts[code]! / seen);
  return {
    name,
    missing: missing / Math.max(1, rows.length),
    codes: order,
    shares: [...shares, Math.max(0, 1 - shares.reduce((sum, share) => sum + share, 0))],
  };
}

function partsOf({ cuts, codes, shares }: FeatureStatistics, feature: Feature): { counts: number[]; missing: number } {
  const counts = new Array<number>(shares.length).fill(0);
  let missing = 0;
  if (codes && feature.codes) {
    const places = new Map(codes.map((code, i) => [code, i]));
    for (const code of feature.codes) {
      if (code === -1) missing++;
      else counts[places.get(code) ?? counts.length - 1]!++;
    }
  } else {
    for (const value of feature.values ?? []) {
      if (Number.isNaN(value)) missing++;
      else counts[partOf(cuts ?? [], value)]!++;
    }
  }
  return { counts, missing };
}

function partOf(cuts: readonly number[], value: number): number {
  let part = 0;
  while (part < cuts.length && value >= cuts[part]!) part++;
  return part;
}
