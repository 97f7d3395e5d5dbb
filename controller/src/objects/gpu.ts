// GPUs of an engine's pods: extended resources of any vendor, MIG profiles, or claims for dynamic allocation (DRA).
import { extendedGpuResource } from '@quintet/crds';
import type { KubeObject } from '../kube/types.ts';
import { childMeta } from './meta.ts';
import type { ResourceRequirements } from './pod.ts';

export interface Gpu {
  policy: 'Required' | 'Preferred' | 'None';
  count: number;
  resourceName?: string;
  deviceClassName?: string;
  fallbackAfter: string;
  runtimeClassName?: string;
}

/** What a pod runs on. `Preferred` runs on either. */
export type Backend = 'GPU' | 'CPU';

export const firstBackend = ({ policy }: Gpu): Backend => (policy === 'None' ? 'CPU' : 'GPU');

const claimInPod = 'gpu';

/** The container's resources: GPUs are limits (requests follow), or a claim that the pod names. */
export function gpuResources(gpu: Gpu, backend: Backend, resources: ResourceRequirements): ResourceRequirements {
  if (backend === 'CPU') return resources;
  const extended = extendedGpuResource(gpu);
  if (extended === undefined) return { ...resources, claims: [{ name: claimInPod }] };
  return { ...resources, limits: { ...resources.limits, [extended]: String(gpu.count) } };
}

/** Fields of the pod spec that a GPU brings with it. */
export function gpuPodFields(gpu: Gpu, backend: Backend, templateName: string): Record<string, unknown> {
  if (backend === 'CPU') return {};
  return {
    ...(gpu.runtimeClassName && { runtimeClassName: gpu.runtimeClassName }),
    ...(gpu.deviceClassName && { resourceClaims: [{ name: claimInPod, resourceClaimTemplateName: templateName }] }),
  };
}

/** Taints that keep other pods off GPU nodes carry the name of the resource. */
export function gpuTolerations(gpu: Gpu, backend: Backend): object[] {
  const extended = extendedGpuResource(gpu);
  if (backend === 'CPU' || extended === undefined) return [];
  const vendor = extended.startsWith('nvidia.com/') ? 'nvidia.com/gpu' : extended;
  return [{ key: vendor, operator: 'Exists', effect: 'NoSchedule' }];
}

export interface ResourceClaimTemplate extends KubeObject {
  spec: Record<string, unknown>;
}

/** The template from which each pod gets a claim of its own; none without a device class. */
export function resourceClaimTemplates(owner: KubeObject, name: string, gpu: Gpu): ResourceClaimTemplate[] {
  if (gpu.policy === 'None' || gpu.deviceClassName === undefined) return [];
  const exactly = { deviceClassName: gpu.deviceClassName, allocationMode: 'ExactCount', count: gpu.count };
  return [
    {
      apiVersion: 'resource.k8s.io/v1',
      kind: 'ResourceClaimTemplate',
      metadata: childMeta(owner, name, 'gpu'),
      spec: { spec: { devices: { requests: [{ name: 'gpu', exactly }] } } },
    },
  ];
}
