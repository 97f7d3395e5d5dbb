// NetworkPolicies of engine pods: nobody gets in but through the port that serves, if there is one.
import type { KubeObject } from '../kube/types.ts';
import { childMeta, selectorLabels } from './meta.ts';

export interface NetworkPolicy extends KubeObject {
  spec: Record<string, unknown>;
}

/** Isolates every pod of `owner`; `egress: true` opens the way out (object storage lives anywhere). */
export function isolation(owner: KubeObject, name: string, { egress }: { egress: boolean }): NetworkPolicy {
  return policyOf(owner, name, { policyTypes: ['Ingress', 'Egress'], ...(egress && { egress: [{}] }) });
}

/** Opens the serving port of every pod of `owner` to the cluster, and nothing else in; the way out is open. */
export function servingIsolation(owner: KubeObject, name: string): NetworkPolicy {
  const ingress = [{ ports: [{ protocol: 'TCP', port: 'http' }] }];
  return policyOf(owner, name, { policyTypes: ['Ingress'], ingress });
}

function policyOf(owner: KubeObject, name: string, rules: object): NetworkPolicy {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMeta(owner, name, 'isolation'),
    spec: { podSelector: { matchLabels: selectorLabels(owner) }, ...rules },
  };
}
