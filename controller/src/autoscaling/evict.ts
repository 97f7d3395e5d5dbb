// The end of one pod, as a drain of its node asks for it: a PodDisruptionBudget may refuse, and the pod drains.
import type { Client } from '../kube/client.ts';
import { ApiError } from '../kube/errors.ts';
import { type Pod, types } from '../objects/types.ts';

/** Throws what the API server refuses; that the pod is gone already is none of it. */
export async function evict(client: Client, { metadata: { name, namespace, uid } }: Pod): Promise<void> {
  const document = {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name, namespace },
    // Never a namesake that was made since.
    deleteOptions: { preconditions: { uid } },
  };
  await client.create(types.pod, document, { subresource: 'eviction' }).catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  });
}
