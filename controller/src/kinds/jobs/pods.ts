// The pods of a Job, told from those of an earlier Job of the same name.
import { controllerOf } from '../../kube/store.ts';
import type { Job, Pod } from '../../objects/types.ts';

/** Pods that this very Job controls. */
export function podsOfJob(job: Job | undefined, pods: readonly Pod[]): Pod[] {
  const uid = job?.metadata.uid;
  return uid === undefined ? [] : pods.filter((pod) => controllerOf(pod)?.uid === uid);
}

export const isActive = ({ status }: Pod): boolean => status?.phase === 'Pending' || status?.phase === 'Running';

/** When a Job's current run began; nothing for one that is suspended, ended or has not begun. */
export function runningSince(job: Job | undefined): string | undefined {
  const holds = (type: string) => job?.status?.conditions?.some((each) => each.type === type && each.status === 'True');
  return holds('Suspended') || holds('Complete') || holds('Failed') ? undefined : job?.status?.startTime;
}
