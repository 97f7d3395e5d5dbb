// GPUs of a container: extended resources are limits, and requests follow.
import type { ResourceRequirements } from './pod.ts';

export interface GpuRequest {
  policy: 'Required' | 'Preferred' | 'None';
  count?: number | undefined;
  resourceName?: string | undefined;
}

/** `resources` with the GPUs that the policy `Required` asks for; the other policies run on CPU. */
export function gpuResources(
  gpu: GpuRequest | undefined,
  resources: ResourceRequirements | undefined,
): ResourceRequirements {
  if (gpu?.policy !== 'Required') return resources ?? {};
  return {
    ...resources,
    limits: { ...resources?.limits, [gpu.resourceName ?? 'nvidia.com/gpu']: String(gpu.count ?? 1) },
  };
}
