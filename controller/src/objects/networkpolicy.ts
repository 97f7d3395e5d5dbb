// NetworkPolicy of pods that answer nobody: no way in, and out only where the output needs it.
import type { KubeObject } from '../kube/types.ts';
import { childMeta, selectorLabels } from './meta.ts';

export interface NetworkPolicy extends KubeObject {
  spec: Record<string, unknown>;
}

/** Isolates every pod of `owner`; `egress: true` opens the way out (object storage lives anywhere). */
export function isolation(owner: KubeObject, name: string, { egress }: { egress: boolean }): NetworkPolicy {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMeta(owner, name, 'isolation'),
    spec: {
      podSelector: { matchLabels: selectorLabels(owner) },
      policyTypes: ['Ingress', 'Egress'],
      ...(egress && { egress: [{}] }),
    },
  };
}
