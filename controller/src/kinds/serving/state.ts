// How a serving engine stands: its Deployments, what its pods wait for, and for how long they have waited for a GPU.
import { controllerOf } from '../../kube/store.ts';
import { type Deployment, type Rollout, rolloutOf } from '../../objects/deployment.ts';
import type { Pod } from '../../objects/types.ts';
import { types } from '../../objects/types.ts';
import type { Observed } from '../../reconcile/kind.ts';
import { fallbackAt, type GpuWait, gpuWait, isReady, runsOn } from '../gpu.ts';
import { type Trouble, troubleOf } from '../pods.ts';
import type { Served } from './engines.ts';
import type { Scaling } from './scaling.ts';
import { bridgeName, mainName } from './workload.ts';

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
  /** No pod of the latest revision serves. */
  isInVain: boolean;
  wait: GpuWait | undefined;
  /** Pods that run on CPU meanwhile: the policy lets them, and the wait was long enough. */
  bridged: number;
  /** When the bridge comes, if no GPU does. */
  bridgeAt: Date | undefined;
  /** A rollout waits for a GPU that only an old pod can give up. */
  blocked: boolean;
  /** How many GPU pods may be away: more than none only where a blocked rollout could not go on, and others serve. */
  maxUnavailable: number;
}

export function readState(resource: Served, observed: Observed, scaling?: Scaling): State {
  const main = observed.get<Deployment>(types.deployment, mainName(resource));
  const bridge = observed.get<Deployment>(types.deployment, bridgeName(resource));
  const pods = observed.list<Pod>(types.pod).filter(({ metadata }) => !metadata.deletionTimestamp);
  const latest = latestOf(pods);
  const about = { spec: resource.spec, failedMount: (pod: Pod) => observed.failedMount?.(pod) };
  const wanted = wantedReplicas(resource, scaling, main?.spec.replicas);
  const onGpu = pods.filter((pod) => runsOn(pod, 'GPU') && isReady(pod)).length;
  const wait = gpuWait(pods);
  const bridgeAt = fallbackAt(resource.spec.gpu, wait);
  const due = bridgeAt !== undefined && observed.now >= bridgeAt;
  const { replicas = 0, updatedReplicas = 0 } = main?.status ?? {};
  const blocked = wait !== undefined && onGpu > 0 && updatedReplicas < replicas;
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
    trouble: troubleOf(latest, undefined, about),
    isInVain: !latest.some(isReady),
    wait,
    bridged,
    bridgeAt,
    blocked,
    maxUnavailable: yields ? Math.max(0, wanted - onGpu) + 1 : 0,
  };
}

/** What hinders pods of an older revision is no news of the latest: of each Deployment, those made with its newest pod. */
function latestOf(pods: readonly Pod[]): Pod[] {
  const newest = new Map<string | undefined, Pod>();
  const deploymentOf = ({ metadata }: Pod) => metadata.labels?.['quintet.dev/backend'];
  const madeAt = ({ metadata }: Pod) => metadata.creationTimestamp ?? '';
  for (const pod of pods) {
    const known = newest.get(deploymentOf(pod));
    if (!known || madeAt(pod) > madeAt(known)) newest.set(deploymentOf(pod), pod);
  }
  return pods.filter((pod) => controllerOf(pod)?.uid === controllerOf(newest.get(deploymentOf(pod)) ?? pod)?.uid);
}

/**
 * With an `autoscaling` block what was decided counts; before anything is, what runs stays: a new leader knows nothing
 * yet, and must not shrink what its predecessor had grown.
 */
function wantedReplicas({ spec }: Served, scaling: Scaling | undefined, live: number | undefined): number {
  if (spec.suspend) return 0;
  if (!spec.autoscaling) return spec.replicas;
  if (scaling?.yieldsTo)
    return scaling.replicas ?? (scaling.yieldsTo.target === 'Resource' ? spec.replicas : (live ?? 1));
  const { minReplicas, maxReplicas } = spec.autoscaling;
  // Beside a count that was decided only: what runs may have the one pod more already.
  const extra = scaling?.replicas ? (scaling.healing?.extra ?? 0) : 0;
  const asked = (scaling?.replicas ?? live ?? Math.max(1, minReplicas)) + extra;
  return Math.min(Math.max(minReplicas, asked), maxReplicas);
}
