// PodDisruptionBudget: a drain of nodes takes one pod of an engine at a time.
import type { KubeObject } from '../kube/types.ts';
import { childMeta } from './meta.ts';

export interface PodDisruptionBudget extends KubeObject {
  spec: Record<string, unknown>;
}

export function podDisruptionBudget(
  owner: KubeObject,
  name: string,
  selector: Record<string, string>,
): PodDisruptionBudget {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: childMeta(owner, name, 'serving'),
    spec: {
      maxUnavailable: 1,
      selector: { matchLabels: selector },
      // A pod that does not serve anyway must not keep a node from being drained.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  };
}
