// Conditions as the API conventions want them: one per type, with the time of the last change of `status`.
import type { ConditionDecision } from './kind.ts';

export interface Condition extends Omit<ConditionDecision, 'warn'> {
  observedGeneration: number;
  /** RFC 3339, whole seconds. */
  lastTransitionTime: string;
}

/** Of conditions and of the status as a whole. */
const maxMessageLength = 1000;

/** Gives each decision its generation and time: the previous time while `status` stays. A later decision of a type wins. */
export function stampConditions(
  decisions: readonly ConditionDecision[],
  previous: readonly Condition[] | undefined,
  observedGeneration: number,
  now: Date,
): Condition[] {
  const byType = new Map(decisions.map((decision) => [decision.type, decision]));
  return [...byType.values()].map(({ type, status, reason, message }) => {
    const before = previous?.find((condition) => condition.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : timestamp(now);
    return { type, status, reason, message: shorten(message), observedGeneration, lastTransitionTime };
  });
}

/** Conditions whose status or reason is not what it was. */
export function changedConditions(previous: readonly Condition[] | undefined, next: readonly Condition[]): Condition[] {
  return next.filter((condition) => {
    const before = previous?.find(({ type }) => type === condition.type);
    return before?.status !== condition.status || before.reason !== condition.reason;
  });
}

/** Puts decisions over others of the same type, keeping the order of the first list. */
export function overlay(
  decisions: readonly ConditionDecision[],
  over: readonly ConditionDecision[],
): ConditionDecision[] {
  const rest = over.filter(({ type }) => !decisions.some((decision) => decision.type === type));
  return [...decisions.map((decision) => over.find(({ type }) => type === decision.type) ?? decision), ...rest];
}

function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** Messages copied from elsewhere (webhooks, schedulers) have no bound of their own. */
export function shorten(message: string): string {
  return message.length <= maxMessageLength ? message : `${message.slice(0, maxMessageLength - 1)}…`;
}

/** Runs that end say when. */
export function hasEnded(fields: Record<string, unknown>): boolean {
  return fields.completionTime !== undefined;
}
