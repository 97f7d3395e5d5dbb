// Whose targets the encoding of a teaching row may be made of: of other folds within the teaching rows, parted as the rows of the search are.
import type { Problem } from '../data/problem.ts';
import type { SplitOptions } from '../data/split.ts';
import { randomOf } from '../random.ts';

export type InnerSplit = Pick<SplitOptions, 'kind' | 'gap'>;

export interface InnerFolds {
  /** Of each teaching row. */
  readonly of: Uint8Array;
  /** Over time: the first fold that may see the row, or `innerFolds` where none may. Left out, every fold but its own sees it. */
  readonly seenFrom?: Uint8Array;
}

export const innerFolds = 5;

export function innerFoldsOf(problem: Problem, rows: Int32Array, split: InnerSplit, seed: number): InnerFolds {
  const random = randomOf('inner folds', seed);
  const { groups, times } = problem;
  if (split.kind === 'Time' && times) return forward(times, rows, split.gap);
  if (split.kind !== 'Group' || !groups) return { of: Uint8Array.from(rows, () => random.int(innerFolds)) };
  const order = random.shuffle([...new Set(Int32Array.from(rows, (row) => groups[row]!))]);
  const foldOf = new Map(order.map((group, i) => [group, i % innerFolds]));
  return { of: Uint8Array.from(rows, (row) => foldOf.get(groups[row]!)!) };
}

/** Parts of time, about as many rows each. Rows of one time stay together; what was not known by the start of a part is not seen in it. */
function forward(times: Float64Array, rows: Int32Array, gap: number): InnerFolds {
  const sorted = Float64Array.from(rows, (row) => times[row]!).sort();
  const starts = Array.from(
    { length: innerFolds - 1 },
    (_, i) => sorted[Math.round((sorted.length * (i + 1)) / innerFolds)]!,
  );
  const seenFrom = (time: number): number => {
    const part = starts.findIndex((start) => start > time && start >= time + gap);
    return part === -1 ? innerFolds : part + 1;
  };
  return {
    of: Uint8Array.from(rows, (row) => starts.filter((start) => start <= times[row]!).length),
    seenFrom: Uint8Array.from(rows, (row) => seenFrom(times[row]!)),
  };
}

/** Sums over rows by place, and by place and fold of what rows of the fold may see. */
interface Tally {
  readonly all: Float64Array;
  /** places × folds */
  readonly seen: Float64Array;
}

/**
 * @param places Of each teaching row; all count at one place where left out
 * @param values Of each teaching row; 1 where left out
 */
export function tallied(
  { of, seenFrom }: InnerFolds,
  size: number,
  places: Int32Array | undefined,
  values: Float64Array | undefined,
): Tally {
  const all = new Float64Array(size);
  const parts = new Float64Array(size * (innerFolds + 1));
  const part = seenFrom ?? of;
  for (let i = 0; i < of.length; i++) {
    const place = places ? places[i]! : 0;
    const value = values ? values[i]! : 1;
    all[place]! += value;
    parts[place * (innerFolds + 1) + part[i]!]! += value;
  }
  const seen = new Float64Array(size * innerFolds);
  for (let place = 0; place < size; place++) {
    let before = 0;
    for (let fold = 0; fold < innerFolds; fold++) {
      const own = parts[place * (innerFolds + 1) + fold]!;
      before += own;
      seen[place * innerFolds + fold] = seenFrom ? before : all[place]! - own;
    }
  }
  return { all, seen };
}
