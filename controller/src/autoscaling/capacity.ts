// How many pods of a resource find a place: GPUs that nodes have free, and what the namespace's quotas leave. Pure.
import { admits, type Place, type Placing } from './admits.ts';

type Amounts = Readonly<Record<string, number>>;

/** A node that offers devices. */
export interface DeviceNode extends Place {
  allocatable: Amounts;
  /** What pods that have not ended hold of it. */
  held: Amounts;
}

export interface Quota {
  namespace: string;
  name: string;
  hard: Amounts;
  used: Amounts;
}

/** One scaled resource, as the cluster sees its pods. */
export interface Ask {
  id: string;
  namespace: string;
  /** Of each pod; left out: nodes are not counted for it. */
  device?: { name: string; count: number };
  /** What one pod adds to a quota, by the quota's keys. */
  needs: Amounts;
  placing: Placing;
  /** Pods that there are, and those of them that have a node. */
  exist: number;
  bound: number;
  /** Pods that are asked for. */
  wanted: number;
}

export interface Cluster {
  /** Left out: they cannot be seen. */
  nodes?: readonly DeviceNode[];
  quotas: readonly Quota[];
  /** Pods of each ask when the quotas were read. */
  counted: ReadonlyMap<string, number>;
}

export interface Room {
  /** Pods, those included that have their place. */
  most: number;
  reason: 'InsufficientGPU' | 'InsufficientQuota';
  message: string;
}

/**
 * The narrowest bound; undefined: none is known.
 * @param asks All of them: what others were granted and do not have yet is no longer free.
 */
export function roomFor(ask: Ask, asks: Iterable<Ask>, { nodes, quotas, counted }: Cluster): Room | undefined {
  const others = [...asks].filter(({ id }) => id !== ask.id);
  const rooms = quotas
    .filter(({ namespace }) => namespace === ask.namespace)
    .flatMap((quota) => quotaRooms(ask, others, quota, counted));
  const onNodes = nodes && nodeRoom(ask, others, nodes);
  if (onNodes) rooms.push(onNodes);
  return rooms.reduce<Room | undefined>((least, each) => (least && least.most <= each.most ? least : each), undefined);
}

function nodeRoom(ask: Ask, others: readonly Ask[], nodes: readonly DeviceNode[]): Room | undefined {
  const { device, placing, bound, wanted } = ask;
  if (!device) return undefined;
  const { name, count } = device;
  const offering = nodes.filter((node) => (node.allocatable[name] ?? 0) >= count && admits(node, placing));
  // Nodes that are yet to come for the first pod cannot be counted.
  if (offering.length === 0) return undefined;
  const free = new Map(
    nodes.map((node) => [node, Math.max(0, (node.allocatable[name] ?? 0) - (node.held[name] ?? 0))]),
  );
  for (const other of others) if (other.device?.name === name) reserve(free, other, other.device.count);
  const spare = offering.map((node) => free.get(node) ?? 0);
  const places = spare.reduce((sum, each) => sum + Math.floor(each / count), 0);
  const total = spare.reduce((sum, each) => sum + each, 0);
  return {
    // In a rollout more pods are bound than stay.
    most: Math.min(bound, wanted) + places,
    reason: 'InsufficientGPU',
    message: `${named(total, name)} free, largest node ${Math.max(...spare)}`,
  };
}

/** Takes away what pods that were granted, and have no node yet, will hold. */
function reserve(free: Map<DeviceNode, number>, { placing, bound, wanted }: Ask, count: number): void {
  for (let left = wanted - bound; left > 0; left--) {
    const [node, most] = [...free].reduce<readonly [DeviceNode | undefined, number]>(
      (best, each) => (each[1] >= count && each[1] > best[1] && admits(each[0], placing) ? each : best),
      [undefined, 0],
    );
    if (!node) return;
    free.set(node, most - count);
  }
}

function quotaRooms(
  ask: Ask,
  others: readonly Ask[],
  { namespace, name, hard, used }: Quota,
  counted: ReadonlyMap<string, number>,
): Room[] {
  const neighbours = others.filter((other) => other.namespace === namespace);
  return Object.entries(hard).flatMap(([key, limit]) => {
    const need = ask.needs[key];
    if (need === undefined || need <= 0) return [];
    const granted = neighbours.reduce(
      (sum, { id, wanted, needs }) => sum + Math.max(0, wanted - (counted.get(id) ?? 0)) * (needs[key] ?? 0),
      0,
    );
    const left = Math.max(0, limit - (used[key] ?? 0) - granted);
    // Sums of fractions such as 0.1 CPU must not cost a pod.
    const pods = Math.floor(left / need + 1e-9);
    return {
      most: (counted.get(ask.id) ?? 0) + pods,
      reason: 'InsufficientQuota' as const,
      message: `ResourceQuota ${name} leaves ${Number(left.toPrecision(6))} of ${key} ${limit}`,
    };
  });
}

function named(count: number, resource: string): string {
  if (!resource.endsWith('/gpu')) return `${count} ${resource}`;
  return count === 1 ? '1 GPU' : `${count} GPUs`;
}
