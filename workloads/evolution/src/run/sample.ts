// Rows that stand for all, where there is no time to look at all of them.
import type { Problem } from '../data/problem.ts';
import { randomOf } from '../random.ts';

/**
 * About `most` of the rows by chance, in their order: classes keep their shares, and each has one at least. Rows of weight 0, which no score
 * counts, are passed over.
 */
export function fairSample({ task, y, weights, classes }: Problem, rows: Int32Array, most: number, seed: number) {
  if (rows.length <= most) return rows;
  const counted = rows.filter((row) => weights === undefined || weights[row]! > 0);
  const classOf = (row: number) => (task === 'Regression' ? 0 : y[row]!);
  const sizes = new Int32Array(Math.max(1, classes.length));
  for (const row of counted) sizes[classOf(row)]!++;
  const wanted = sizes.map((size) => Math.min(size, Math.max(1, Math.floor((most * size) / counted.length))));
  const shuffled = randomOf('judged sample', seed).shuffle(counted);
  return shuffled.filter((row) => wanted[classOf(row)]!-- > 0).sort();
}
