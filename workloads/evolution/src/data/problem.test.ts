import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../random.ts';
import { auditLeakage } from './leakage.ts';
import { type Problem, type ProblemOptions, problemOf } from './problem.ts';
import { type SplitOptions, splitRows } from './split.ts';
import { readTableText } from './table.ts';

const rowsOf = (n: number, row: (i: number) => string) => Array.from({ length: n }, (_, i) => row(i)).join('\n');

async function problemIn(text: string, options: ProblemOptions) {
  const categorical = options.task === 'Regression' ? [] : [options.target];
  return problemOf(await readTableText(text, { categorical }), options);
}

/** Features and target straight in typed arrays, for tables that are too long to be written out. */
function bare(y: Float64Array, columns: Readonly<Record<string, Float32Array>>, groups?: Int32Array): Problem {
  const features = Object.entries(columns).map(([name, values]) => ({
    name,
    column: name,
    type: 'Numeric' as const,
    kind: 'Value' as const,
    values,
  }));
  const binary = y.every((value) => value === 0 || value === 1);
  return {
    task: binary ? 'Binary' : 'Regression',
    target: 'y',
    rows: y.length,
    features,
    y,
    classes: binary ? ['0', '1'] : [],
    hash: 'bare',
    ...(groups ? { groups } : {}),
  };
}
const byClass: SplitOptions = { folds: 3, holdout: 0.2, kind: 'Stratified', gap: 0, seed: 1 };

describe('a target', () => {
  const cases: Record<string, [text: string, task: ProblemOptions['task'], message: RegExp]> = {
    'that the file lacks': [
      `a,b\n${rowsOf(12, (i) => `${i},${i}`)}`,
      'Regression',
      /no column y; its columns are a, b/,
    ],
    'of one class': [`a,y\n${rowsOf(12, (i) => `${i},yes`)}`, 'Binary', /has one class, yes/],
    'of three classes in a binary task': [
      `a,y\n${rowsOf(12, (i) => `${i},${i % 3}`)}`,
      'Binary',
      /3 classes; set task: Multiclass/,
    ],
    'of words in a regression': [
      `a,y\n${rowsOf(12, (i) => `${i},w${i}`)}`,
      'Regression',
      /a regression cannot predict/,
    ],
    'that never changes': [`a,y\n${rowsOf(12, (i) => `${i},3`)}`, 'Regression', /is 3 in every row/],
    'whose classes are met once each': [
      `a,y\n${rowsOf(12, (i) => `${i},w${i}`)}`,
      'Multiclass',
      /12 classes, each in one row/,
    ],
    'in three rows': ['a,y\n1,0\n2,1\n3,0\n', 'Binary', /3 rows with a target are too few/],
    'that is always missing': [`a,y\n${rowsOf(12, (i) => `${i},`)}`, 'Binary', /empty in every row/],
  };
  for (const [what, [text, task, message]] of Object.entries(cases)) {
    it(`${what} is refused by name`, async () => {
      await expect(problemIn(text, { target: 'y', task })).rejects.toThrow(message);
    });
  }

  it.each(['of one class', 'whose classes are met once each'])(
    '%s is told at the target, not at the task',
    async (what) => {
      const [text, task] = cases[what]!;
      await expect(problemIn(text, { target: 'y', task })).rejects.toMatchObject({
        where: { field: 'spec.dataset.target' },
      });
    },
  );

  it('with a class of one row is taken, and a note says which', async () => {
    const { notes } = await problemIn(`a,y\n${rowsOf(20, (i) => `${i},${i === 3 ? 'rare' : i % 2}`)}`, {
      target: 'y',
      task: 'Multiclass',
    });
    expect(notes.map(({ text }) => text)).toEqual([
      'the class “rare” has one row: either to learn from, or to be judged by',
    ]);
  });

  it('with no column beside it says what is lacking', async () => {
    const alone = problemIn(`y\n${rowsOf(20, (i) => `${i % 2}`)}`, { target: 'y', task: 'Binary' });
    await expect(alone).rejects.toThrow(/anything to learn from; add columns to predict it from$/);
  });

  it('leaves out rows without one', async () => {
    const { problem, notes } = await problemIn(
      `a,y\n${rowsOf(20, (i) => `${i},${i === 3 ? '' : i % 5 === 0 ? 'no' : 'yes'}`)}`,
      { target: 'y', task: 'Binary' },
    );
    expect(problem.classes).toEqual(['no', 'yes']);
    expect(problem.rows).toBe(19);
    expect(notes).toContainEqual({ column: 'y', row: 5, text: '1 rows without a target are left out' });
  });
});

it('columns that are constant, empty or identifiers are left out with a note', async () => {
  const { problem, notes } = await problemIn(`id,same,none,a,y\n${rowsOf(100, (i) => `u${i},7,,${i % 7},${i % 2}`)}`, {
    target: 'y',
    task: 'Binary',
  });
  expect(problem.features.map((feature) => feature.name)).toEqual(['a']);
  expect(notes.map((note) => note.column)).toEqual(['id', 'same', 'none']);
});

it('a column of numbers with words in a third of its cells is taken as categories, and a note says why', async () => {
  const { notes } = await problemIn(`depth,y\n${rowsOf(300, (i) => `${i % 3 === 2 ? 'five' : i},${i % 2}`)}`, {
    target: 'y',
    task: 'Binary',
  });
  expect(notes).toContainEqual({
    column: 'depth',
    row: 4,
    text: 'taken as categories because 100 of 300 cells are no numbers, such as “five”',
  });
});

it('a wrong weight, a missing group and a missing time are named by their line in the file', async () => {
  const text = `w,g,a,y\n"1","g\n0",1,0\n${rowsOf(12, (i) => `${i === 3 ? -1 : 1},${i === 5 ? '' : 'g'},${i === 7 ? '' : i},${i % 2}`)}`;
  const options = { target: 'y', task: 'Binary' } as const;
  await expect(problemIn(text, { ...options, weight: 'w' })).rejects.toThrow('column w, row 7: a weight');
  await expect(problemIn(text, { ...options, groupColumn: 'g' })).rejects.toThrow('column g, row 9: the group');
  await expect(problemIn(text, { ...options, timeColumn: 'a' })).rejects.toThrow('column a, row 11: the time');
});

it('the hash changes with any cell', async () => {
  const of = async (cell: number) =>
    (await problemIn(`a,y\n${rowsOf(20, (i) => `${i === 9 ? cell : i},${i % 2}`)}`, { target: 'y', task: 'Binary' }))
      .problem.hash;
  expect(await of(9)).toBe(await of(9));
  expect(await of(9)).not.toBe(await of(10));
});

describe('a split', () => {
  const plain: SplitOptions = { folds: 4, holdout: 0.2, kind: 'Random', gap: 0, seed: 1 };
  const problem = async (every = 10) =>
    (
      await problemIn(`g,t,y\n${rowsOf(200, (i) => `g${i % 23},${Math.floor(i / 3)},${i % every === 0 ? 1 : 0}`)}`, {
        target: 'y',
        task: 'Binary',
        groupColumn: 'g',
        timeColumn: 't',
      })
    ).problem;

  for (const kind of ['Random', 'Stratified', 'Group', 'Time'] as const) {
    it(`${kind} never has a row on both sides nor in the holdout`, async () => {
      // Of one row in ten by chance none is in the holdout now and then, which is refused.
      const data = await problem(2);
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 2, max: 6 }), (seed, folds) => {
          const split = splitRows(data, { ...plain, kind, seed, folds: kind === 'Stratified' ? folds : 2 });
          for (const { train, test } of split.folds) {
            const seen = [...train, ...test, ...split.holdout];
            expect(new Set(seen).size).toBe(seen.length);
          }
        }),
        { numRuns: 20 },
      );
    });
  }

  it('Stratified keeps the share of each class', async () => {
    const data = await problem();
    const split = splitRows(data, { ...plain, kind: 'Stratified' });
    for (const rows of [split.holdout, ...split.folds.map((fold) => fold.test)])
      expect(rows.filter((row) => data.y[row] === 1)).toHaveLength(4);
  });

  it('Group parts no group', async () => {
    const data = await problem();
    const split = splitRows(data, { ...plain, kind: 'Group' });
    const sides = [split.holdout, ...split.folds.map((fold) => fold.test)].map(
      (rows) => new Set(Array.from(rows, (row) => data.groups![row])),
    );
    expect(sides.reduce((sum, side) => sum + side.size, 0)).toBe(23);
  });

  it('Time teaches only from before the gap, and equal times stay together', async () => {
    const data = await problem();
    const split = splitRows(data, { ...plain, kind: 'Time', gap: 5 });
    for (const { train, test } of split.folds) {
      const first = Math.min(...Array.from(test, (row) => data.times![row]!));
      expect(Math.max(...Array.from(train, (row) => data.times![row]!))).toBeLessThanOrEqual(first - 5);
    }
  });
});

describe('a holdout that is wanted', () => {
  const y = Float64Array.from({ length: 400 }, (_, i) => i % 2);
  const heldOf = (column: object, options: Partial<SplitOptions>) =>
    splitRows({ ...bare(y, {}), ...column }, { folds: 3, holdout: 0.2, kind: 'Time', gap: 0, seed: 1, ...options })
      .holdout;

  it('is the whole last time where that has more rows than are wanted', () => {
    const times = Float64Array.from(y, (_, i) => Math.min(Math.floor(i / 20), 15));
    expect(heldOf({ times }, {})).toEqual(Int32Array.from({ length: 100 }, (_, i) => 300 + i));
    expect(heldOf({ times }, { holdout: 0.001 })).toHaveLength(100);
    expect(heldOf({ times }, { holdout: 0 })).toHaveLength(0);
  });

  it('is the smallest group where all have more rows than are wanted', () => {
    const groups = Int32Array.from(y, (_, i) => (i < 40 ? 0 : 1 + ((i >> 1) % 4)));
    expect(heldOf({ groups }, { kind: 'Group', holdout: 0.05 })).toEqual(Int32Array.from({ length: 40 }, (_, i) => i));
    expect(heldOf({ groups }, { kind: 'Group', holdout: 0 })).toHaveLength(0);
  });

  it('is refused where it leaves too few groups, or nothing to tell apart', () => {
    const groups = Int32Array.from(y, (_, i) => i % 3);
    expect(() => heldOf({ groups }, { kind: 'Group', holdout: 0.05 })).toThrow(
      '2 groups, beside 1 of the holdout, cannot make 3 folds',
    );
    const times = Float64Array.from(y, (_, i) => i);
    const late = Float64Array.from(y, (value, i) => (i < 350 ? value : 1));
    expect(() => heldOf({ times, y: late }, { holdout: 0.1 })).toThrow('the holdout has one class only');
  });
});

describe('the leakage audit', () => {
  const split: SplitOptions = { folds: 5, holdout: 0, kind: 'Stratified', gap: 0, seed: 0 };

  it('names copies of the target, counters and duplicate rows', async () => {
    const noise = (i: number) => ((i * 7919) % 101) / 101;
    const text = `row,copy,gap,a,y\n${rowsOf(300, (i) => `${i + 1},${i % 3 === 0 ? 9 : 2},${i % 3 === 0 ? '' : i % 2},${noise(i)},${i % 3 === 0 ? 1 : 0}`)}`;
    const { problem } = await problemIn(text, { target: 'y', task: 'Binary' });
    const suspects = auditLeakage(problem, splitRows(problem, split));
    expect(suspects.map(({ kind, column }) => [kind, column])).toEqual([
      ['Identifier', 'row'],
      ['TargetCopy', 'copy'],
      ['TargetCopy', 'gap'],
    ]);
  });

  const copyCases: Record<
    string,
    [task: ProblemOptions['task'], of: (i: number) => string, copy: (y: string, i: number) => string]
  > = {
    'three classes, numbered in order': ['Multiclass', (i) => 'ABC'[((i * i) % 7) % 3]!, (y) => `${'ABC'.indexOf(y)}`],
    'three classes, numbered in another order': [
      'Multiclass',
      (i) => 'ABC'[((i * i) % 7) % 3]!,
      (y) => `${'CAB'.indexOf(y)}`,
    ],
    'three classes, with gaps': ['Multiclass', (i) => 'ABC'[((i * i) % 7) % 3]!, (y, i) => (i % 20 === 3 ? '' : y)],
    'two classes, numbered, with gaps': [
      'Binary',
      (i) => ((i * i) % 7 < 3 ? 'yes' : 'no'),
      (y, i) => (i % 5 < 2 ? '' : y === 'yes' ? '1' : '0'),
    ],
    'two classes, with gaps': ['Binary', (i) => ((i * i) % 7 < 3 ? 'yes' : 'no'), (y, i) => (i % 20 === 3 ? '' : y)],
    'a number, with few gaps': ['Regression', (i) => `${(i * 7919) % 997}`, (y, i) => (i % 100 === 3 ? '' : y)],
    'a number, with many gaps': ['Regression', (i) => `${(i * 7919) % 997}`, (y, i) => (i % 5 < 2 ? '' : y)],
  };
  for (const [what, [task, of, copy]] of Object.entries(copyCases)) {
    it(`names a copy of ${what}`, async () => {
      const row = (i: number) => `${(i * 104729) % 89},${copy(of(i), i)},${of(i)}`;
      const { problem } = await problemIn(`a,copy,y\n${rowsOf(1000, row)}`, { target: 'y', task });
      const kind = task === 'Regression' ? 'Random' : 'Stratified';
      const copies = auditLeakage(problem, splitRows(problem, { ...split, kind })).filter(
        (suspect) => suspect.kind === 'TargetCopy',
      );
      expect(copies.map(({ column }) => column)).toEqual(['copy']);
    });
  }

  it('names a date that tells the target once', async () => {
    const dayOf = (i: number) => new Date(864e5 * (20_089 + i)).toISOString().slice(0, 10);
    const { problem } = await problemIn(`when,a,y\n${rowsOf(300, (i) => `${dayOf(i)},${(i * 7919) % 97},${i}`)}`, {
      target: 'y',
      task: 'Regression',
    });
    const suspects = auditLeakage(problem, splitRows(problem, { ...split, kind: 'Random' }));
    expect(suspects).toHaveLength(1);
    expect(suspects[0]).toMatchObject({ kind: 'TargetCopy', column: 'when' });
  });

  it('is not misled by a column that is known in rows of one class, or in few', async () => {
    const row = (i: number) => {
      const y = (i * i) % 7 < 3 ? 1 : 0;
      const late = y === 1 && i % 3 === 0;
      return `${late ? 'told' : ''},${i % 40 === 0 ? y : ''},${y}`;
    };
    const { problem } = await problemIn(`late,few,y\n${rowsOf(1000, row)}`, { target: 'y', task: 'Binary' });
    const suspects = auditLeakage(problem, splitRows(problem, split));
    expect(suspects.filter(({ kind }) => kind === 'TargetCopy')).toEqual([]);
  });

  it('counts rows that repeat on both sides', async () => {
    const { problem } = await problemIn(`a,b,y\n${rowsOf(100, (i) => `${i % 5},${i % 3},${i % 2}`)}`, {
      target: 'y',
      task: 'Binary',
    });
    expect(auditLeakage(problem, splitRows(problem, split))).toEqual([
      { kind: 'DuplicateRows', rows: 100, text: '100 judged rows also teach, cell for cell' },
    ]);
  });

  it('says nothing about honest columns', async () => {
    const { problem } = await problemIn(
      `a,b,y\n${rowsOf(300, (i) => `${(i * 7919) % 97},${(i * 104729) % 89},${(i * i) % 7 < 3 ? 1 : 0}`)}`,
      { target: 'y', task: 'Binary' },
    );
    expect(auditLeakage(problem, splitRows(problem, split))).toEqual([]);
  });
});

describe('the audit of a large file', () => {
  const n = 70_000;
  const sorted = Float64Array.from({ length: n }, (_, i) => (i < 60_000 ? 0 : 1));
  const noise = Float32Array.from({ length: n }, (_, i) => ((i * 7919) % 1009) + 0.5);

  it('finds a copy of the target though the rows are sorted by it', () => {
    const problem = bare(sorted, { copy: Float32Array.from(sorted), noise });
    expect(auditLeakage(problem, splitRows(problem, byClass)).filter(({ kind }) => kind === 'TargetCopy')).toEqual([
      expect.objectContaining({ column: 'copy' }),
    ]);
  });

  it('counts rows that repeat on both sides by a part of them', () => {
    const rows = 20_000;
    const y = Float64Array.from({ length: rows }, (_, i) => (i >> 1) % 2);
    const twice = Float32Array.from({ length: rows }, (_, i) => (i >> 1) + 0.5);
    const problem = bare(y, { twice });
    const found = auditLeakage(problem, splitRows(problem, { ...byClass, folds: 2, holdout: 0 }), 4000);
    const count = found.find(({ kind }) => kind === 'DuplicateRows')?.rows;
    // A row and its like are on different sides half of the time.
    expect(Math.abs(Number(count) / (rows / 2) - 1)).toBeLessThan(0.15);
  });

  it('finds identifiers in any order, with gaps and however large, and no honest whole numbers', async () => {
    const rows = 4000;
    const random = randomOf('identifiers');
    const order = random.shuffle(Int32Array.from({ length: rows }, (_, i) => i));
    const columns: Record<string, (i: number) => number | string> = {
      shuffled: (i) => order[i]!,
      gaps: (i) => (i < 9 ? i : i + 1),
      customer_id: (i) => order[i]! * 37_000_000,
      customer: (i) => 40_000_001 + order[i]!,
      phone: (i) => (i === 7 ? '' : 1_000_000_000 + order[i]!),
      age: () => random.int(90),
      income: () => 20_000 + random.int(90_000),
      seconds: () => 1_700_000_000 + random.int(90_000),
      target: (i) => (i * 31) % 2,
    };
    const cells = rowsOf(rows, (i) =>
      Object.values(columns)
        .map((cell) => cell(i))
        .join(),
    );
    const { problem } = await problemIn(`${Object.keys(columns).join()}\n${cells}`, {
      target: 'target',
      task: 'Binary',
    });
    const found = auditLeakage(problem, splitRows(problem, byClass));
    expect(found.filter(({ kind }) => kind === 'Identifier').map(({ column }) => column)).toEqual([
      'shuffled',
      'gaps',
      'customer_id',
      'customer',
      'phone',
    ]);
    for (const { values } of problem.features) expect(values).toBeInstanceOf(Float32Array);
  });
});

describe('a split that cannot judge', () => {
  it('takes groups of any size', () => {
    const n = 400_000;
    const y = Float64Array.from({ length: n }, (_, i) => i % 2);
    const groups = Int32Array.from({ length: n }, (_, i) => (i < 200_000 ? 0 : 1 + (i % 9)));
    const { folds } = splitRows(bare(y, {}, groups), { ...byClass, kind: 'Group', holdout: 0 });
    expect(folds.reduce((sum, { test }) => sum + test.length, 0)).toBe(n);
  });

  it('is refused where a fold has no weight, or teaches one value', () => {
    const y = Float64Array.from({ length: 60 }, (_, i) => (i < 30 ? 1 : i));
    const times = Float64Array.from({ length: 60 }, (_, i) => i);
    const problem = { ...bare(y, {}), times };
    const byTime = { ...byClass, kind: 'Time' as const, holdout: 0 };
    expect(() => splitRows(problem, byTime)).toThrow('fold 1 of 3 has one target value only on the teaching side');
    const weights = Float64Array.from({ length: 60 }, (_, i) => (i >= 15 && i < 30 ? 0 : 1));
    const varied = { ...problem, y: Float64Array.from({ length: 60 }, (_, i) => i % 7), weights };
    expect(() => splitRows(varied, byTime)).toThrow('fold 1 of 3 has no row with a weight above 0 on the judging side');
  });
});
