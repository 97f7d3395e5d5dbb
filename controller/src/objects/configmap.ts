// ConfigMap that carries the resource into its pods.
import type { KubeObject } from '../kube/types.ts';
import { childMeta } from './meta.ts';

/** Where pods find their resource: a folder, so that a changed ConfigMap reaches a running pod. */
export const resourceFolder = '/etc/quintet/resource';
export const resourceFile = `${resourceFolder}/resource.json`;

export interface ConfigMap extends KubeObject {
  /** Left out by others, where there is none. */
  data?: Record<string, string>;
}

export function configMap(owner: KubeObject, name: string, component: string, data: Record<string, string>): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: childMeta(owner, name, component), data };
}
