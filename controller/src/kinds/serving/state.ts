// How a serving engine stands: its Deployments, what its pods wait for, and for how long they have waited for a GPU.
import { type Deployment, type Rollout, rolloutOf } from '../../objects/deployment.ts';
import type { Pod } from '../../objects/types.ts';
import { types } from '../../objects/types.ts';
import type { Observed } from '../../reconcile/kind.ts';
import { type Trouble, troubleOf } from '../pods.ts';
import type { Served } from './engines.ts';
import { bridgeName, fallbackSeconds, labelOfBackend, mainName } from './workload.ts';

export interface State {
  main: Deployment | undefined;
  bridge: Deployment | undefined;
  rollout: Rollout | undefined;
  /** Pods that the spec asks for. */
  wanted: number;
  ready: number;
  /** Pods that hold a GPU. */
  onGpu: number;
  trouble: Trouble | undefined;
  /** Since when a pod has waited for a GPU in vain. */
  waitingSince: Date | undefined;
  /** Pods that run on CPU meanwhile: the policy lets them, and the wait was long enough. */
  bridged: number;
  /** When the bridge comes, if no GPU does. */
  bridgeAt: Date | undefined;
}

export function readState(resource: Served, observed: Observed): State {
  const main = observed.get<Deployment>(types.deployment, mainName(resource));
  const bridge = observed.get<Deployment>(types.deployment, bridgeName(resource));
  const pods = observed.list<Pod>(types.pod).filter(({ metadata }) => !metadata.deletionTimestamp);
  const wanted = wantedReplicas(resource);
  const onGpu = pods.filter((pod) => runsOn(pod, 'gpu') && isReady(pod)).length;
  const waitingSince = gpuWait(pods);
  const bridgeAt =
    resource.spec.gpu.policy === 'Preferred' && waitingSince
      ? new Date(waitingSince.getTime() + fallbackSeconds(resource) * 1000)
      : undefined;
  const due = bridgeAt !== undefined && observed.now >= bridgeAt;
  // Once there, the bridge stays until GPU pods serve in its place.
  const bridged = due || (bridge && resource.spec.gpu.policy === 'Preferred') ? Math.max(0, wanted - onGpu) : 0;
  return {
    main,
    bridge,
    rollout: main && rolloutOf(main),
    wanted,
    ready: pods.filter(isReady).length,
    onGpu,
    trouble: troubleOf(pods),
    waitingSince,
    bridged,
    bridgeAt,
  };
}

/** Nothing scales in this version: with an `autoscaling` block its least counts, one at least. */
function wantedReplicas({ spec }: Served): number {
  if (spec.suspend) return 0;
  return spec.autoscaling ? Math.max(1, spec.autoscaling.minReplicas) : spec.replicas;
}

function gpuWait(pods: readonly Pod[]): Date | undefined {
  const since = pods
    .filter((pod) => runsOn(pod, 'gpu') && troubleOf([pod])?.reason === 'InsufficientGPU')
    .map(({ status }) => status?.conditions?.find(({ type }) => type === 'PodScheduled')?.lastTransitionTime)
    .filter((time) => time !== undefined)
    .sort()[0];
  return since === undefined ? undefined : new Date(since);
}

const runsOn = ({ metadata }: Pod, backend: string) => metadata.labels?.[labelOfBackend] === backend;

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: state }) => type === 'Ready' && state === 'True') ?? false;
