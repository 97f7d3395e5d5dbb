// Service in front of an engine's pods.
import type { KubeObject } from '../kube/types.ts';
import { childMeta } from './meta.ts';

export interface Service extends KubeObject {
  spec: Record<string, unknown>;
}

export const httpPort = 8080;

export function service(owner: KubeObject, name: string, selector: Record<string, string>): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: childMeta(owner, name, 'serving'),
    spec: {
      type: 'ClusterIP',
      selector,
      ports: [{ name: 'http', port: 80, targetPort: 'http', protocol: 'TCP', appProtocol: 'http' }],
    },
  };
}

/** Address inside the cluster. */
export function serviceUrl({ metadata }: KubeObject): string {
  return `http://${metadata.name}.${metadata.namespace}.svc`;
}
