// Where pods may run, as the spec's `scheduling` and `gpu` blocks say.

import type { KubeObject } from '../kube/types.ts';
import { selectorLabels } from './meta.ts';
import { defined } from './pod.ts';

interface SchedulingSpec {
  scheduling: {
    priorityClassName?: string;
    schedulerName?: string;
    nodeSelector?: Record<string, string>;
    tolerations?: unknown[];
    affinity?: unknown;
    topologySpreadConstraints?: object[];
  };
  gpu: { runtimeClassName?: string };
}

/** Fields of a pod spec; topology spread counts the pods of this resource. */
export function schedulingOf(owner: KubeObject & { spec: SchedulingSpec }): Record<string, unknown> {
  const { scheduling, gpu } = owner.spec;
  const labelSelector = { matchLabels: selectorLabels(owner) };
  return defined({
    priorityClassName: scheduling.priorityClassName,
    schedulerName: scheduling.schedulerName,
    nodeSelector: scheduling.nodeSelector,
    tolerations: scheduling.tolerations,
    affinity: scheduling.affinity,
    topologySpreadConstraints: scheduling.topologySpreadConstraints?.map((each) => ({ ...each, labelSelector })),
    runtimeClassName: gpu.runtimeClassName,
  });
}
