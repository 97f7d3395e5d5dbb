import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { plan, planByTurns } from './plan.ts';
import { smallProblem, temporaryFolder } from './testing.ts';
import { byTurns } from './turns.ts';

const sharp = { grid: { rows: 4, columns: 4 }, transducer: { frequency: '400kHz' } };

describe('a plan', () => {
  it.each(['400kHz', '40MHz'])('refuses elements too sharp for a kernel before it samples: %s', (frequency) => {
    const array = { ...sharp, transducer: { frequency } };
    expect(() => plan(smallProblem({ array }), temporaryFolder())).toThrow(
      expect.objectContaining({ reason: 'KernelRefused', field: 'spec.array.transducer' }),
    );
  });

  it('ends within its sampling when it is told to, and leaves nothing', async () => {
    const folder = temporaryFolder();
    const stop = new AbortController();
    setImmediate(() => stop.abort(new Error('stopped')));
    const problem = smallProblem({ array: sharp, backend: 'Reference' });
    await expect(planByTurns(problem, folder, stop.signal)).rejects.toThrow('stopped');
    expect(readdirSync(folder)).toEqual([]);
  });
});

it('work without an end hears signals', async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('enough')), 1);
  const endless = (function* () {
    for (;;) yield;
  })();
  await expect(byTurns(endless, stop.signal)).rejects.toThrow('enough');
});
