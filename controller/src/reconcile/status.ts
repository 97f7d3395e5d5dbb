// Turns what was decided into the `status` of a resource, and writes it only when it says something new.
import { isDeepStrictEqual } from 'node:util';
import type { Client } from '../kube/client.ts';
import type { KubeObject } from '../kube/types.ts';
import type { Watcher } from '../kube/watcher.ts';
import { type Condition, changedConditions, overlay, stampConditions } from './conditions.ts';
import { NameConflictError, reportFailure, TerminalError } from './errors.ts';
import type { EventNote } from './events.ts';
import type { ConditionDecision, StatusDecision } from './kind.ts';

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
   * @param reconciled The resource as it was reconciled: its generation is the one observed.
   * @returns whether something was written.
   */
  async write(reconciled: KubeObject, decision: StatusDecision, now: Date): Promise<boolean> {
    const { client, watcher } = this.#options;
    const latest =
      watcher.store.get(`${reconciled.metadata.namespace ?? ''}/${reconciled.metadata.name}`) ?? reconciled;
    const before = statusOf(latest);
    const generation = reconciled.metadata.generation ?? 0;
    const conditions = stampConditions(decision.conditions, before?.conditions, generation, now);
    // Through JSON as the server would see it: without undefined members.
    const status = JSON.parse(
      JSON.stringify({ ...decision.fields, observedGeneration: generation, conditions }),
    ) as Status;
    if (isDeepStrictEqual(status, before)) return false;
    watcher.offer(await client.applyStatus(watcher.type, reconciled, status));
    for (const condition of changedConditions(before?.conditions, conditions)) {
      const warns = decision.conditions.some(({ type, warn }) => type === condition.type && warn);
      const note = warns ? warning(condition) : noteOf(condition, before !== undefined);
      if (note) this.#options.onTransition?.(reconciled, note);
    }
    return true;
  }
}

export function statusOf(object: KubeObject): Status | undefined {
  return (object as KubeObject & { status?: Status }).status;
}

/** Conditions that a failure puts over what the kind decided. @param failures in a row, this one included. */
export function failureConditions(failure: unknown, failures: number): ConditionDecision[] {
  if (failure instanceof TerminalError || failure instanceof NameConflictError) {
    const { reason, message } = failure;
    return [
      { type: 'Ready', status: 'False', reason, message },
      { type: 'Reconciling', status: 'False', reason, message: '' },
      { type: 'Stalled', status: 'True', reason, message },
    ];
  }
  const { reason, message, transient } = reportFailure(failure);
  if (transient && failures < persistentAfter) return [];
  return [{ type: 'Reconciling', status: 'True', reason, message }];
}

export function withFailure(decision: StatusDecision, over: readonly ConditionDecision[]): StatusDecision {
  return { ...decision, conditions: overlay(decision.conditions, over) };
}

const bad: Record<string, string> = {
  Ready: 'False',
  Healthy: 'False',
  GPUAllocated: 'False',
  Stalled: 'True',
  Degraded: 'True',
};

const warning = ({ reason, message }: Condition): EventNote => ({ type: 'Warning', reason, message });

/** What a transition is worth telling; work in progress is not, trouble and its end are. */
function noteOf({ type, status, reason, message }: Condition, known: boolean): EventNote | undefined {
  if (type === 'Ready' && status === 'False') return undefined;
  const isBad = bad[type] === status;
  if (type === 'Reconciling' || (type in bad && !isBad && !known && type !== 'Ready')) return undefined;
  if ((type === 'Stalled' || type === 'Degraded') && !isBad) return undefined;
  return { type: isBad ? 'Warning' : 'Normal', reason, message: message || `${type} is ${status}` };
}
