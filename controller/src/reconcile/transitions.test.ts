import { describe, expect, it } from 'vitest';
import { stampConditions } from './conditions.ts';
import type { ConditionDecision } from './kind.ts';
import { notesOf } from './transitions.ts';

const noon = new Date('2026-01-01T12:00:00Z');
interface Verdict {
  phase: string;
  conditions: ConditionDecision[];
}

const condition = (type: string, status: 'True' | 'False', reason: string, message: string) => ({
  type,
  status,
  reason,
  message,
});
const well = (phase: string, reason: string, message: string): Verdict => ({
  phase,
  conditions: [condition('Ready', 'True', reason, message)],
});
const working = (phase: string, reason: string, message: string): Verdict => ({
  phase,
  conditions: [condition('Ready', 'False', reason, message), condition('Reconciling', 'True', reason, message)],
});

type Status = Parameters<typeof notesOf>[1];

const statusOf = ({ phase, conditions }: Verdict, before?: Status, fields: object = {}): Status => ({
  phase,
  message: conditions[0]?.message,
  conditions: stampConditions(conditions, before?.conditions, 1, noon),
  ...fields,
});

/** Reasons of what is told while a resource goes from one verdict to the next. */
function told(...steps: [Verdict, object?][]): string[][] {
  let before: Status | undefined;
  return steps.map(([verdict, fields]) => {
    const after = statusOf(verdict, before, fields);
    const notes = notesOf(before, after, { conditions: verdict.conditions, fields: {} });
    before = after;
    return notes.map(({ type, reason }) => (type === 'Warning' ? `!${reason}` : reason));
  });
}

const begins = working('Pending', 'Pending', 'waiting for the coordinator');
const searches = working('Progressing', 'Searching', 'the search runs');
const done = well('Succeeded', 'Succeeded', 'the search has ended');
const serves = well('Ready', 'Serving', '2 of 2 pods serve');
const rests: Verdict = {
  phase: 'Suspended',
  conditions: ['Ready', 'Suspended'].map((type) => condition(type, 'True', 'Suspended', 'no pods run')),
};
const fails: Verdict = {
  phase: 'Failed',
  conditions: [
    condition('Ready', 'False', 'TrialsFailed', 'every pipeline fails'),
    condition('Stalled', 'True', 'TrialsFailed', 'every pipeline fails'),
  ],
};
const over = { completionTime: '2026-01-01T12:00:00Z' };

describe('Events tell of a resource', () => {
  it('that its work begins and how it ends, each once', () => {
    expect(told([begins], [searches], [searches], [done, over], [done, over])).toEqual([
      ['Started'],
      [],
      [],
      ['Succeeded'],
      [],
    ]);
    expect(told([begins], [fails])).toEqual([['Started'], ['!TrialsFailed']]);
  });

  it('that a run which had ended begins again', () => {
    expect(told([done, over], [begins])).toEqual([[], ['Started']]);
  });

  it('that it is suspended and goes on', () => {
    expect(told([begins], [rests], [rests], [searches])).toEqual([['Started'], ['Suspended'], [], ['Resumed']]);
    expect(told([rests], [serves])).toEqual([[], ['Resumed', 'Serving']]);
  });

  it('not that what rests goes on where only trouble has come and gone', () => {
    const troubled = { ...rests, phase: 'Progressing' };
    expect(told([rests], [troubled], [{ ...rests, phase: 'Failed' }], [rests])).toEqual([[], [], [], []]);
    expect(told([rests], [troubled], [searches])).toEqual([[], [], ['Resumed']]);
  });

  it('trouble and its end, but not each rollout’s progress', () => {
    const failing = working('Progressing', 'PodFailed', 'pod a ended');
    const conditions = failing.conditions.map((each) => ({ ...each, warn: each.type === 'Reconciling' }));
    const trouble = { ...failing, conditions };
    expect(told([serves], [searches], [trouble], [serves])).toEqual([[], [], ['!PodFailed'], ['Serving']]);
  });
});

it('the message of what begins says what is waited for', () => {
  const after = statusOf(begins);
  expect(notesOf(undefined, after, { conditions: begins.conditions, fields: {} })).toEqual([
    { type: 'Normal', reason: 'Started', message: 'waiting for the coordinator' },
  ]);
});
