// Rows into a holdout and folds: random, stratified, by group, or by time with a gap. No row is ever on both sides.
import { EvolutionError } from '../errors.ts';
import { type Random, randomOf } from '../random.ts';
import type { Problem } from './problem.ts';

export type SplitKind = 'Random' | 'Stratified' | 'Group' | 'Time';

export interface SplitOptions {
  readonly folds: number;
  /** Share of rows that no search sees, 0..1. */
  readonly holdout: number;
  readonly kind: SplitKind;
  /** Time: what is left out between teaching and judging, in the unit of the times. */
  readonly gap: number;
  readonly seed: number;
}

export interface Fold {
  readonly train: Int32Array;
  readonly test: Int32Array;
}

export interface Split {
  readonly folds: readonly Fold[];
  readonly holdout: Int32Array;
  /** All rows outside the holdout that may teach the final model. */
  readonly train: Int32Array;
}

/** @throws EvolutionError SplitInvalid when there are too few rows, groups or times for the folds, or the holdout that is wanted */
export function splitRows(problem: Problem, options: SplitOptions): Split {
  if (options.kind === 'Time') return splitByTime(problem, options);
  const units = unitsOf(problem, options, randomOf('split', options.seed));
  const held = heldUnits(units, problem.rows * options.holdout);
  const left = held.reduce((count, each) => count - each, held.length);
  if (left < options.folds) {
    const noun = options.kind === 'Group' ? 'groups' : 'rows';
    const beside = left < held.length ? `, beside ${held.length - left} of the holdout,` : '';
    throw new EvolutionError('SplitInvalid', `${left} ${noun}${beside} cannot make ${options.folds} folds`, {
      field: 'spec.validation.folds',
    });
  }
  const foldOf = dealt(problem.rows, units, held, options);
  const folds = Array.from({ length: options.folds }, (_, k) => ({
    train: rowsWhere(foldOf, (fold) => fold !== inHoldout && fold !== k),
    test: rowsWhere(foldOf, (fold) => fold === k),
  }));
  return checked(problem, {
    folds,
    holdout: rowsWhere(foldOf, (fold) => fold === inHoldout),
    train: rowsWhere(foldOf, (fold) => fold !== inHoldout),
  });
}

/** Rows that go together: unit i is rows `starts[i]` to `starts[i + 1]` of `order`. Plain numbers, for there may be as many units as rows. */
interface Units {
  readonly order: Int32Array;
  readonly starts: Int32Array;
}

const inHoldout = -1;

function unitsOf(problem: Problem, { kind }: SplitOptions, random: Random): Units {
  const every = Int32Array.from({ length: problem.rows }, (_, i) => i);
  if (kind !== 'Group') {
    const order = random.shuffle(every);
    const { y } = problem;
    // Stable: within a class the shuffled order stays.
    if (kind === 'Stratified') order.sort((a, b) => y[a]! - y[b]!);
    return { order, starts: Int32Array.from({ length: problem.rows + 1 }, (_, i) => i) };
  }
  const { groups } = problem;
  if (!groups)
    throw new EvolutionError('SplitInvalid', 'a split by group needs groupColumn', {
      field: 'spec.validation.groupColumn',
    });
  const place = new Map<number, number>();
  for (const group of groups) if (!place.has(group)) place.set(group, 0);
  for (const [at, group] of random.shuffle([...place.keys()]).entries()) place.set(group, at);
  const order = every.sort((a, b) => place.get(groups[a]!)! - place.get(groups[b]!)!);
  const starts = order.filter((row, i) => i === 0 || groups[row] !== groups[order[i - 1]!]).length;
  const bounds = new Int32Array(starts + 1).fill(problem.rows);
  let unit = 0;
  for (let i = 0; i < order.length; i++) if (i === 0 || groups[order[i]!] !== groups[order[i - 1]!]) bounds[unit++] = i;
  return { order, starts: bounds };
}

/** 1 for units of the holdout: taken evenly over their order, so that classes keep their shares. Where all are too large, the one that comes nearest. */
function heldUnits({ starts, order }: Units, wanted: number): Uint8Array {
  const held = new Uint8Array(starts.length - 1);
  const sizeOf = (unit: number) => starts[unit + 1]! - starts[unit]!;
  let taken = 0;
  let smallest = 0;
  for (let i = 0; i < held.length; i++) {
    const size = sizeOf(i);
    if (size < sizeOf(smallest)) smallest = i;
    if (taken + size / 2 >= (starts[i + 1]! * wanted) / order.length) continue;
    held[i] = 1;
    taken += size;
  }
  if (wanted > 0 && taken === 0) held[smallest] = 1;
  return held;
}

/** Fold of each row. */
function dealt(rows: number, { order, starts }: Units, held: Uint8Array, { folds, kind }: SplitOptions): Int16Array {
  const foldOf = new Int16Array(rows).fill(inHoldout);
  const give = (unit: number, fold: number): void => {
    for (let at = starts[unit]!; at < starts[unit + 1]!; at++) foldOf[order[at]!] = fold;
  };
  const rest = Int32Array.from(held.keys()).filter((unit) => held[unit] === 0);
  if (kind !== 'Group') {
    for (let i = 0; i < rest.length; i++) give(rest[i]!, i % folds);
    return foldOf;
  }
  // Large groups first, each to the smallest fold.
  const sizeOf = (unit: number) => starts[unit + 1]! - starts[unit]!;
  const sizes = new Array<number>(folds).fill(0);
  for (const unit of rest.sort((a, b) => sizeOf(b) - sizeOf(a))) {
    const smallest = sizes.indexOf(Math.min(...sizes));
    give(unit, smallest);
    sizes[smallest]! += sizeOf(unit);
  }
  return foldOf;
}

function rowsWhere(foldOf: Int16Array, belongs: (fold: number) => boolean): Int32Array {
  let count = 0;
  for (const fold of foldOf) if (belongs(fold)) count++;
  const rows = new Int32Array(count);
  let at = 0;
  for (let row = 0; row < foldOf.length; row++) if (belongs(foldOf[row]!)) rows[at++] = row;
  return rows;
}

function splitByTime(problem: Problem, options: SplitOptions): Split {
  const { times } = problem;
  if (!times)
    throw new EvolutionError('SplitInvalid', 'a split by time needs timeColumn', {
      field: 'spec.validation.timeColumn',
    });
  const order = Int32Array.from({ length: problem.rows }, (_, i) => i).sort((a, b) => times[a]! - times[b]! || a - b);
  const searchEnd = holdoutStart(order, times, options.holdout);
  const holdout = order.slice(searchEnd);
  const before = (rows: Int32Array, start: number) =>
    rows.filter((row) => times[row]! + options.gap <= start && times[row]! < start);
  const search = order.slice(0, searchEnd);
  const folds: Fold[] = [];
  for (let fold = 1; fold <= options.folds; fold++) {
    const from = boundary(order, times, Math.round((searchEnd * fold) / (options.folds + 1)));
    const to =
      fold === options.folds
        ? searchEnd
        : boundary(order, times, Math.round((searchEnd * (fold + 1)) / (options.folds + 1)));
    const test = order.slice(from, to);
    const train = test.length === 0 ? test : before(search, times[test[0]!]!);
    if (test.length === 0 || train.length === 0) {
      throw new EvolutionError('SplitInvalid', `fold ${fold} of ${options.folds} has no rows on one side`, {
        field: 'spec.validation.gap',
        fix: 'use fewer folds or a shorter gap',
      });
    }
    folds.push({ train: train.toSorted(), test: test.toSorted() });
  }
  const train = holdout.length > 0 ? before(search, times[holdout[0]!]!) : search;
  return checked(problem, { folds, holdout: holdout.toSorted(), train: train.toSorted() });
}

/** Where the times end that a search sees. Where the last time has more rows than are wanted, all of them are held out. */
function holdoutStart(order: Int32Array, times: Float64Array, share: number): number {
  const rows = order.length;
  if (share === 0) return rows;
  const forward = boundary(order, times, Math.min(rows - 1, Math.round(rows * (1 - share))));
  if (forward < rows) return forward;
  const last = times[order[rows - 1]!];
  return order.findIndex((row) => times[row] === last);
}

/** Moves a cut forward until the times on its sides differ. */
function boundary(order: Int32Array, times: Float64Array, cut: number): number {
  let at = Math.min(cut, order.length);
  while (at > 0 && at < order.length && times[order[at]!] === times[order[at - 1]!]) at++;
  return at;
}

/** Every side must have something to tell apart, and rows that count. */
function checked(problem: Problem, split: Split): Split {
  const { folds, holdout } = split;
  for (const [i, { train, test }] of folds.entries()) {
    const place = `fold ${i + 1} of ${folds.length} has %s on the`;
    const told = { field: 'spec.validation.folds', fixes: ['use fewer folds', 'another split'] } as const;
    checkSide(problem, train, { ...told, place: `${place} teaching side`, teaches: true });
    checkSide(problem, test, { ...told, place: `${place} judging side` });
  }
  if (holdout.length > 0)
    checkSide(problem, holdout, {
      place: 'the holdout has %s',
      field: 'spec.validation.holdout',
      fixes: ['hold out a larger share', 'another split, or 0%'],
    });
  return split;
}

interface Side {
  /** With %s for what is wrong. */
  readonly place: string;
  readonly field: string;
  readonly fixes: readonly [string, string];
  readonly teaches?: boolean;
}

function checkSide({ y, weights, task }: Problem, rows: Int32Array, { place, field, fixes, teaches }: Side): void {
  const refuse = (what: string, between = ''): never => {
    const fix = `${fixes[0]}, ${between}or ${fixes[1]}`;
    throw new EvolutionError('SplitInvalid', place.replace('%s', what), { field, fix });
  };
  if (weights && !rows.some((row) => weights[row]! > 0)) refuse('no row with a weight above 0');
  if (rows.some((row) => y[row] !== y[rows[0]!])) return;
  if (task !== 'Regression') refuse('one class only', 'more rows of the rarer class, ');
  else if (teaches) refuse('one target value only', 'more rows, ');
}
