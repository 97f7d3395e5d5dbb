// Jobs that are not done, for whoever scales this service: those at work here, and its share of those that wait for anybody.
// Without them a service would be put to sleep over its jobs, for no request waits for these.
import { gaugeOf, type Registry } from '@quintet/runtime';
import type { JobStore } from './jobs.ts';

/** @returns Looks anew at what waits. */
export function jobsTold(
  registry: Registry,
  jobs: Pick<JobStore, 'waiting' | 'replicas'>,
  running: () => number,
): () => Promise<void> {
  let share = 0;
  gaugeOf(registry, 'quintet_queue_depth', 'Items waiting.', ['queue', 'priority'], () => [
    [{ queue: 'jobs', priority: 'all' }, share + running()],
  ]);
  return async () => {
    const [waiting, replicas] = await Promise.all([jobs.waiting(), jobs.replicas()]);
    share = waiting / Math.max(1, replicas);
  };
}
