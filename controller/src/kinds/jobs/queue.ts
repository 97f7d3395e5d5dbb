// Why a Job that Kueue admits does not run yet, in Kueue's own words.
import { type Job, type ObjectCondition, types, type Workload } from '../../objects/types.ts';
import type { Observed } from '../../reconcile/kind.ts';
import type { Trouble } from '../pods.ts';

/** Of the first of these Jobs that waits in a queue; nothing where none waits, or the cluster has no Kueue. */
export function queueTrouble(
  jobs: readonly (Job | undefined)[],
  queueName: string | undefined,
  observed: Observed,
): Trouble | undefined {
  if (queueName === undefined) return undefined;
  for (const job of jobs) {
    const waits = job && !hasEnded(job) && observed.dependents<Workload>(types.workload, job).map(waitOf)[0];
    if (waits) return { ...waits, message: `queue ${queueName}: ${waits.message}` };
  }
  return undefined;
}

const hasEnded = ({ status }: Job): boolean =>
  holds(status?.conditions, 'Complete') || holds(status?.conditions, 'Failed');

/** The order is Kueue's: quota, then checks, then admission; an eviction begins anew. */
function waitOf({ status }: Workload): Trouble | undefined {
  const { conditions } = status ?? {};
  const told = (type: string): ObjectCondition | undefined => conditions?.find((each) => each.type === type);
  if (holds(conditions, 'Finished') || holds(conditions, 'Admitted')) return undefined;
  const quota = told('QuotaReserved');
  const waiting = quota?.message || 'the Job waits to be looked at';
  if (holds(conditions, 'Evicted')) {
    const { reason, message } = told('Evicted') ?? {};
    return { reason: 'Evicted', message: `${message || reason}; ${waiting}` };
  }
  if (holds(conditions, 'QuotaReserved')) {
    const message = told('Admitted')?.message || 'quota is reserved, checks of the admission are not over';
    return { reason: 'AdmissionChecks', message, isUsual: true };
  }
  // That the queue does not exist or has no such flavor does not pass by itself.
  if (quota?.reason === 'Inadmissible') return { reason: 'Inadmissible', message: waiting };
  return { reason: 'WaitingForQuota', message: waiting, isUsual: true };
}

function holds(conditions: readonly ObjectCondition[] | undefined, type: string): boolean {
  return conditions?.some((each) => each.type === type && each.status === 'True') ?? false;
}
