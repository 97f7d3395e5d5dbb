// Before any search: does a column say what it could not know? Names columns; what follows is the user's choice.
import { createHash } from 'node:crypto';
import { binaryAuc } from '../metrics/ranking.ts';
import { randomOf } from '../random.ts';
import type { Feature } from './features.ts';
import type { Problem } from './problem.ts';
import type { Split } from './split.ts';

export interface Suspect {
  readonly kind: 'TargetCopy' | 'Identifier' | 'DuplicateRows';
  readonly column?: string;
  /** Judged rows that are meant. */
  readonly rows?: number;
  readonly text: string;
}

/** One column alone that ranks this well is more often the answer than a question. */
const copyLimit = 0.999;
const rowsLooked = 50_000;
/** Rows of each class that are looked at, if there are so many: a rare class tells as much as a frequent one. */
const rowsOfClass = 1000;
const digestsHeld = 1 << 20;
/** Rows where a column with gaps is known, from which on it is judged by them alone. */
const fewestKnown = 200;
const fewestOfClass = 5;

/** @param held Digests of rows that are held at once: of more rows a share is compared */
export function auditLeakage(problem: Problem, split: Split, held = digestsHeld): Suspect[] {
  const suspects: Suspect[] = [];
  const rows = sampled(problem, split.train);
  const copies = new Set<string>();
  for (const feature of problem.features) {
    // A date has several features; it is named once.
    if (copies.has(feature.column)) continue;
    const power = powerOf(problem, feature, rows);
    if (power >= copyLimit) {
      copies.add(feature.column);
      suspects.push({
        kind: 'TargetCopy',
        column: feature.column,
        text: `${feature.name} alone predicts ${problem.target} (${power.toFixed(4)} of 1)`,
      });
    } else if (feature.kind === 'Value' && problem.identifiers?.includes(feature.column)) {
      suspects.push({
        kind: 'Identifier',
        column: feature.column,
        text: `${feature.name} has another whole number in every row: an identifier that will not repeat`,
      });
    }
  }
  const duplicates = duplicatesOver(problem, split, held);
  if (duplicates > 0) {
    suspects.push({
      kind: 'DuplicateRows',
      rows: duplicates,
      text: `${duplicates} judged rows also teach, cell for cell`,
    });
  }
  return suspects;
}

/** How well one feature alone predicts, 0..1; where it has gaps, of all rows or of those where it is known. */
function powerOf(problem: Problem, feature: Feature, rows: Int32Array): number {
  const { codes, values } = feature;
  const known = rows.filter((row) => (codes ? codes[row]! >= 0 : !Number.isNaN(values![row]!)));
  const all = powerOn(problem, feature, rows);
  if (all >= copyLimit || known.length === rows.length || known.length < fewestKnown) return all;
  return Math.max(all, powerOn(problem, feature, known));
}

/** AUC, correlation ratio, rank correlation, or the accuracy of its levels above chance: whichever says most. */
function powerOn(problem: Problem, { codes, values }: Feature, rows: Int32Array): number {
  const y = Float64Array.from(rows, (row) => problem.y[row]!);
  const cells = Float64Array.from(rows, (row) => (codes ?? values!)[row]!);
  if (codes) return levelPower(problem, cells, y);
  // Numbers that stand for classes need not be in any order.
  const byLevel = isFew(cells, 4 * problem.classes.length + 20) ? levelPower(problem, cells, y) : 0;
  return byLevel >= copyLimit ? byLevel : Math.max(byLevel, rankPower(problem, cells, y));
}

function isFew(cells: Float64Array, most: number): boolean {
  const distinct = new Set<number>();
  return cells.every((cell) => distinct.add(cell).size <= most);
}

function rankPower(problem: Problem, values: Float64Array, y: Float64Array): number {
  const gone = values.map((value) => (Number.isNaN(value) ? 1 : 0));
  const share = gone.reduce((sum, each) => sum + each, 0) / gone.length;
  const filled = values.map((value) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value));
  if (problem.task === 'Regression') return share > 0.5 ? 0 : Math.abs(rankCorrelation(filled, y));
  // Of many classes one is often told by one column alone, as a flower by its petal: a copy tells them all.
  let least = 1;
  const told = toldClasses(problem, y);
  for (const k of problem.task === 'Binary' ? told.slice(1) : told) {
    const is = y.map((each) => (each === k ? 1 : 0));
    const auc = binaryAuc(is, filled);
    const byGap = share > 0 ? binaryAuc(is, gone) : 0.5;
    least = Math.min(least, Math.max(auc, 1 - auc, byGap, 1 - byGap));
    if (least < copyLimit) return least;
  }
  return told.length < 2 ? 0 : least;
}

/** Classes of rows enough to say that a column tells them. */
function toldClasses({ classes }: Problem, y: Float64Array): number[] {
  const counts = new Float64Array(classes.length);
  for (const each of y) counts[each]!++;
  return [...counts.keys()].filter((k) => counts[k]! >= fewestOfClass);
}

function levelPower(problem: Problem, cells: Float64Array, y: Float64Array): number {
  // A Map takes every gap for the same.
  const groups = Map.groupBy(cells.keys(), (i) => cells[i]!);
  // With few rows a level, purity is chance.
  if (groups.size > cells.length / 5) return 0;
  if (problem.task === 'Regression') {
    const mean = y.reduce((sum, value) => sum + value, 0) / y.length;
    let between = 0;
    for (const members of groups.values()) {
      const own = members.reduce((sum, i) => sum + y[i]!, 0) / members.length;
      between += members.length * (own - mean) ** 2;
    }
    return (
      between /
      Math.max(
        1e-300,
        y.reduce((sum, value) => sum + (value - mean) ** 2, 0),
      )
    );
  }
  if (toldClasses(problem, y).length < 2) return 0;
  let right = 0;
  for (const members of groups.values()) right += mostOfClass(problem, members, y);
  const chance = mostOfClass(problem, y.keys(), y);
  return (right - chance) / (y.length - chance);
}

function mostOfClass({ classes }: Problem, rows: Iterable<number>, y: Float64Array): number {
  const counts = new Float64Array(classes.length);
  for (const i of rows) counts[y[i]!]!++;
  return counts.reduce((most, count) => Math.max(most, count), 0);
}

/** Rows from anywhere in the file, with some of every class: files are often sorted, and often by the target. */
function sampled(problem: Problem, train: Int32Array): Int32Array {
  if (train.length <= rowsLooked) return train;
  const order = randomOf('audit').shuffle(train.slice());
  const rows = [...order.subarray(0, rowsLooked)];
  if (problem.task === 'Regression') return Int32Array.from(rows);
  const counts = new Float64Array(problem.classes.length);
  for (const row of rows) counts[problem.y[row]!]!++;
  for (const row of order.subarray(rowsLooked)) {
    const k = problem.y[row]!;
    if (counts[k]! >= rowsOfClass) continue;
    counts[k]!++;
    rows.push(row);
  }
  return Int32Array.from(rows);
}

/** Judged rows that also teach; of very many rows a share is compared, chosen by content so that equal rows stay together. */
function duplicatesOver(problem: Problem, split: Split, held: number): number {
  const parts = Math.ceil(problem.rows / held);
  const keys = new Map<string, number>();
  const digests = new Int32Array(problem.rows).fill(-1);
  const columns = problem.features.map(({ codes, values }) => codes ?? values!);
  const cells = new Float32Array(columns.length);
  const bits = new Int32Array(cells.buffer);
  for (let row = 0; row < problem.rows; row++) {
    // What passes over most rows must cost little: multiplications, as FNV has them.
    let sum = 0;
    for (let j = 0; j < columns.length; j++) {
      cells[j] = columns[j]![row]!;
      sum = Math.imul(sum ^ bits[j]! ^ (bits[j]! >>> 15), 0x01000193);
    }
    if (parts > 1 && ((sum ^ (sum >>> 13)) >>> 0) % parts !== 0) continue;
    const key = createHash('md5').update(cells).digest('base64');
    const known = keys.get(key);
    if (known === undefined) keys.set(key, row);
    digests[row] = known ?? row;
  }
  let found = 0;
  const teaching = new Uint8Array(problem.rows);
  for (const { train, test } of [...split.folds, { train: split.train, test: split.holdout }]) {
    teaching.fill(0);
    for (const row of train) if (digests[row]! >= 0) teaching[digests[row]!] = 1;
    for (const row of test) if (digests[row]! >= 0 && teaching[digests[row]!] === 1) found++;
  }
  return found * parts;
}

function rankCorrelation(a: Float64Array, b: Float64Array): number {
  const ra = ranks(a);
  const rb = ranks(b);
  const mean = (a.length - 1) / 2;
  let top = 0;
  let left = 0;
  let right = 0;
  for (let i = 0; i < a.length; i++) {
    top += (ra[i]! - mean) * (rb[i]! - mean);
    left += (ra[i]! - mean) ** 2;
    right += (rb[i]! - mean) ** 2;
  }
  return left * right === 0 ? 0 : top / Math.sqrt(left * right);
}

function ranks(values: Float64Array): Float64Array {
  const order = Int32Array.from(values.keys()).sort((i, j) => values[i]! - values[j]! || i - j);
  const result = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) result[order[i]!] = (start + end - 1) / 2;
    start = end;
  }
  return result;
}
