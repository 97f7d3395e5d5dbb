// What a change of a status is worth telling in Events: that work begins, rests and goes on, trouble, its end and the result.
import { type Condition, changedConditions, hasEnded } from './conditions.ts';
import type { EventNote } from './events.ts';
import type { StatusDecision } from './kind.ts';

type Status = Record<string, unknown> & { conditions?: Condition[] };

/** @param before What was stored; undefined: nothing was said yet. */
export function notesOf(before: Status | undefined, after: Status, { conditions }: StatusDecision): EventNote[] {
  const beginning = beginningOf(before, after);
  const changed = changedConditions(before?.conditions, after.conditions ?? []).flatMap((condition) => {
    const warns = conditions.some(({ type, warn }) => type === condition.type && warn);
    return (warns ? warning(condition) : noteOf(condition, before !== undefined)) ?? [];
  });
  const notes = [...(beginning ? [beginning] : []), ...changed];
  // Two conditions may say the same: told once.
  return notes.filter(
    ({ reason, message }, i) => notes.findIndex((each) => each.reason === reason && each.message === message) === i,
  );
}

const atWork: unknown[] = ['Pending', 'Progressing'];

const rests = ({ conditions = [] }: Status): boolean =>
  conditions.some(({ type, status }) => type === 'Suspended' && status === 'True');

function beginningOf(before: Status | undefined, after: Status): EventNote | undefined {
  const { phase, message } = after;
  const told = typeof message === 'string' && message !== '' ? message : 'work begins';
  // Trouble changes the phase of what rests, and not that it rests.
  if (before && rests(before) && !rests(after)) return { type: 'Normal', reason: 'Resumed', message: told };
  if (!atWork.includes(phase) || (before?.phase !== undefined && !hasEnded(before))) return undefined;
  return { type: 'Normal', reason: 'Started', message: told };
}

const bad: Record<string, string> = {
  Ready: 'False',
  Healthy: 'False',
  GPUAllocated: 'False',
  Stalled: 'True',
  Degraded: 'True',
};

const warning = ({ reason, message }: Condition): EventNote => ({ type: 'Warning', reason, message });

/** Of conditions: trouble and its end; not work in progress, nor that all is well from the start. */
function noteOf({ type, status, reason, message }: Condition, known: boolean): EventNote | undefined {
  if (type === 'Ready' && status === 'False') return undefined;
  const isBad = bad[type] === status;
  if (type === 'Reconciling' || (!isBad && !known)) return undefined;
  if ((type === 'Stalled' || type === 'Degraded') && !isBad) return undefined;
  return { type: isBad ? 'Warning' : 'Normal', reason, message: message || `${type} is ${status}` };
}
