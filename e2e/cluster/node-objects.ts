// What a new cluster holds from the start: the DNS Service, the default StorageClass, rights of the harness's own daemons.
import type { ControlPlane } from './control-plane.ts';
import { applyObject } from './kube.ts';
import type { NodeNetwork } from './network.ts';

export const DNS_SERVICE = '10.96.0.10';
export const STORAGE_CLASS = 'standard';

export async function applyNodeObjects(plane: ControlPlane, network: NodeNetwork): Promise<void> {
  for (const [path, object] of nodeObjects(network)) await applyObject(plane.admin, path, object);
}

function nodeObjects(network: NodeNetwork): [path: string, object: object][] {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const dnsPorts = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  ];
  return [
    [
      '/apis/storage.k8s.io/v1/storageclasses/standard',
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: STORAGE_CLASS, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
        provisioner: 'quintet.dev/folder',
        reclaimPolicy: 'Delete',
        volumeBindingMode: 'Immediate',
      },
    ],
    [
      '/api/v1/namespaces/kube-system/services/kube-dns',
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'kube-dns', namespace: 'kube-system' },
        spec: { clusterIP: DNS_SERVICE, ports: dnsPorts },
      },
    ],
    [
      '/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns',
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: 'kube-dns',
          namespace: 'kube-system',
          labels: {
            'kubernetes.io/service-name': 'kube-dns',
            'endpointslice.kubernetes.io/managed-by': 'quintet-cluster',
          },
        },
        addressType: 'IPv4',
        ports: dnsPorts,
        endpoints: [{ addresses: [network.nodeAddress], conditions: { ready: true } }],
      },
    ],
    ...grant(rbac, 'quintet:coredns', [
      { apiGroups: [''], resources: ['services', 'pods', 'namespaces', 'endpoints'], verbs: ['list', 'watch', 'get'] },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
    ]),
    ...grant(rbac, 'quintet:provisioner', [
      { apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: ['list', 'watch', 'get'] },
      { apiGroups: [''], resources: ['persistentvolumes'], verbs: ['list', 'watch', 'get', 'create', 'delete'] },
    ]),
  ];
}

/** A role and its binding to the user of the same name. */
function grant(rbac: string, name: string, rules: object[]): [path: string, object: object][] {
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const apiGroup = 'rbac.authorization.k8s.io';
  return [
    [`${rbac}/clusterroles/${name}`, { apiVersion, kind: 'ClusterRole', metadata: { name }, rules }],
    [
      `${rbac}/clusterrolebindings/${name}`,
      {
        apiVersion,
        kind: 'ClusterRoleBinding',
        metadata: { name },
        roleRef: { apiGroup, kind: 'ClusterRole', name },
        subjects: [{ apiGroup, kind: 'User', name }],
      },
    ],
  ];
}
