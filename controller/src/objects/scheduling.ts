// Where pods may run, as the spec's `scheduling` and `gpu` blocks say.
import type { KubeObject } from '../kube/types.ts';
import { type Backend, type Gpu, gpuPodFields, gpuTolerations } from './gpu.ts';
import { defined } from './pod.ts';

interface NodeAffinity {
  requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms: object[] };
  preferredDuringSchedulingIgnoredDuringExecution?: object[];
}

export interface Schedulable extends KubeObject {
  spec: {
    scheduling: {
      priorityClassName?: string;
      schedulerName?: string;
      nodeSelector?: Record<string, string>;
      tolerations?: object[];
      affinity?: { nodeAffinity?: NodeAffinity; [other: string]: unknown };
      topologySpreadConstraints?: object[];
      spot: 'Required' | 'Preferred' | 'Tolerated' | 'None';
    };
    /** Kinds that compute on CPU alone have none. */
    gpu?: Gpu;
  };
}

export interface Placement {
  backend?: Backend;
  /** Name of the ResourceClaimTemplate, where the spec has a device class. */
  claimTemplate?: string;
  /** The pods among which topology spread counts. */
  selector: Record<string, string>;
}

/** Labels and taints by which the usual providers mark preemptible nodes. */
const spotLabels = [
  { key: 'karpenter.sh/capacity-type', value: 'spot' },
  { key: 'cloud.google.com/gke-spot', value: 'true' },
  { key: 'eks.amazonaws.com/capacityType', value: 'SPOT' },
  { key: 'kubernetes.azure.com/scalesetpriority', value: 'spot' },
];

/** Fields of a pod spec. */
export function schedulingOf(
  { spec }: Schedulable,
  { backend = 'CPU', claimTemplate = '', selector }: Placement,
): Record<string, unknown> {
  const { scheduling, gpu } = spec;
  const labelSelector = { matchLabels: selector };
  const tolerations = [
    ...(scheduling.tolerations ?? []),
    ...(gpu ? gpuTolerations(gpu, backend) : []),
    ...(scheduling.spot === 'None' ? [] : spotLabels.map(({ key, value }) => ({ key, operator: 'Equal', value }))),
  ];
  return defined({
    priorityClassName: scheduling.priorityClassName,
    schedulerName: scheduling.schedulerName,
    nodeSelector: scheduling.nodeSelector,
    tolerations: tolerations.length > 0 ? tolerations : undefined,
    affinity: withSpot(scheduling.affinity, scheduling.spot),
    topologySpreadConstraints: scheduling.topologySpreadConstraints?.map((each) => ({ ...each, labelSelector })),
    ...(gpu && gpuPodFields(gpu, backend, claimTemplate)),
  });
}

type Affinity = Schedulable['spec']['scheduling']['affinity'];

function withSpot(affinity: Affinity, spot: Schedulable['spec']['scheduling']['spot']): Affinity {
  const terms = spotLabels.map(({ key, value }) => ({ matchExpressions: [{ key, operator: 'In', values: [value] }] }));
  const own = affinity?.nodeAffinity;
  if (spot === 'Preferred') {
    const preferred = [
      ...(own?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
      ...terms.map((preference) => ({ weight: 50, preference })),
    ];
    return { ...affinity, nodeAffinity: { ...own, preferredDuringSchedulingIgnoredDuringExecution: preferred } };
  }
  if (spot === 'Required') {
    const required = { nodeSelectorTerms: crossed(own?.requiredDuringSchedulingIgnoredDuringExecution, terms) };
    return { ...affinity, nodeAffinity: { ...own, requiredDuringSchedulingIgnoredDuringExecution: required } };
  }
  return affinity;
}

/** Terms are alternatives, so "the user's and a spot node" is each of the user's with each of the providers'. */
function crossed(own: { nodeSelectorTerms: object[] } | undefined, spot: { matchExpressions: object[] }[]): object[] {
  const terms = (own?.nodeSelectorTerms ?? [{}]) as { matchExpressions?: object[] }[];
  return terms.flatMap((term) =>
    spot.map(({ matchExpressions }) => ({
      ...term,
      matchExpressions: [...(term.matchExpressions ?? []), ...matchExpressions],
    })),
  );
}
