import { describe, expect, it } from 'vitest';
import { type Ask, type Cluster, type DeviceNode, type Quota, roomFor } from './capacity.ts';

const gpu = 'nvidia.com/gpu';
const node = (name: string, offers: number, held = 0, more: Partial<DeviceNode> = {}): DeviceNode => ({
  name,
  labels: {},
  taints: [],
  unschedulable: false,
  allocatable: { [gpu]: offers },
  held: { [gpu]: held },
  ...more,
});
const ask = (more: Partial<Ask> = {}): Ask => ({
  id: 'one',
  namespace: 'team',
  device: { name: gpu, count: 1 },
  needs: { pods: 1, [`requests.${gpu}`]: 1 },
  placing: {},
  exist: 0,
  bound: 0,
  wanted: 0,
  ...more,
});
const quota = (hard: Quota['hard'], used: Quota['used'], namespace = 'team'): Quota => ({
  namespace,
  name: 'limit',
  hard,
  used,
});
const cluster = (nodes: DeviceNode[], quotas: Quota[] = [], counted: [string, number][] = []): Cluster => ({
  nodes,
  quotas,
  counted: new Map(counted),
});
const room = (one: Ask, seen: Cluster, ...others: Ask[]) => roomFor(one, [one, ...others], seen);

describe('room for GPU pods', () => {
  it.each<[string, Ask, DeviceNode[], number | undefined]>([
    ['is what the nodes have free', ask(), [node('a', 4, 2), node('b', 2)], 4],
    ['counts the pods that have theirs', ask({ bound: 2, wanted: 2 }), [node('a', 4, 2), node('b', 2)], 6],
    [
      'counts whole pods of each node',
      ask({ device: { name: gpu, count: 2 } }),
      [node('a', 3), node('b', 1), node('c', 4)],
      3,
    ],
    ['is none where others hold all', ask(), [node('a', 4, 4)], 0],
    ['is not less for a node that holds more than it offers', ask(), [node('a', 1, 3), node('b', 2)], 2],
    ['leaves out cordoned nodes', ask(), [node('a', 4, 0, { unschedulable: true }), node('b', 1)], 1],
    [
      'leaves out nodes that the selector does',
      ask({ placing: { nodeSelector: { zone: 'a' } } }),
      [node('a', 4), node('b', 1, 0, { labels: { zone: 'a' } })],
      1,
    ],
    [
      'leaves out nodes with other devices',
      ask(),
      [node('a', 0, 0, { allocatable: { 'amd.com/gpu': 8 } }), node('b', 1)],
      1,
    ],
    ['counts no more bound pods in a rollout than are wanted', ask({ bound: 4, wanted: 2 }), [node('a', 4, 4)], 2],
    ['is unknown while no node has such devices: they may come', ask(), [node('a', 0)], undefined],
    [
      'is unknown where a pod needs more than any node has',
      ask({ device: { name: gpu, count: 8 } }),
      [node('a', 4)],
      undefined,
    ],
    [
      'is unknown for claims and for those that run on CPU instead',
      ((): Ask => {
        const { device: _, ...rest } = ask();
        return rest;
      })(),
      [node('a', 4)],
      undefined,
    ],
  ])('%s', (_what, one, nodes, most) => expect(room(one, cluster(nodes))?.most).toBe(most));

  it('is unknown where nodes cannot be seen', () => {
    expect(room(ask(), { quotas: [], counted: new Map() })).toBeUndefined();
  });

  it('says what is free, and how much of it on one node', () => {
    const nodes = [node('a', 4, 2), node('b', 2), node('c', 1, 1)];
    expect(room(ask(), cluster(nodes))).toMatchObject({
      reason: 'InsufficientGPU',
      message: '4 GPUs free, largest node 2',
    });
    const mig = 'nvidia.com/mig-1g.10gb';
    const slices = node('a', 0, 0, { allocatable: { [mig]: 3 } });
    expect(room(ask({ device: { name: mig, count: 1 } }), cluster([slices]))?.message).toBe(
      `3 ${mig} free, largest node 3`,
    );
  });

  it('is not what others were granted a moment ago, where they may take it', () => {
    const nodes = [node('a', 2), node('b', 2, 0, { labels: { zone: 'b' } })];
    const other = ask({ id: 'two', bound: 1, wanted: 3 });
    expect(room(ask(), cluster(nodes), other)?.most).toBe(2);
    const elsewhere = ask({ id: 'two', wanted: 8, placing: { nodeSelector: { zone: 'b' } } });
    expect(room(ask(), cluster(nodes), elsewhere)?.most).toBe(2);
  });

  it('shared by two that grow in turn is never granted twice', () => {
    const nodes = [node('a', 3), node('b', 2)];
    const first = room(ask({ wanted: 0 }), cluster(nodes), ask({ id: 'two' }))?.most ?? 0;
    const second = room(ask({ id: 'two' }), cluster(nodes), ask({ wanted: first }))?.most ?? 0;
    expect([first, second]).toEqual([5, 0]);
  });
});

describe('room in a quota', () => {
  const nodes = [node('a', 100)];
  it.each<[string, Quota, number]>([
    ['is what it leaves beside the pods it counts already', quota({ pods: 10 }, { pods: 6 }), 2 + 4],
    [
      'is the narrowest of its keys',
      quota({ pods: 10, [`requests.${gpu}`]: 4 }, { pods: 2, [`requests.${gpu}`]: 3 }),
      3,
    ],
    ['is none where more is used than allowed', quota({ pods: 1 }, { pods: 6 }), 2],
    ['is not bounded by what the pods do not ask for', quota({ services: 1 }, { services: 1 }), 100],
    ['is not bounded in another namespace', quota({ pods: 1 }, { pods: 1 }, 'other'), 100],
    ['counts fractions as they add up', quota({ 'requests.cpu': 0.6 }, { 'requests.cpu': 0.3 }), 5],
  ])('%s', (_what, each, most) => {
    const one = ask({ needs: { pods: 1, [`requests.${gpu}`]: 1, 'requests.cpu': 0.1 } });
    expect(room(one, cluster(nodes, [each], [['one', 2]]))?.most).toBe(most);
  });

  it('says which quota leaves how much', () => {
    const gpus = quota({ [`requests.${gpu}`]: 8 }, { [`requests.${gpu}`]: 6 });
    expect(room(ask(), cluster(nodes, [gpus]))).toEqual({
      most: 2,
      reason: 'InsufficientQuota',
      message: `ResourceQuota limit leaves 2 of requests.${gpu} 8`,
    });
  });

  it('is not what a neighbour was granted since it was read', () => {
    const other = ask({ id: 'two', wanted: 5 });
    const seen = cluster(nodes, [quota({ pods: 10 }, { pods: 4 })], [['two', 4]]);
    expect(room(ask(), seen, other)?.most).toBe(5);
  });
});
