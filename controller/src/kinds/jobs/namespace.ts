// How it shows that the namespace of a Job is being deleted. From Kubernetes 1.33 on a namespace deletes its pods first
// and waits for them; a Job with retries per index keeps the last failed pod of an index until another takes its place.
import { type Job, type Pod, types } from '../../objects/types.ts';
import type { Kind, Observed } from '../../reconcile/kind.ts';
import { isActive, podsOfJob } from './pods.ts';

export const jobsEnd: NonNullable<Kind<never>['namespaceEnd']> = {
  types: [types.job],
  asks: types.configMap,
  isLikely: (observed) =>
    observed.list<Job>(types.job).some((job) => !job.metadata.deletionTimestamp && lingering(job, observed).length > 0),
};

/** Pods that were told to go, had their time to end, and are still there. */
function lingering(job: Job, observed: Observed): Pod[] {
  const isLate = (moment: string): boolean => observed.now >= new Date(moment);
  return podsOfJob(job, observed.list<Pod>(types.pod)).filter((pod) => {
    const { deletionTimestamp } = pod.metadata;
    return deletionTimestamp !== undefined && (!isActive(pod) || isLate(deletionTimestamp));
  });
}
