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
  /** Why a pod that wants a GPU has no node. */
  gpuTrouble: Trouble | undefined;
  /** Pods that run on CPU meanwhile: the policy lets them, and the wait was long enough. */
  bridged: number;
  /** When the bridge comes, if no GPU does. */
  bridgeAt: Date | undefined;
  /** A rollout waits for a GPU that only an old pod can give up. */
  blocked: boolean;
  /** How many GPU pods may be away: more than none only where a blocked rollout could not go on, and others serve. */
  maxUnavailable: number;
}

export function readState(resource: Served, observed: Observed): State {
  const main = observed.get<Deployment>(types.deployment, mainName(resource));
  const bridge = observed.get<Deployment>(types.deployment, bridgeName(resource));
  const pods = observed.list<Pod>(types.pod).filter(({ metadata }) => !metadata.deletionTimestamp);
  const wanted = wantedReplicas(resource);
  const onGpu = pods.filter((pod) => runsOn(pod, 'gpu') && isReady(pod)).length;
  const waiting = gpuWait(pods);
  const bridgeAt =
    resource.spec.gpu.policy === 'Preferred' && waiting
      ? new Date(waiting.since.getTime() + fallbackSeconds(resource) * 1000)
      : undefined;
  const due = bridgeAt !== undefined && observed.now >= bridgeAt;
  const { replicas = 0, updatedReplicas = 0 } = main?.status ?? {};
  const blocked = waiting !== undefined && onGpu > 0 && updatedReplicas < replicas;
  // Once there, the bridge stays until GPU pods serve in its place. One more serves for the old pod that is to end.
  const missing = Math.max(0, wanted - onGpu + (blocked && due ? 1 : 0));
  const bridged = due || (bridge && resource.spec.gpu.policy === 'Preferred') ? missing : 0;
  const ready = pods.filter(isReady).length;
  // With Preferred nothing is lost: the bridge serves first. With Required one less serves, but never none.
  const yields = blocked && ready > (resource.spec.gpu.policy === 'Preferred' ? wanted : 1);
  return {
    main,
    bridge,
    rollout: main && rolloutOf(main),
    wanted,
    ready,
    onGpu,
    trouble: troubleOf(pods),
    gpuTrouble: waiting?.trouble,
    bridged,
    bridgeAt,
    blocked,
    maxUnavailable: yields ? Math.max(0, wanted - onGpu) + 1 : 0,
  };
}

/** Nothing scales in this version: with an `autoscaling` block its least counts, one at least. */
function wantedReplicas({ spec }: Served): number {
  if (spec.suspend) return 0;
  return spec.autoscaling ? Math.max(1, spec.autoscaling.minReplicas) : spec.replicas;
}

/** Whatever keeps a GPU pod from a node may not keep one from it that runs on CPU. */
const noPlace = new Set(['InsufficientGPU', 'Unschedulable']);

/** The pod that has waited longest for a node with a GPU. */
function gpuWait(pods: readonly Pod[]): { since: Date; trouble: Trouble } | undefined {
  return pods
    .filter((pod) => runsOn(pod, 'gpu'))
    .flatMap((pod) => {
      const trouble = troubleOf([pod]);
      const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
      if (!trouble || !noPlace.has(trouble.reason) || !scheduled?.lastTransitionTime) return [];
      return [{ since: new Date(scheduled.lastTransitionTime), trouble }];
    })
    .sort((a, b) => a.since.getTime() - b.since.getTime())[0];
}

const runsOn = ({ metadata }: Pod, backend: string) => metadata.labels?.[labelOfBackend] === backend;

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: state }) => type === 'Ready' && state === 'True') ?? false;
