import { expect, it } from 'vitest';
import type { RunSummary } from './results.ts';
import { suspicionOf } from './results.ts';
import { lastWord } from './termination.ts';

const summary: RunSummary = {
  step: 'coordinator',
  runId: 'run-1',
  generation: 3,
  evaluations: { done: 30, cached: 2, racedOut: 10, failed: 0 },
  best: { modelId: 'run-1-m1', learner: 'Linear', score: '0.9' },
};
const kept = (said: Parameters<typeof lastWord>[0]) => {
  const text = lastWord(said);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
  return JSON.parse(text) as Partial<RunSummary> & { error?: { message: string; reason: string } };
};
const wide = (n: number) => `${n}${'漢'.repeat(255)}`;

it('is the whole result where that fits', () => {
  const whole = { ...summary, suspectColumns: ['copy'], duplicateRows: 4 };
  expect(kept(whole)).toEqual(whole);
});

it('loses suspect columns before anything else, and only as many as it must', () => {
  const suspectColumns = Array.from({ length: 8 }, (_, n) => wide(n));
  const output = { uri: 'claim://models/run-1', report: 'claim://models/run-1/report.html', bytes: 9 };
  const said = kept({ ...summary, suspectColumns, output });
  expect(said).toMatchObject({ ...summary, output });
  expect(said.suspectColumns).toEqual(suspectColumns.slice(0, 4));
});

it('loses the address of the report, then that of the files', () => {
  const of = (length: number) => {
    const uri = `s3://models/${'漢'.repeat(length)}`;
    return kept({ ...summary, suspectColumns: ['copy'], output: { uri, report: `${uri}/report.html`, bytes: 9 } });
  };
  expect(of(800)).toEqual({ ...summary, output: { uri: expect.stringContaining('漢') as string, bytes: 9 } });
  expect(of(1400)).toEqual({ ...summary, output: { bytes: 9 } });
});

it('keeps the start of a message, in whole characters', () => {
  const said = kept({
    step: 'worker',
    error: { reason: 'DataInvalid', message: '😀'.repeat(2000), field: 'spec.dataset' },
  });
  expect(said.error).toMatchObject({ reason: 'DataInvalid', field: 'spec.dataset' });
  expect(said.error?.message).toMatch(/^(😀){700,}$/u);
});

it('names suspect columns once, eight at most, and counts rows that also teach', () => {
  const columns = ['a', 'a', ...Array.from({ length: 9 }, (_, n) => `c${n}`)];
  const suspects = columns.map((column) => ({ kind: 'Identifier', column, text: column }) as const);
  expect(suspicionOf([...suspects, { kind: 'DuplicateRows', rows: 12, text: '12 judged rows' }])).toEqual({
    suspectColumns: ['a', 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6'],
    duplicateRows: 12,
  });
  expect(suspicionOf([])).toEqual({});
});
