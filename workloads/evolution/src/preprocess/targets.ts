// What encodings and selection look at: the value, or memberships that tell every two classes apart.
import { outputsOf, type Problem } from '../data/problem.ts';
import { randomOf } from '../random.ts';

/** Of a column that is encoded. */
const mostTargets = 32;
/** Enough to tell a thousand classes apart. */
const fewestTargets = 10;
/** Numbers of all encoded columns together; long tables have fewer targets. */
const mostNumbers = 1 << 24;

/**
 * Of each teaching row: the value; of a few classes, membership of each; of many, membership of groupings of them.
 * @param encoded Columns that are encoded by each target
 */
export function targetColumns(problem: Problem, rows: Int32Array, encoded: number): Float64Array[] {
  const classes = outputsOf(problem);
  if (problem.task !== 'Multiclass') return [Float64Array.from(rows, (row) => problem.y[row]!)];
  const room = Math.floor(mostNumbers / (rows.length * Math.max(1, encoded)));
  const most = Math.max(fewestTargets, Math.min(mostTargets, room));
  return groupingsOf(classes, most).map((members) => Float64Array.from(rows, (row) => members[problem.y[row]!]!));
}

/** Of each grouping, 1 for the classes that are in it. No two classes are in the same groupings. */
export function groupingsOf(classes: number, most: number): Uint8Array[] {
  if (classes <= most) {
    return Array.from({ length: classes }, (_, k) => Uint8Array.from({ length: classes }, (__, each) => +(each === k)));
  }
  // The digits of a class's number tell it from all others; of other numbers, other halves of the classes are parted.
  const digits = Math.ceil(Math.log2(classes));
  let numbers = new Int32Array(classes);
  return Array.from({ length: most }, (_, i) => {
    if (i % digits === 0)
      numbers = randomOf('groupings', i).shuffle(Int32Array.from({ length: classes }, (__, k) => k));
    return Uint8Array.from(numbers, (number) => (number >> (i % digits)) & 1);
  });
}
