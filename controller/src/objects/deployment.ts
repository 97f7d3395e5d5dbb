// Deployment of an engine that serves: rolled without a failed request, judged by revision and generation.
import type { KubeObject } from '../kube/types.ts';
import { childMeta } from './meta.ts';
import type { ObjectCondition, PodTemplate } from './types.ts';

export interface Deployment extends KubeObject {
  spec: {
    replicas?: number;
    selector: { matchLabels: Record<string, string> };
    template: PodTemplate;
    [field: string]: unknown;
  };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    conditions?: ObjectCondition[];
  };
}

export interface DeploymentSettings {
  name: string;
  component: string;
  /** Left out where something else owns the count. */
  replicas?: number | undefined;
  /** Pods that a rollout may take away before their successors serve. 0: none. */
  maxUnavailable?: number | string;
  /** Tells this Deployment's pods from all others; a part of the template's labels. */
  selector: Record<string, string>;
  template: PodTemplate;
  /** Kueue queue that admits the pods. */
  queueName?: string | undefined;
  /** How long a rollout may stand still before it counts as failed. */
  progressDeadlineSeconds: number;
}

export function deployment(owner: KubeObject, settings: DeploymentSettings): Deployment {
  const meta = childMeta(owner, settings.name, settings.component);
  const queue = settings.queueName && { 'kueue.x-k8s.io/queue-name': settings.queueName };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...meta, labels: { ...meta.labels, ...queue } },
    spec: {
      ...(settings.replicas !== undefined && { replicas: settings.replicas }),
      revisionHistoryLimit: 2,
      progressDeadlineSeconds: settings.progressDeadlineSeconds,
      strategy: {
        type: 'RollingUpdate',
        rollingUpdate: { maxSurge: '25%', maxUnavailable: settings.maxUnavailable ?? 0 },
      },
      selector: { matchLabels: settings.selector },
      template: settings.template,
    },
  };
}

export type Rollout = 'Complete' | 'Progressing' | 'Stuck';

/** Whether the pods that serve are those of the latest template: never true while old ones still do. */
export function rolloutOf({ metadata, spec, status = {} }: Deployment): Rollout {
  const progressing = status.conditions?.find(({ type }) => type === 'Progressing');
  const seen = (status.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  if (seen && progressing?.status === 'False' && progressing.reason === 'ProgressDeadlineExceeded') return 'Stuck';
  const wanted = spec.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  const complete = seen && updatedReplicas === wanted && replicas === wanted && availableReplicas === wanted;
  return complete ? 'Complete' : 'Progressing';
}
