// What each column is worth to the model (permutation importance, Breiman 2001): how much the score falls when the column's cells are dealt anew among rows.
import type { Feature } from '../data/features.ts';
import { randomOf } from '../random.ts';

export interface Importance {
  readonly column: string;
  /** Loss of score, greater being more important; below 0 by chance alone. */
  readonly loss: number;
}

export interface ImportanceOptions {
  readonly features: readonly Feature[];
  /** Rows that are looked at. */
  readonly rows: Int32Array;
  /** Of all rows of such features, in the order of `rows`; greater is better. */
  readonly score: (features: readonly Feature[]) => number | Promise<number>;
  readonly seed: number;
  /** `performance.now()` when looking must end: columns that were not looked at by then are left out. */
  readonly deadline: number;
}

/** Most important first. The features of a column move together: what is asked is the worth of the column, whatever is derived from it. */
export async function importances({ features, rows, score, seed, deadline }: ImportanceOptions): Promise<Importance[]> {
  const few = features.map((feature) => picked(feature, rows));
  const places = Int32Array.from(rows.keys());
  const whole = await score(few);
  const found: Importance[] = [];
  for (const column of new Set(features.map((feature) => feature.column))) {
    if (performance.now() > deadline) break;
    const order = randomOf('importance', seed, column).shuffle(places.slice());
    const dealt = few.map((feature) => (feature.column === column ? picked(feature, order) : feature));
    found.push({ column, loss: whole - (await score(dealt)) });
  }
  return found.toSorted((a, b) => b.loss - a.loss || (a.column < b.column ? -1 : 1));
}

function picked({ values, codes, ...feature }: Feature, rows: Int32Array): Feature {
  return {
    ...feature,
    ...(values && { values: Float32Array.from(rows, (row) => values[row]!) }),
    ...(codes && { codes: Int32Array.from(rows, (row) => codes[row]!) }),
  };
}
