import { describe, expect, it } from 'vitest';
import { figure, markdown, median, row } from './table.ts';

const measured = { bench: 'field', case: 'direct sum', size: 'T=512', metric: 'speed', unit: 'points/s' };

describe('a row', () => {
  it('compares with the best peer, above 1 being better for either direction', () => {
    expect(row({ ...measured, better: 'higher', ours: 300, peers: { a: 100, b: 150 } }).ratio).toBe(2);
    expect(row({ ...measured, better: 'lower', ours: 5, peers: { a: 10, b: 20 } }).ratio).toBe(2);
  });

  it('meets its target only when every part of it holds', () => {
    const target = { absolute: 250, ratio: 3 };
    const met = (ours: number) => row({ ...measured, better: 'higher', ours, peers: { a: 100 } }, target).met;
    expect([met(240), met(260), met(300)]).toEqual([false, false, true]);
  });

  it('has no verdict where nothing was promised', () => {
    expect(row({ ...measured, better: 'higher', ours: 1, peers: {} })).not.toHaveProperty('met');
  });
});

describe('the table', () => {
  it('is Markdown', () => {
    const text = markdown([
      row({ ...measured, better: 'higher', ours: 1_234_567, peers: { levitate: 5900 } }, { ratio: 100 }),
    ]);
    expect(text.split('\n')[2]).toMatch(
      /direct sum \| T=512 \| speed \(points\/s\) \| 1 234 567 \| levitate 5 900 \| 209× .*≥ 100× +\| yes/,
    );
  });

  it('shows three digits', () => {
    expect([figure(0), figure(0.01234), figure(12.345), figure(0.0000123)]).toEqual(['0', '0.0123', '12.3', '1.23e-5']);
  });

  it('knows medians', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
  });
});
