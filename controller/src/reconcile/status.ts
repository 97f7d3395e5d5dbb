// Turns what was decided into the `status` of a resource, and writes it only when it says something new.
import { isDeepStrictEqual } from 'node:util';
import type { Client } from '../kube/client.ts';
import { keyOf } from '../kube/paths.ts';
import type { KubeObject } from '../kube/types.ts';
import type { Watcher } from '../kube/watcher.ts';
import { type Condition, hasEnded, overlay, shorten, stampConditions } from './conditions.ts';
import { BlockedError, reportFailure, TerminalError } from './errors.ts';
import type { EventNote } from './events.ts';
import type { ConditionDecision, StatusDecision } from './kind.ts';
import { notesOf } from './transitions.ts';

export interface Status {
  observedGeneration?: number;
  conditions?: Condition[];
  [field: string]: unknown;
}

export interface StatusWriterOptions {
  client: Client;
  watcher: Watcher;
  onTransition?: (resource: KubeObject, note: EventNote) => void;
}

/** A failure that may pass by itself is reported when it came so often in a row. */
const persistentAfter = 3;

export class StatusWriter {
  readonly #options: StatusWriterOptions;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /**
   * @param reconciled The resource as it was reconciled.
   * @param isObserved Whether its generation is the one observed; else the one that was observed before stays.
   * @returns the resource as the server answered it; undefined when there was nothing to write.
   */
  async write(
    reconciled: KubeObject,
    decision: StatusDecision,
    now: Date,
    isObserved = true,
  ): Promise<KubeObject | undefined> {
    const { client, watcher } = this.#options;
    const key = keyOf(reconciled.metadata);
    const latest = watcher.store.get(key) ?? reconciled;
    const before = statusOf(latest);
    const generation = isObserved ? (reconciled.metadata.generation ?? 0) : before?.observedGeneration;
    const conditions = stampConditions(decision.conditions, before?.conditions, generation ?? 0, now);
    const fields = { ...decision.fields };
    if (typeof fields.message === 'string') fields.message = shorten(fields.message);
    // Through JSON as the server would see it: without undefined members.
    const status = JSON.parse(JSON.stringify({ ...fields, observedGeneration: generation, conditions })) as Status;
    if (isDeepStrictEqual(status, before)) return undefined;
    const answer = await watcher.write(key, () => client.applyStatus<KubeObject>(watcher.type, reconciled, status));
    for (const note of notesOf(before, status, decision)) this.#options.onTransition?.(reconciled, note);
    return answer;
  }
}

export function statusOf(object: KubeObject): Status | undefined {
  return (object as KubeObject & { status?: Status }).status;
}

/** What is stored, as a decision: for when none can be made. */
export function decisionOf(status: Status = {}): StatusDecision {
  const { conditions = [], observedGeneration: _generation, ...fields } = status;
  return {
    conditions: conditions.map(({ type, status: holds, reason, message }) => ({
      type,
      status: holds,
      reason,
      message,
    })),
    fields,
  };
}

/** Nothing but a change of the spec, or of what it names, helps. */
export function isTerminal(failure: unknown): failure is TerminalError | BlockedError {
  return failure instanceof TerminalError || failure instanceof BlockedError;
}

/**
 * Conditions that a failure puts over what the kind decided.
 * @param failures in a row, this one included.
 * @param isApplied Whether all children were brought for this generation once: else what they say is about another.
 */
export function failureConditions(failure: unknown, failures: number, isApplied = true): ConditionDecision[] {
  if (isTerminal(failure)) {
    const { reason, message } = failure;
    return [
      { type: 'Ready', status: 'False', reason, message },
      { type: 'Reconciling', status: 'False', reason, message: '' },
      { type: 'Stalled', status: 'True', reason, message },
    ];
  }
  const { transient, ...report } = reportFailure(failure);
  const mayPass = transient && failures < persistentAfter;
  if (isApplied) return mayPass ? [] : [{ type: 'Reconciling', status: 'True', ...report, warn: true }];
  const shown = mayPass ? { reason: 'Progressing', message: 'the latest change is being applied' } : report;
  return [
    { type: 'Ready', status: 'False', ...shown },
    { type: 'Reconciling', status: 'True', ...shown, ...(!mayPass && { warn: true }) },
  ];
}

/**
 * Puts the conditions of a failure over a decision, and has phase and message say the same.
 * The verdict on a run that has ended stands: kinds read it off the status, and must not begin the run again.
 */
export function withFailure(decision: StatusDecision, over: readonly ConditionDecision[]): StatusDecision {
  const blocking = over.find(({ type, status }) => type === 'Stalled' && status === 'True');
  const trouble = blocking ?? over.find(({ type, status }) => type === 'Reconciling' && status === 'True');
  if (!trouble) return { ...decision, conditions: overlay(decision.conditions, over) };
  const { reason, message } = trouble;
  if (hasEnded(decision.fields)) {
    const going: ConditionDecision = { type: 'Reconciling', status: 'True', reason, message, warn: true };
    return { ...decision, conditions: overlay(decision.conditions, [going]) };
  }
  const isUnapplied = !blocking && over.some(({ type }) => type === 'Ready');
  // That another generation stands still says nothing about this one.
  const conditions = isUnapplied ? decision.conditions.filter(({ type }) => type !== 'Stalled') : decision.conditions;
  const all = overlay(conditions, over);
  const isStalled = all.some(({ type, status }) => type === 'Stalled' && status === 'True');
  const { phase } = decision.fields;
  if (isStalled && !blocking) return { ...decision, conditions: all };
  const working = phase === 'Pending' ? phase : 'Progressing';
  return { conditions: all, fields: { ...decision.fields, phase: blocking ? 'Failed' : working, message } };
}

/** `Failed` without a time of completion is what a failure put there, not an end that the kind found. */
export function withoutFailure(stored: KubeObject): KubeObject {
  const status = statusOf(stored);
  if (status?.phase !== 'Failed' || hasEnded(status)) return stored;
  const { phase: _phase, ...rest } = status;
  return { ...stored, status: rest } as KubeObject;
}
