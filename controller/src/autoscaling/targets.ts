// Where a pod's metrics page is.
import { httpPort } from '../objects/service.ts';
import type { Pod } from '../objects/types.ts';
import type { Target } from './scrape.ts';

/** None for a pod that does not run, or ends. */
export function targetOf({ metadata, status }: Pod, port = httpPort): Target[] {
  if (!status?.podIP || status.phase !== 'Running' || metadata.deletionTimestamp) return [];
  const host = status.podIP.includes(':') ? `[${status.podIP}]` : status.podIP;
  return [{ id: metadata.uid ?? '', url: `http://${host}:${port}/metrics` }];
}
