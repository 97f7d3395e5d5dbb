// What Flux, kpt and `kubectl wait` alike conclude from a status: the rules of sigs.k8s.io/cli-utils/pkg/kstatus for a
// kind that it does not know.
import type { KStatus } from './states.ts';

interface Stored {
  metadata: { generation?: number };
  status?: { observedGeneration?: number; conditions?: { type: string; status: string }[] };
}

export function kstatus({ metadata, status }: Stored): KStatus {
  if (status?.observedGeneration !== undefined && status.observedGeneration !== metadata.generation)
    return 'InProgress';
  const is = (type: string) => status?.conditions?.find((condition) => condition.type === type)?.status;
  if (is('Reconciling') === 'True') return 'InProgress';
  if (is('Stalled') === 'True') return 'Failed';
  const ready = is('Ready');
  return ready === undefined || ready === 'True' ? 'Current' : 'InProgress';
}
