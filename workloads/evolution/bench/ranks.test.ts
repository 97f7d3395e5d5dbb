import { describe, expect, it } from 'vitest';
import type { Data } from './data.ts';
import { rankRow, setRow, timeRows } from './ranks.ts';

const bench = { seconds: 10, splits: 5, peers: ['flaml', 'tpot'] };
const data: Data = { name: 'noise', task: 'Binary', split: 0, rows: 100, columns: 3, train: '', test: '' };
const answer = (score: number, seconds = 10) => ({ score, seconds });
const none = { seconds: 20, why: 'ended when its run took more than 20 s' };

describe('ranks of a bench', () => {
  it('put last whoever had no answer, and share a place among equals', () => {
    const splits = [
      { ours: answer(0.9), flaml: answer(0.9), tpot: none },
      { ours: answer(0.8), flaml: answer(0.9), tpot: answer(0.95) },
    ];
    expect(rankRow(bench, splits)).toMatchObject({ ours: 2, peers: { flaml: 1.5, tpot: 2 }, met: false });
  });

  it('say in the row of a set who had no answer and who overran, and compute its means without them', () => {
    const splits = [
      { ours: answer(0.9), flaml: answer(0.8, 13), tpot: none },
      { ours: answer(0.7), flaml: answer(0.8), tpot: none },
    ];
    const made = setRow(bench, data, splits);
    expect(made.size).toBe(
      '100 × 3, 10 s, 2 of 5 splits, flaml up to 13.0 s, tpot no answer in 2: ended when its run took more than 20 s',
    );
    expect(made).toMatchObject({ ours: expect.closeTo(0.8), peers: { flaml: expect.closeTo(0.8) }, met: true });
    expect(made.peers).not.toHaveProperty('tpot');
  });

  it('judge by the standard error of the pairs, and not from one pair', () => {
    const pair = (ours: number, flaml: number) => ({ ours: answer(ours), flaml: answer(flaml) });
    expect(setRow(bench, data, [pair(0.7, 0.8)])).not.toHaveProperty('met');
    expect(setRow(bench, data, [pair(0.7, 0.8), pair(0.7, 0.8), pair(0.72, 0.8)]).met).toBe(false);
    expect(setRow(bench, data, [pair(0.7, 0.8), pair(0.8, 0.7), pair(0.79, 0.8)]).met).toBe(true);
  });

  it('count no answer of ours as missed where FLAML has one, however good the others are', () => {
    const better = { ours: answer(0.9), flaml: answer(0.8) };
    expect(setRow(bench, data, [better, better, { ours: none, flaml: answer(0.8) }]).met).toBe(false);
    expect(setRow(bench, data, [better, better, { ours: none, flaml: none }]).met).toBe(true);
  });

  it('show the loss of several classes as people know it, lower being better', () => {
    const made = setRow(bench, { ...data, task: 'Multiclass' }, [{ ours: answer(-0.2), flaml: answer(-0.4) }]);
    expect(made).toMatchObject({ metric: 'log loss', ours: 0.2, peers: { flaml: 0.4 }, ratio: 2 });
  });

  it('count a score that was never reached as missed, with the whole time', () => {
    const never = { ours: Number.POSITIVE_INFINITY, found: 8 };
    const [whole, found] = timeRows(bench, [never, { ours: 5, found: 9 }, never]);
    expect(whole).toMatchObject({ ours: 10, peers: { flaml: 10 }, met: false, size: 'first split of 3, level in 1' });
    expect(found).toMatchObject({ ours: 10, peers: { flaml: 8 }, met: false });
  });

  it('compare the budget with all of that of FLAML, and with what FLAML needed of it', () => {
    const levels = [2, 5, 10].map((ours) => ({ ours, found: 4 }));
    expect(timeRows(bench, levels).map(({ ours, peers, met }) => ({ ours, peers, met }))).toEqual([
      { ours: 5, peers: { flaml: 10 }, met: true },
      { ours: 5, peers: { flaml: 4 }, met: false },
    ]);
  });
});
