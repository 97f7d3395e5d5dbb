// ServiceAccount of an engine: an identity without any right in the cluster and without a token.
import type { KubeObject } from '../kube/types.ts';
import { childMeta } from './meta.ts';

export interface ServiceAccount extends KubeObject {
  automountServiceAccountToken: boolean;
}

export function serviceAccount(owner: KubeObject, name: string): ServiceAccount {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: childMeta(owner, name, 'identity'),
    automountServiceAccountToken: false,
  };
}
