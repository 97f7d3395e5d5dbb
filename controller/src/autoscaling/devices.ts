// From Kubernetes' objects to the figures that room is counted by.
import { extendedGpuResource } from '@quintet/crds';
import { runsOn } from '../kinds/gpu.ts';
import type { Served } from '../kinds/serving/engines.ts';
import type { KubeObject } from '../kube/types.ts';
import { schedulingOf } from '../objects/scheduling.ts';
import type { Pod } from '../objects/types.ts';
import type { Taint } from './admits.ts';
import { counts } from './bounds.ts';
import type { Ask, DeviceNode, Quota } from './capacity.ts';
import { quantityOf } from './settings.ts';

type Quantities = Record<string, string | number>;

export interface Node extends KubeObject {
  spec?: { unschedulable?: boolean; taints?: Taint[] };
  status?: { allocatable?: Quantities };
}

export interface ResourceQuota extends KubeObject {
  spec?: { scopes?: unknown[]; scopeSelector?: unknown };
  status?: { hard?: Quantities; used?: Quantities };
}

interface Container {
  resources?: { requests?: Quantities; limits?: Quantities };
  restartPolicy?: string;
}

/** A pod, as far as what it holds goes. */
export interface Occupant extends Pod {
  spec?: { nodeName?: string; containers?: Container[]; initContainers?: Container[] };
}

/** What a node offers, whoever holds it. */
export type Offer = Omit<DeviceNode, 'held'>;

/** By node and name of the resource. */
export type Held = Map<string, Record<string, number>>;

/** Undefined for what asks for no GPU. */
export function askOf(id: string, resource: Served, pods: readonly Pod[], wanted: number): Ask | undefined {
  const { metadata, spec } = resource;
  if (spec.gpu.policy === 'None') return undefined;
  const name = extendedGpuResource(spec.gpu);
  const standing = pods.filter((pod) => counts(pod) && runsOn(pod, 'GPU'));
  // Where CPU takes over no node limits the count, and claims are not counted by nodes.
  const device = name !== undefined && spec.gpu.policy === 'Required' ? { name, count: spec.gpu.count } : undefined;
  return {
    id,
    namespace: metadata.namespace ?? '',
    ...(device && { device }),
    needs: needsOf(resource, name),
    placing: schedulingOf(resource, { backend: 'GPU', claimTemplate: '', selector: {} }),
    exist: standing.length,
    bound: standing.filter((pod) => pod.spec?.nodeName).length,
    wanted,
  };
}

/** None of a node without devices. */
export function deviceNode({ metadata, spec = {}, status }: Node): Offer[] {
  const allocatable = devicesOf(status?.allocatable);
  if (Object.keys(allocatable).length === 0) return [];
  const { name, labels = {} } = metadata;
  return [{ name, labels, taints: spec.taints ?? [], unschedulable: spec.unschedulable ?? false, allocatable }];
}

/** None of one that counts some pods only: which, is the API server's to say. */
export function plainQuota({ metadata, spec, status }: ResourceQuota): Quota[] {
  if (spec?.scopes?.length || spec?.scopeSelector) return [];
  const { name, namespace = '' } = metadata;
  return [{ name, namespace, hard: amountsOf(status?.hard), used: amountsOf(status?.used) }];
}

/** Adds what this pod holds of its node's devices. */
export function hold(held: Held, { spec, status }: Occupant): void {
  if (!spec?.nodeName || status?.phase === 'Succeeded' || status?.phase === 'Failed') return;
  const { containers = [], initContainers = [] } = spec;
  const sum: Record<string, number> = {};
  const lasting = [...containers, ...initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always')];
  for (const container of lasting)
    for (const [name, amount] of Object.entries(devicesIn(container))) sum[name] = (sum[name] ?? 0) + amount;
  for (const container of initContainers)
    for (const [name, amount] of Object.entries(devicesIn(container))) sum[name] = Math.max(sum[name] ?? 0, amount);
  if (Object.keys(sum).length === 0) return;
  const known = held.get(spec.nodeName) ?? {};
  for (const [name, amount] of Object.entries(sum)) known[name] = (known[name] ?? 0) + amount;
  held.set(spec.nodeName, known);
}

/** Limits of extended resources are requests. */
const devicesIn = ({ resources }: Container) => devicesOf({ ...resources?.requests, ...resources?.limits });

/** Extended resources have a slash in their names. */
const devicesOf = (quantities: Quantities | undefined): Record<string, number> =>
  Object.fromEntries(
    Object.entries(amountsOf(quantities)).filter(([name, amount]) => name.includes('/') && amount > 0),
  );

/** What is no quantity is left out. */
function amountsOf(quantities: Quantities = {}): Record<string, number> {
  return Object.fromEntries(
    Object.entries(quantities).flatMap(([name, value]) => {
      try {
        return [[name, quantityOf(value) ?? 0] as const];
      } catch {
        return [];
      }
    }),
  );
}

/** By the keys of a quota. Without a request Kubernetes takes the limit for one. */
function needsOf({ spec }: Served, device: string | undefined): Record<string, number> {
  const { requests = {}, limits = {} } = spec.resources ?? {};
  const [cpu, memory] = [requests.cpu ?? limits.cpu, requests.memory ?? limits.memory];
  const all: [string, string | number | undefined][] = [
    ['pods', 1],
    ['count/pods', 1],
    ['cpu', cpu],
    ['requests.cpu', cpu],
    ['limits.cpu', limits.cpu],
    ['memory', memory],
    ['requests.memory', memory],
    ['limits.memory', limits.memory],
  ];
  if (device !== undefined) all.push([`requests.${device}`, spec.gpu.count]);
  return Object.fromEntries(
    all.flatMap(([key, value]) => (value === undefined ? [] : [[key, quantityOf(value) ?? 0]])),
  );
}
