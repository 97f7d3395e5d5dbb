// What every kind decides alike about its GPUs: who waits for one and for how long, and what is told of it.
import { parseDuration } from '@quintet/crds';
import { type Backend, firstBackend, type Gpu } from '../objects/gpu.ts';
import type { Pod } from '../objects/types.ts';
import type { ConditionDecision } from '../reconcile/kind.ts';
import { type Trouble, troubleOf } from './pods.ts';
import { condition } from './verdict.ts';

/** On every pod that may have a GPU: what it runs on. */
const labelOfBackend = 'quintet.dev/backend';
export const backendLabels = (backend: Backend): Record<string, string> => ({
  [labelOfBackend]: backend.toLowerCase(),
});

export const runsOn = ({ metadata }: Pod, backend: Backend): boolean =>
  metadata.labels?.[labelOfBackend] === backend.toLowerCase();

export const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: state }) => type === 'Ready' && state === 'True') ?? false;

export interface GpuWait {
  since: Date;
  /** Why the pod has no node, in the scheduler's words. */
  trouble: Trouble;
}

/** Whatever keeps a GPU pod from a node may not keep one from it that runs on CPU. */
const noPlace = new Set(['InsufficientGPU', 'Unschedulable']);

/** The pod that has waited longest for a node with a GPU. */
export function gpuWait(pods: readonly Pod[]): GpuWait | undefined {
  return pods
    .filter((pod) => runsOn(pod, 'GPU'))
    .flatMap((pod) => {
      const trouble = troubleOf([pod]);
      const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
      if (!trouble || !noPlace.has(trouble.reason) || !scheduled?.lastTransitionTime) return [];
      return [{ since: new Date(scheduled.lastTransitionTime), trouble }];
    })
    .sort((a, b) => a.since.getTime() - b.since.getTime())[0];
}

/** When CPU takes over, if no GPU comes; nothing where the policy has no such moment or nobody waits. */
export function fallbackAt(gpu: Gpu, wait: GpuWait | undefined): Date | undefined {
  if (gpu.policy !== 'Preferred' || !wait) return undefined;
  return new Date(wait.since.getTime() + parseDuration(gpu.fallbackAfter) * 1000);
}

export interface JobBackend {
  backend: Backend;
  /** When it was decided that the Job is made anew for CPU. */
  fellBackAt: Date | undefined;
  /** When it will be, if no GPU comes. */
  fallbackAt: Date | undefined;
  wait: GpuWait | undefined;
  /** Pods that run with a GPU. */
  onGpu: number;
}

/**
 * What the pods of a Job run on. A Job's pods cannot be changed: when none has found a GPU for `fallbackAfter`, the Job
 * is made anew for CPU, and stays so. The status remembers that first, and only then the Job goes: once its pods are
 * gone, nothing else would tell that they waited in vain.
 * @param pods Those of the Job as it is.
 * @param fellBackAt What the status of this very run holds.
 */
export function jobBackend(gpu: Gpu, pods: readonly Pod[], fellBackAt: Date | undefined, now: Date): JobBackend {
  const wait = gpuWait(pods);
  const onGpu = pods.filter((pod) => runsOn(pod, 'GPU') && pod.status?.phase === 'Running').length;
  const base = { wait, onGpu, fallbackAt: undefined };
  if (gpu.policy !== 'Preferred') return { ...base, backend: firstBackend(gpu), fellBackAt: undefined };
  // A GPU that came at the last moment is kept.
  if (fellBackAt && onGpu === 0) return { ...base, backend: 'CPU', fellBackAt };
  // While some run, the others follow on the same devices.
  const at = onGpu > 0 ? undefined : fallbackAt(gpu, wait);
  if (at && now >= at) return { ...base, backend: 'GPU', fellBackAt: at };
  return { ...base, backend: 'GPU', fellBackAt: undefined, fallbackAt: at };
}

export interface GpuUse {
  /** Pods that should have a GPU, those that have one, and those on CPU for want of one. */
  wanted: number;
  onGpu: number;
  onCpu: number;
  wait: GpuWait | undefined;
}

export function gpuCondition({ wanted, onGpu, onCpu, wait }: GpuUse): ConditionDecision {
  if (onCpu > 0) {
    const message = `${onCpu} of ${wanted} pods run on CPU until a GPU is free`;
    return condition('GPUAllocated', 'False', 'FellBackToCPU', message);
  }
  if (wait) return condition('GPUAllocated', 'False', wait.trouble.reason, wait.trouble.message);
  if (onGpu >= wanted) return condition('GPUAllocated', 'True', 'Allocated', `${onGpu} pods have a GPU`);
  return condition('GPUAllocated', 'Unknown', 'Pending', `${onGpu} of ${wanted} pods have a GPU`);
}
