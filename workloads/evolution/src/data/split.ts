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

/** @throws EvolutionError SplitInvalid when there are too few rows, groups or times for the folds */
export function splitRows(problem: Problem, options: SplitOptions): Split {
  if (options.kind === 'Time') return splitByTime(problem, options);
  const random = randomOf('split', options.seed);
  const units = unitsOf(problem, options, random);
  const held = options.holdout > 0 ? dealHoldout(units, problem.rows * options.holdout) : new Set<number>();
  const rest = units.filter((_, i) => !held.has(i));
  if (rest.length < options.folds) {
    const noun = options.kind === 'Group' ? 'groups' : 'rows';
    throw new EvolutionError('SplitInvalid', `${rest.length} ${noun} cannot make ${options.folds} folds`, {
      field: 'spec.validation.folds',
    });
  }
  const parts = deal(rest, options);
  const train = sorted(parts.flat());
  const folds = parts.map((part, fold) => ({
    train: sorted(parts.filter((_, i) => i !== fold).flat()),
    test: sorted(part),
  }));
  return { folds: checked(problem, folds), holdout: sorted([...held].flatMap((i) => units[i]!.rows)), train };
}

/** Rows that go together, with the class they stand for. */
interface Unit {
  readonly rows: number[];
  readonly stratum: number;
}

function unitsOf(problem: Problem, { kind }: SplitOptions, random: Random): Unit[] {
  if (kind !== 'Group') {
    const order = random.shuffle(Int32Array.from({ length: problem.rows }, (_, i) => i));
    const units = Array.from(order, (row) => ({ rows: [row], stratum: kind === 'Stratified' ? problem.y[row]! : 0 }));
    // Stable: within a class the shuffled order stays.
    return units.sort((a, b) => a.stratum - b.stratum);
  }
  if (!problem.groups)
    throw new EvolutionError('SplitInvalid', 'a split by group needs groupColumn', {
      field: 'spec.validation.groupColumn',
    });
  const byGroup = new Map<number, number[]>();
  problem.groups.forEach((group, row) => {
    const rows = byGroup.get(group);
    if (rows) rows.push(row);
    else byGroup.set(group, [row]);
  });
  return random.shuffle([...byGroup.values()].map((rows) => ({ rows, stratum: 0 })));
}

/** Takes units evenly over their order, so that classes keep their shares. */
function dealHoldout(units: readonly Unit[], wanted: number): Set<number> {
  const held = new Set<number>();
  const total = units.reduce((sum, unit) => sum + unit.rows.length, 0);
  let seen = 0;
  let taken = 0;
  for (const [i, unit] of units.entries()) {
    seen += unit.rows.length;
    if (taken + unit.rows.length / 2 < (seen * wanted) / total) {
      held.add(i);
      taken += unit.rows.length;
    }
  }
  return held;
}

function deal(units: readonly Unit[], { folds, kind }: SplitOptions): number[][] {
  const parts: number[][] = Array.from({ length: folds }, () => []);
  if (kind === 'Group') {
    // Large groups first, each to the smallest fold.
    for (const unit of units.toSorted((a, b) => b.rows.length - a.rows.length)) {
      const smallest = parts.reduce((least, part) => (part.length < least.length ? part : least));
      // A group may have more rows than a call takes arguments.
      for (const row of unit.rows) smallest.push(row);
    }
  } else {
    for (const [i, unit] of units.entries()) for (const row of unit.rows) parts[i % folds]!.push(row);
  }
  return parts;
}

function splitByTime(problem: Problem, options: SplitOptions): Split {
  const { times } = problem;
  if (!times)
    throw new EvolutionError('SplitInvalid', 'a split by time needs timeColumn', {
      field: 'spec.validation.timeColumn',
    });
  const order = Int32Array.from({ length: problem.rows }, (_, i) => i).sort((a, b) => times[a]! - times[b]! || a - b);
  const searchEnd = boundary(order, times, Math.round(problem.rows * (1 - options.holdout)));
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
  return { folds: checked(problem, folds), holdout: holdout.toSorted(), train: train.toSorted() };
}

/** Moves a cut forward until the times on its sides differ. */
function boundary(order: Int32Array, times: Float64Array, cut: number): number {
  let at = Math.min(cut, order.length);
  while (at > 0 && at < order.length && times[order[at]!] === times[order[at - 1]!]) at++;
  return at;
}

/** Every fold must have something to tell apart on both sides, and rows that count. */
function checked(problem: Problem, folds: Fold[]): Fold[] {
  const { y, weights, task } = problem;
  for (const [i, fold] of folds.entries()) {
    for (const side of ['train', 'test'] as const) {
      const rows = fold[side];
      const place = `fold ${i + 1} of ${folds.length} has %s on the ${side === 'train' ? 'teaching' : 'judging'} side`;
      const refuse = (what: string, fix: string): never => {
        throw new EvolutionError('SplitInvalid', place.replace('%s', what), { field: 'spec.validation.folds', fix });
      };
      if (weights && !rows.some((row) => weights[row]! > 0))
        refuse('no row with a weight above 0', 'use fewer folds, or another split');
      if (rows.some((row) => y[row] !== y[rows[0]!])) continue;
      if (task !== 'Regression') refuse('one class only', 'use fewer folds, or more rows of the rarer class');
      else if (side === 'train') refuse('one target value only', 'use fewer folds, more rows, or another split');
    }
  }
  return folds;
}

function sorted(rows: number[]): Int32Array {
  return Int32Array.from(rows).sort();
}
