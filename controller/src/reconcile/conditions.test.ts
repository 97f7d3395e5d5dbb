import { expect, test } from 'vitest';
import { type Condition, changedConditions, overlay, stampConditions } from './conditions.ts';
import type { ConditionDecision } from './kind.ts';

const then = new Date('2026-01-01T00:00:00.123Z');
const later = new Date('2026-01-01T01:00:00Z');
const ready = (status: 'True' | 'False', reason = 'Because', message = ''): ConditionDecision => ({
  type: 'Ready',
  status,
  reason,
  message,
});

test('the time of the last transition stays while the status stays, whatever the reason says', () => {
  const first = stampConditions([ready('False', 'Starting')], undefined, 1, then);
  expect(first).toEqual([
    { ...ready('False', 'Starting'), observedGeneration: 1, lastTransitionTime: '2026-01-01T00:00:00Z' },
  ]);
  const second = stampConditions([ready('False', 'Pulling')], first, 2, later);
  expect(second[0]).toMatchObject({
    reason: 'Pulling',
    observedGeneration: 2,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  });
  expect(stampConditions([ready('True')], second, 2, later)[0]?.lastTransitionTime).toBe('2026-01-01T01:00:00Z');
});

test('one condition per type: the later decision wins; long messages are cut', () => {
  const stamped = stampConditions([ready('False'), ready('True', 'X', 'm'.repeat(5000))], undefined, 1, then);
  expect(stamped).toHaveLength(1);
  expect(stamped[0]?.status).toBe('True');
  expect(stamped[0]?.message).toHaveLength(1000);
});

test('a change of status or reason is a transition, a change of message is not', () => {
  const before = stampConditions([ready('False', 'A', 'one')], undefined, 1, then);
  const next = (decision: ConditionDecision): Condition[] => stampConditions([decision], before, 1, later);
  expect(changedConditions(before, next(ready('False', 'A', 'two')))).toEqual([]);
  expect(changedConditions(before, next(ready('False', 'B')))).toHaveLength(1);
  expect(changedConditions(before, next(ready('True', 'A')))).toHaveLength(1);
  expect(changedConditions(undefined, before)).toHaveLength(1);
});

test('an overlay replaces in place and appends the rest', () => {
  const stalled: ConditionDecision = { type: 'Stalled', status: 'True', reason: 'X', message: '' };
  const healthy: ConditionDecision = { type: 'Healthy', status: 'True', reason: 'Y', message: '' };
  expect(overlay([ready('True'), healthy], [stalled, ready('False')])).toEqual([ready('False'), healthy, stalled]);
});
