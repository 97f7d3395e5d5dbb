// Fits preprocessing on teaching rows alone: fills, scales, encodings, interactions and selection see no other row.
import type { Feature } from '../data/features.ts';
import { outputsOf, type Problem } from '../data/problem.ts';
import { randomOf } from '../random.ts';
import type { Matrix } from './matrix.ts';
import { type Preprocessing, type Step, valuesOf } from './steps.ts';

export interface PreprocessingGenes {
  /** None keeps gaps for learners that understand them. */
  readonly impute: 'None' | 'Mean' | 'Median';
  /** A column that says where gaps were. */
  readonly indicate: 'Yes' | 'No';
  readonly scale: 'None' | 'Standard' | 'Robust' | 'Log';
  readonly encode: 'OneHot' | 'Target' | 'Ordinal';
  /** Target encoding: rows of the mean that each level starts with. */
  readonly smoothing: number;
  /** Share of columns that is kept, by what each alone says of the target. */
  readonly select: number;
  /** Products of two columns that are added. */
  readonly interactions: number;
}

export interface FittedPreprocessing {
  readonly preprocessing: Preprocessing;
  /** The teaching rows. Encodings of a row's target are replaced by ones that have not seen that row. */
  readonly matrix: Matrix;
}

/** Levels of a column that become columns of their own; with more, the column is encoded by the target. */
const mostLevels = 32;
const innerFolds = 5;
const mostClassColumns = 10;

export function fitPreprocessing(
  problem: Problem,
  rows: Int32Array,
  genes: PreprocessingGenes,
  seed: number,
): FittedPreprocessing {
  const steps: Step[] = [];
  /** Values of teaching rows that differ from what the step gives for other rows. */
  const apart = new Map<number, Float32Array>();
  const inner = innerFoldOf(rows.length, seed);
  const targets = targetColumns(problem, rows);
  for (const [index, feature] of problem.features.entries()) {
    if (feature.codes)
      encode(steps, apart, {
        index,
        codes: feature.codes,
        levels: feature.levels!.length,
        rows,
        genes,
        inner,
        targets,
      });
    else number(steps, index, feature, rows, genes);
  }
  const values = steps.map((step, i) => apart.get(i) ?? valuesOf(step, problem.features[step.feature]!, rows));
  const outputs = chosen(values, targets, genes);
  return { preprocessing: { steps, outputs }, matrix: assembled(values, outputs, rows.length) };
}

function number(steps: Step[], index: number, feature: Feature, rows: Int32Array, genes: PreprocessingGenes): void {
  const present = presentOf(feature.values!, rows);
  const gaps = present.length < rows.length;
  const log = genes.scale === 'Log';
  // As they are for most trees: ordering them would take longer than all else.
  if (genes.impute === 'None' && genes.scale === 'None')
    steps.push({ kind: 'Number', feature: index, fill: null, log, shift: 0, factor: 1, clip: null });
  else {
    present.sort();
    const fill =
      genes.impute === 'None' ? null : Math.fround(genes.impute === 'Mean' ? meanOf(present) : quantile(present, 0.5));
    const scaledValues = log ? present.map((x) => Math.sign(x) * Math.log1p(Math.abs(x))) : present;
    steps.push({ kind: 'Number', feature: index, fill, log, ...scaleOf(genes.scale, scaledValues) });
  }
  if (gaps && genes.indicate === 'Yes') steps.push({ kind: 'Missing', feature: index });
}

function presentOf(values: ArrayLike<number>, rows: Int32Array): Float64Array {
  const present = new Float64Array(rows.length);
  let count = 0;
  for (let i = 0; i < rows.length; i++) {
    const value = values[rows[i]!]!;
    if (!Number.isNaN(value)) present[count++] = value;
  }
  return present.subarray(0, count);
}

function scaleOf(
  scale: PreprocessingGenes['scale'],
  values: Float64Array,
): { shift: number; factor: number; clip: number | null } {
  if (scale === 'None' || values.length === 0) return { shift: 0, factor: 1, clip: null };
  if (scale === 'Robust') {
    const middle = quantile(values, 0.5);
    const spread = (quantile(values, 0.75) - quantile(values, 0.25)) / 1.349;
    if (spread > 0) return { shift: Math.fround(middle), factor: Math.fround(1 / spread), clip: 5 };
  }
  const mean = meanOf(values);
  const deviation = Math.sqrt(meanOf(values.map((value) => (value - mean) ** 2)));
  return {
    shift: Math.fround(mean),
    factor: Math.fround(deviation > 1e-12 * Math.abs(mean) && deviation > 0 ? 1 / deviation : 1),
    clip: null,
  };
}

interface Encoding {
  readonly index: number;
  readonly codes: Int32Array;
  readonly levels: number;
  readonly rows: Int32Array;
  readonly genes: PreprocessingGenes;
  readonly inner: Uint8Array;
  readonly targets: readonly Float64Array[];
}

function encode(steps: Step[], apart: Map<number, Float32Array>, encoding: Encoding): void {
  const { index, codes, levels, rows, genes } = encoding;
  const counts = new Int32Array(levels + 1);
  for (const row of rows) counts[codes[row]! + 1]!++;
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
    const values = new Float32Array(levels);
    for (const [place, code] of order.entries()) values[code] = counts[code + 1] === 0 ? present : place;
    steps.push({
      kind: 'Table',
      feature: index,
      values,
      missing: genes.impute === 'None' ? null : present,
      other: present,
    });
    return;
  }
  for (const target of encoding.targets) targetEncode(steps, apart, encoding, target);
}

function targetEncode(steps: Step[], apart: Map<number, Float32Array>, encoding: Encoding, target: Float64Array): void {
  const { index, codes, levels, rows, genes, inner } = encoding;
  const prior = meanOf(target);
  const sums = new Float64Array(levels + 1);
  const counts = new Float64Array(levels + 1);
  const innerSums = new Float64Array((levels + 1) * innerFolds);
  const innerCounts = new Float64Array((levels + 1) * innerFolds);
  for (let i = 0; i < rows.length; i++) {
    const place = codes[rows[i]!]! + 1;
    const own = place * innerFolds + inner[i]!;
    sums[place]! += target[i]!;
    counts[place]!++;
    innerSums[own]! += target[i]!;
    innerCounts[own]!++;
  }
  const smooth = (sum: number, count: number, towards = prior) =>
    Math.fround((sum + genes.smoothing * towards) / (count + genes.smoothing));
  const innerPriors = priorsWithout(target, inner);
  const values = Float32Array.from(sums, (sum, place) => smooth(sum, counts[place]!));
  apart.set(
    steps.length,
    Float32Array.from(rows, (row, i) => {
      const place = codes[row]! + 1;
      const own = place * innerFolds + inner[i]!;
      return smooth(sums[place]! - innerSums[own]!, counts[place]! - innerCounts[own]!, innerPriors[inner[i]!]);
    }),
  );
  steps.push({
    kind: 'Table',
    feature: index,
    values: values.slice(1),
    missing: values[0]!,
    other: Math.fround(prior),
  });
}

/** Mean of the target over all rows but those of each inner fold. */
function priorsWithout(target: Float64Array, inner: Uint8Array): number[] {
  const all = meanOf(target) * target.length;
  const sums = new Float64Array(innerFolds);
  const counts = new Float64Array(innerFolds);
  for (let i = 0; i < target.length; i++) {
    sums[inner[i]!]! += target[i]!;
    counts[inner[i]!]!++;
  }
  return Array.from(sums, (sum, fold) => (all - sum) / Math.max(1, target.length - counts[fold]!));
}

/** Interactions first, then selection over all columns. */
function chosen(
  values: readonly Float32Array[],
  targets: readonly Float64Array[],
  genes: PreprocessingGenes,
): (readonly [number] | readonly [number, number])[] {
  const all: (readonly [number] | readonly [number, number])[] = values.map((_, i) => [i]);
  if (genes.interactions === 0 && genes.select >= 1) return all;
  const powers = values.map((column) => power(column, targets));
  const candidates = [...powers];
  if (genes.interactions > 0) {
    const strongest = powers
      .map((_, i) => i)
      .sort((a, b) => powers[b]! - powers[a]! || a - b)
      .slice(0, 12);
    const pairs: { pair: readonly [number, number]; gain: number }[] = [];
    for (const [place, a] of strongest.entries()) {
      for (const b of strongest.slice(place + 1)) {
        const product = values[a]!.map((value, i) => value * values[b]![i]!);
        pairs.push({ pair: [a, b], gain: power(product, targets) });
      }
    }
    for (const { pair, gain } of pairs.sort((p, q) => q.gain - p.gain).slice(0, genes.interactions)) {
      all.push(pair);
      candidates.push(gain);
    }
  }
  const keep = Math.max(1, Math.round(genes.select * all.length));
  const order = candidates.map((_, i) => i).sort((a, b) => candidates[b]! - candidates[a]! || a - b);
  return order
    .slice(0, keep)
    .sort((a, b) => a - b)
    .map((i) => all[i]!);
}

/** Largest squared correlation with a target; rows with gaps are passed over. */
function power(column: Float32Array, targets: readonly Float64Array[]): number {
  let best = 0;
  for (const target of targets) {
    let n = 0,
      sx = 0,
      sy = 0,
      sxx = 0,
      syy = 0,
      sxy = 0;
    for (let i = 0; i < column.length; i++) {
      const x = column[i]!;
      if (Number.isNaN(x)) continue;
      const y = target[i]!;
      n++;
      sx += x;
      sy += y;
      sxx += x * x;
      syy += y * y;
      sxy += x * y;
    }
    const vx = sxx - (sx * sx) / n;
    const vy = syy - (sy * sy) / n;
    if (n > 2 && vx > 1e-9 * sxx && vy > 0) best = Math.max(best, (sxy - (sx * sy) / n) ** 2 / (vx * vy));
  }
  return best;
}

function assembled(values: readonly Float32Array[], outputs: Preprocessing['outputs'], rows: number): Matrix {
  const data = new Float32Array(rows * outputs.length);
  for (const [column, [a, b]] of outputs.entries()) {
    for (let i = 0, at = column; i < rows; i++, at += outputs.length)
      data[at] = b === undefined ? values[a]![i]! : values[a]![i]! * values[b]![i]!;
  }
  return { rows, columns: outputs.length, data };
}

/** What encodings and selection look at: the value, or membership of each class. */
function targetColumns(problem: Problem, rows: Int32Array): Float64Array[] {
  const y = Float64Array.from(rows, (row) => problem.y[row]!);
  if (problem.task !== 'Multiclass') return [y];
  return Array.from({ length: Math.min(mostClassColumns, outputsOf(problem)) }, (_, k) =>
    y.map((value) => (value === k ? 1 : 0)),
  );
}

function innerFoldOf(n: number, seed: number): Uint8Array {
  const random = randomOf('inner folds', seed);
  return Uint8Array.from({ length: n }, () => random.int(innerFolds));
}

function meanOf(values: Float64Array): number {
  if (values.length === 0) return 0;
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

function quantile(sortedValues: Float64Array, share: number): number {
  if (sortedValues.length === 0) return 0;
  const at = share * (sortedValues.length - 1);
  const low = sortedValues[Math.floor(at)]!;
  return low + (sortedValues[Math.ceil(at)]! - low) * (at - Math.floor(at));
}
