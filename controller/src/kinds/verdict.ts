// A verdict on a resource: its phase for people and its conditions for programs, always told together.
import type { phases } from '@quintet/crds';
import type { ConditionDecision } from '../reconcile/kind.ts';
import type { Trouble } from './pods.ts';

export interface Verdict {
  phase: (typeof phases)[number];
  conditions: ConditionDecision[];
}

export function condition(
  type: string,
  status: ConditionDecision['status'],
  reason: string,
  message: string,
): ConditionDecision {
  return { type, status, reason, message };
}

/** It serves, or is done. */
export function good(phase: 'Ready' | 'Succeeded', reason: string, message: string): Verdict {
  return { phase, conditions: [condition('Ready', 'True', reason, message)] };
}

/** It gets on. */
export function working(phase: 'Pending' | 'Progressing', reason: string, message: string): Verdict {
  return {
    phase,
    conditions: [condition('Ready', 'False', reason, message), condition('Reconciling', 'True', reason, message)],
  };
}

/** It would get on, if something did not hinder it: worth an Event, for it may not pass by itself. */
export function troubled(phase: 'Pending' | 'Progressing', reason: string, message: string): Verdict {
  const { conditions } = working(phase, reason, message);
  return {
    phase,
    conditions: conditions.map((each) => (each.type === 'Reconciling' ? { ...each, warn: true } : each)),
  };
}

/** Its pods do not get on: worth an Event, unless it is nothing unusual yet. */
export function hindrance(
  phase: 'Pending' | 'Progressing',
  { reason, message, quietUntil, isUsual }: Trouble,
): Verdict {
  return quietUntil || isUsual ? working(phase, reason, message) : troubled(phase, reason, message);
}

/** It will not get there without a person. */
export function stalled(reason: string, message: string): Verdict {
  return {
    phase: 'Failed',
    conditions: [condition('Ready', 'False', reason, message), condition('Stalled', 'True', reason, message)],
  };
}

/** It rests because somebody asked for that. */
export function resting(message: string): Verdict {
  return {
    phase: 'Suspended',
    conditions: [
      condition('Ready', 'True', 'Suspended', message),
      condition('Suspended', 'True', 'Suspended', message),
    ],
  };
}

/** An ended job stays ended: the verdict that its status already holds. */
export function remembered(
  phase: 'Succeeded' | 'Failed',
  conditions: readonly ConditionDecision[] | undefined,
): Verdict {
  const kept = conditions?.filter(({ type }) => type === 'Ready' || type === 'Stalled') ?? [];
  return { phase, conditions: kept.map(({ type, status, reason, message }) => ({ type, status, reason, message })) };
}

/** As Kubernetes writes times: whole seconds. */
export function wholeSeconds(moment: Date | undefined): string | undefined {
  return moment && `${moment.toISOString().slice(0, 19)}Z`;
}
