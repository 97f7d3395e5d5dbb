import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../kube/types.ts';
import { TerminalError } from './errors.ts';
import type { ConditionDecision, StatusDecision } from './kind.ts';
import { failureConditions, withFailure, withoutFailure } from './status.ts';

const ready: ConditionDecision = { type: 'Ready', status: 'True', reason: 'Serving', message: '2 of 2 pods serve' };
const serving: StatusDecision = {
  conditions: [ready],
  fields: { phase: 'Ready', message: '2 of 2 pods serve', replicas: 2 },
};
const ended: StatusDecision = {
  conditions: [{ ...ready, reason: 'Succeeded' }],
  fields: { phase: 'Succeeded', message: 'done', completionTime: '2026-01-01T00:00:00Z' },
};
const stuck: StatusDecision = {
  conditions: [
    { type: 'Ready', status: 'False', reason: 'Stuck', message: 'stands still' },
    { type: 'Stalled', status: 'True', reason: 'Stuck', message: 'stands still' },
  ],
  fields: { phase: 'Failed', message: 'stands still' },
};
const terminal = failureConditions(new TerminalError('ClaimMissing', 'create the claim'), 1);
const persisting = failureConditions(new Error('refused'), 1);
const unapplied = failureConditions(new Error('refused'), 1, false);

describe('phase and message say what the conditions say', () => {
  test('when a failure stalls the resource', () => {
    const { conditions, fields } = withFailure(serving, terminal);
    expect(fields).toEqual({ phase: 'Failed', message: 'create the claim', replicas: 2 });
    expect(conditions).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'True' }));
  });

  test('when a failure keeps a resource at work', () => {
    expect(withFailure(serving, persisting).fields).toEqual({ phase: 'Progressing', message: 'refused', replicas: 2 });
    const suspended = { ...serving, fields: { phase: 'Suspended', message: 'no pods run' } };
    expect(withFailure(suspended, unapplied).fields).toEqual({ phase: 'Progressing', message: 'refused' });
    const pending = { ...serving, fields: { phase: 'Pending', message: 'waits' } };
    expect(withFailure(pending, unapplied).fields).toEqual({ phase: 'Pending', message: 'refused' });
  });

  test('when the kind itself says that it stands still', () => {
    expect(withFailure(stuck, persisting).fields).toEqual(stuck.fields);
    const anew = withFailure(stuck, unapplied);
    expect(anew.fields).toEqual({ phase: 'Progressing', message: 'refused' });
    expect(anew.conditions.map(({ type, status }) => `${type}=${status}`)).toEqual(['Ready=False', 'Reconciling=True']);
  });

  test('but nothing is said over a decision when the failure is not worth it', () => {
    expect(withFailure(serving, [])).toEqual(serving);
  });
});

test('the verdict on a run that has ended stands, whatever fails afterwards', () => {
  for (const over of [terminal, persisting, unapplied]) {
    const { conditions, fields } = withFailure(ended, over);
    expect(fields).toEqual(ended.fields);
    expect(conditions.map(({ type, status }) => `${type}=${status}`)).toEqual(['Ready=True', 'Reconciling=True']);
  }
});

test('a kind never takes the phase of a failure for an end of its own', () => {
  const stored = (status: object) =>
    ({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'one' }, status }) as KubeObject;
  const failed = stored({ phase: 'Failed', message: 'create the claim', revision: 'a' });
  expect(withoutFailure(failed)).toEqual(stored({ message: 'create the claim', revision: 'a' }));
  for (const status of [{ phase: 'Failed', completionTime: '2026-01-01T00:00:00Z' }, { phase: 'Ready' }]) {
    expect(withoutFailure(stored(status))).toEqual(stored(status));
  }
});
