// The child types that builders make, and the parts of their shapes that decisions read.
import type { KubeObject, ResourceType } from '../kube/types.ts';

const type = (group: string, plural: string, kind: string): ResourceType => ({
  group,
  version: 'v1',
  plural,
  kind,
  namespaced: true,
});

export const types = {
  claim: type('', 'persistentvolumeclaims', 'PersistentVolumeClaim'),
  configMap: type('', 'configmaps', 'ConfigMap'),
  deployment: type('apps', 'deployments', 'Deployment'),
  endpointSlice: type('discovery.k8s.io', 'endpointslices', 'EndpointSlice'),
  job: type('batch', 'jobs', 'Job'),
  networkPolicy: type('networking.k8s.io', 'networkpolicies', 'NetworkPolicy'),
  pod: type('', 'pods', 'Pod'),
  horizontalPodAutoscaler: {
    ...type('autoscaling', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler'),
    version: 'v2',
  },
  node: { ...type('', 'nodes', 'Node'), namespaced: false },
  podDisruptionBudget: type('policy', 'poddisruptionbudgets', 'PodDisruptionBudget'),
  resourceClaimTemplate: {
    ...type('resource.k8s.io', 'resourceclaimtemplates', 'ResourceClaimTemplate'),
    optional: true,
  },
  resourceQuota: type('', 'resourcequotas', 'ResourceQuota'),
  secret: type('', 'secrets', 'Secret'),
  service: type('', 'services', 'Service'),
  serviceAccount: type('', 'serviceaccounts', 'ServiceAccount'),
  /** Of Kueue, which makes one for each Job that it queues. */
  workload: {
    ...type('kueue.x-k8s.io', 'workloads', 'Workload'),
    version: 'v1beta2',
    olderVersions: ['v1beta1'],
    optional: true,
  },
} as const;

export interface ObjectCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export interface Job extends KubeObject {
  spec: {
    completions?: number;
    parallelism?: number;
    suspend?: boolean;
    template: PodTemplate;
    [field: string]: unknown;
  };
  status?: {
    startTime?: string;
    completionTime?: string;
    active?: number;
    ready?: number;
    succeeded?: number;
    failed?: number;
    failedIndexes?: string;
    conditions?: ObjectCondition[];
  };
}

/** As much of it as is cached. */
export interface Workload extends KubeObject {
  status?: { conditions?: ObjectCondition[] };
}

export interface PodTemplate {
  metadata: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: Record<string, unknown>;
}

export interface ContainerState {
  waiting?: { reason?: string; message?: string };
  running?: { startedAt?: string };
  terminated?: { exitCode: number; reason?: string; message?: string; startedAt?: string; finishedAt?: string };
}

export interface Pod extends KubeObject {
  spec?: { nodeName?: string };
  status?: {
    phase?: string;
    startTime?: string;
    podIP?: string;
    reason?: string;
    message?: string;
    conditions?: ObjectCondition[];
    containerStatuses?: { name: string; restartCount: number; state?: ContainerState; lastState?: ContainerState }[];
  };
}
