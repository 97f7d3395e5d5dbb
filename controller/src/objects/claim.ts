// PersistentVolumeClaim made for one resource; kept after it where the spec says Retain.
import type { KubeObject } from '../kube/types.ts';
import { annotations } from '../reconcile/kind.ts';
import { childMeta } from './meta.ts';

export interface ClaimTemplate {
  storageClassName?: string | undefined;
  accessModes: readonly string[];
  storage: string | number;
  reclaimPolicy: 'Retain' | 'Delete';
}

export interface Claim extends KubeObject {
  spec: Record<string, unknown>;
}

export function claim(owner: KubeObject, name: string, component: string, template: ClaimTemplate): Claim {
  const { ownerReferences, ...meta } = childMeta(owner, name, component);
  const kept = template.reclaimPolicy === 'Retain';
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      ...meta,
      ...(kept ? { annotations: { [annotations.retain]: 'true' } } : ownerReferences && { ownerReferences }),
    },
    spec: {
      ...(template.storageClassName && { storageClassName: template.storageClassName }),
      accessModes: template.accessModes,
      resources: { requests: { storage: template.storage } },
    },
  };
}
