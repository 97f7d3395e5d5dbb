// Fits preprocessing on teaching rows alone: fills, scales, encodings, interactions and selection see no other row.
import type { Feature } from '../data/features.ts';
import type { Problem } from '../data/problem.ts';
import { encode, isTargetEncoded } from './encode.ts';
import { type InnerSplit, innerFoldsOf } from './innerFolds.ts';
import type { Matrix } from './matrix.ts';
import { chosen } from './select.ts';
import { meanOf, quantile, standardOf, type Weighed, weightsOf } from './statistics.ts';
import { type Preprocessing, type Step, valuesOf } from './steps.ts';
import { targetColumns } from './targets.ts';

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

/** Deviations: a stand-in for "no value", such as the largest number there is, must not become infinite. */
const farthest = 1e6;

/**
 * Each row counts by its weight.
 * @param rows Those that teach, of weights above 0
 * @param split What the search's folds keep apart, encodings by the target do too
 */
export function fitPreprocessing(
  problem: Problem,
  rows: Int32Array,
  genes: PreprocessingGenes,
  seed: number,
  split: InnerSplit = { kind: 'Random', gap: 0 },
): FittedPreprocessing {
  const steps: Step[] = [];
  /** Values of teaching rows that differ from what the step gives for other rows. */
  const apart = new Map<number, Float32Array>();
  const inner = innerFoldsOf(problem, rows, split, seed);
  const weights = weightsOf(problem.weights, rows);
  const targets = targetColumns(problem, rows, problem.features.filter((each) => isTargetEncoded(each, genes)).length);
  for (const [index, feature] of problem.features.entries()) {
    if (feature.codes) encode(steps, apart, { index, feature, rows, genes, weights, inner, targets });
    else number(steps, { index, feature, rows, genes, weights });
  }
  const values = steps.map((step, i) => apart.get(i) ?? valuesOf(step, problem.features[step.feature]!, rows));
  const outputs = chosen(values, targets, weights, genes);
  return { preprocessing: { steps, outputs }, matrix: assembled(values, outputs, rows.length) };
}

interface Numbers {
  readonly index: number;
  readonly feature: Feature;
  readonly rows: Int32Array;
  readonly genes: PreprocessingGenes;
  readonly weights: Float64Array | undefined;
}

function number(steps: Step[], { index, feature, rows, genes, weights }: Numbers): void {
  const present = presentOf(feature.values!, rows, weights);
  const gaps = present.values.length < rows.length;
  const log = genes.scale === 'Log';
  // As they are for most trees: ordering them would take longer than all else.
  if (genes.impute === 'None' && genes.scale === 'None')
    steps.push({ kind: 'Number', feature: index, fill: null, log, shift: 0, factor: 1, clip: null });
  else {
    const sorted = sortedBy(present);
    const fill = fillOf(genes.impute, sorted);
    const values = log ? sorted.values.map((x) => Math.sign(x) * Math.log1p(Math.abs(x))) : sorted.values;
    steps.push({ kind: 'Number', feature: index, fill, log, ...scaleOf(genes.scale, { ...sorted, values }) });
  }
  if (gaps && genes.indicate === 'Yes') steps.push({ kind: 'Missing', feature: index });
}

function presentOf(values: ArrayLike<number>, rows: Int32Array, weights: Float64Array | undefined): Weighed {
  const present = new Float64Array(rows.length);
  const theirs = weights && new Float64Array(rows.length);
  let count = 0;
  for (let i = 0; i < rows.length; i++) {
    const value = values[rows[i]!]!;
    if (Number.isNaN(value)) continue;
    if (theirs) theirs[count] = weights[i]!;
    present[count++] = value;
  }
  return { values: present.subarray(0, count), weights: theirs?.subarray(0, count) };
}

function sortedBy({ values, weights }: Weighed): Weighed {
  if (!weights) return { values: values.sort(), weights };
  const order = Int32Array.from(values.keys()).sort((a, b) => values[a]! - values[b]!);
  return { values: Float64Array.from(order, (i) => values[i]!), weights: Float64Array.from(order, (i) => weights[i]!) };
}

function fillOf(impute: PreprocessingGenes['impute'], sorted: Weighed): number | null {
  if (impute === 'None') return null;
  return Math.fround(impute === 'Mean' ? meanOf(sorted.values, sorted.weights) : quantile(sorted, 0.5));
}

function scaleOf(
  scale: PreprocessingGenes['scale'],
  sorted: Weighed,
): { shift: number; factor: number; clip: number | null } {
  const { values, weights } = sorted;
  if (scale === 'None' || values.length === 0) return { shift: 0, factor: 1, clip: null };
  if (scale === 'Robust') {
    const middle = quantile(sorted, 0.5);
    const spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 1.349;
    if (spread > 0) return { shift: Math.fround(middle), factor: Math.fround(1 / spread), clip: 5 };
  }
  const { mean, deviation } = standardOf(values, weights);
  return { shift: Math.fround(mean), factor: Math.fround(1 / deviation), clip: farthest };
}

function assembled(values: readonly Float32Array[], outputs: Preprocessing['outputs'], rows: number): Matrix {
  const data = new Float32Array(rows * outputs.length);
  for (const [column, [a, b]] of outputs.entries()) {
    for (let i = 0, at = column; i < rows; i++, at += outputs.length)
      data[at] = b === undefined ? values[a]![i]! : values[a]![i]! * values[b]![i]!;
  }
  return { rows, columns: outputs.length, data };
}
