// The positive class of tables that say yes in one way or another, or in none.
import { describe, expect, it } from 'vitest';
import { problemOf } from './problem.ts';
import { readTableText } from './table.ts';

/** 30 rows, the first class in `share` of them. */
async function problemWith(first: string, second: string, share: number, positiveClass?: string) {
  const rows = Array.from({ length: 30 }, (_, i) => `${i},${i < share * 30 ? first : second}`);
  const table = await readTableText(`a,y\n${rows.join('\n')}\n`, { categorical: ['y'] });
  return problemOf(table, { target: 'y', task: 'Binary', ...(positiveClass === undefined ? {} : { positiveClass }) });
}

describe('the positive class is', () => {
  const affirmed = [
    '0 1',
    '-1 1',
    '0.0 1.0',
    'false true',
    'FALSE TRUE',
    'no yes',
    'No Yes',
    'n y',
    'negative positive',
  ];
  for (const share of [0.8, 0.5, 0.2]) {
    it.each(affirmed)(`the one that says yes, and no note with it (%s, ${share} of it no)`, async (pair) => {
      const [no = '', yes = ''] = pair.split(' ');
      const { problem, notes } = await problemWith(no, yes, share);
      expect(problem.classes).toEqual([no, yes]);
      expect(problem.y[0]).toBe(0);
      expect(notes).toEqual([]);
    });
  }

  it('the rarer one of other words, and a note says so', async () => {
    const { problem, notes } = await problemWith('good', 'odd', 0.2);
    expect(problem.classes).toEqual(['odd', 'good']);
    expect(problem.y[0]).toBe(1);
    const text = 'the positive class is “good”, the rarer one; spec.dataset.positiveClass sets another';
    expect(notes).toEqual([{ column: 'y', text }]);
  });

  it('the later one where both are as frequent', async () => {
    const { problem, notes } = await problemWith('odd', 'good', 0.5);
    expect(problem.classes).toEqual(['good', 'odd']);
    expect(notes[0]!.text).toContain('“odd”, the later of two equally frequent ones');
  });

  it('the one that was set, whatever it says', async () => {
    const { problem, notes } = await problemWith('no', 'yes', 0.5, 'no');
    expect(problem.classes).toEqual(['yes', 'no']);
    expect(notes).toEqual([]);
  });
});
