import { compressionService, parseStored } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import type { Client, ListOptions } from '../kube/client.ts';
import { ApiError } from '../kube/errors.ts';
import { Cache } from '../kube/store.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import type { Pod } from '../objects/types.ts';
import { askOf } from './devices.ts';
import { Places } from './places.ts';

const gpu = 'nvidia.com/gpu';
const id = 'CompressionService team/notes';
const { signal } = new AbortController();

/** Answers lists from memory, and notes what it was asked for. */
class Lists {
  readonly asked: string[] = [];
  readonly objects: Record<string, object[]> = { nodes: [], pods: [], resourcequotas: [] };
  readonly refused = new Map<string, number>();

  readonly client: Pick<Client, 'list'> = {
    list: async <T extends KubeObject>(
      { plural }: ResourceType,
      options?: ListOptions,
      onPage?: (items: T[]) => void,
    ) => {
      this.asked.push(options?.namespace ? `${options.namespace}/${plural}` : plural);
      const status = this.refused.get(plural);
      if (status !== undefined) throw new ApiError(status, 'Refused', 'refused by the test');
      onPage?.((this.objects[plural] ?? []) as T[]);
      return { items: [], resourceVersion: '1' };
    },
  };
}

const node = (name: string, count: string) => ({
  metadata: { name },
  status: { allocatable: { [gpu]: count, cpu: '8' } },
});
const holding = (nodeName: string, count: string, phase = 'Running') => ({
  metadata: { name: 'other', namespace: 'else' },
  spec: { nodeName, containers: [{ resources: { limits: { [gpu]: count } } }] },
  status: { phase },
});
const service = (gpuBlock: object = { policy: 'Required' }) =>
  parseStored(compressionService, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'CompressionService',
    metadata: { name: 'notes', namespace: 'team' },
    spec: { gpu: gpuBlock, resources: { requests: { cpu: '500m' } } },
  });
const own = (name: string, nodeName?: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'team', uid: name, resourceVersion: '1', labels: { 'quintet.dev/backend': 'gpu' } },
  spec: { ...(nodeName && { nodeName }), containers: [{ resources: { limits: { [gpu]: '1' } } }] } as Pod['spec'] &
    object,
  status: { phase: 'Running' },
});
const asks = (pods: readonly Pod[] = [], wanted = pods.length) => {
  const ask = askOf(id, service(), pods, wanted);
  return ask ? [ask] : [];
};

/** Later looks are not waited for. */
const answered = () => new Promise((resolve) => setImmediate(resolve));

function begin(namespaces: readonly string[] = []) {
  const lists = new Lists();
  const pods = new Cache();
  return { lists, pods, places: new Places({ client: lists.client, pods, namespaces }) };
}

describe('what asks for GPUs', () => {
  it('is what requires extended resources; with Preferred or claims no node limits it, and without a GPU nothing does', () => {
    expect(askOf(id, service(), [], 0)).toMatchObject({
      device: { name: gpu, count: 1 },
      needs: { pods: 1, [`requests.${gpu}`]: 1, 'requests.cpu': 0.5 },
      placing: { tolerations: [{ key: gpu, operator: 'Exists', effect: 'NoSchedule' }] },
    });
    expect(askOf(id, service({ policy: 'Preferred' }), [], 0)).not.toHaveProperty('device');
    expect(askOf(id, service({ policy: 'Required', deviceClassName: 'gpu.example.test' }), [], 0)).not.toHaveProperty(
      'device',
    );
    expect(askOf(id, service({ policy: 'None' }), [], 0)).toBeUndefined();
  });
});

describe('a look at the cluster', () => {
  it('costs nothing while nothing asks for GPUs', async () => {
    const { lists, places } = begin();
    await places.see([], 0, signal);
    expect(lists.asked).toEqual([]);
  });

  it('comes every 30 s, while our own pods are known at every moment', async () => {
    const { lists, pods, places } = begin();
    lists.objects['nodes'] = [node('a', '4'), { metadata: { name: 'plain' }, status: { allocatable: { cpu: '8' } } }];
    lists.objects['pods'] = [holding('a', '1'), holding('a', '1', 'Succeeded')];
    await places.see(asks(), 0, signal);
    expect(places.room(id)?.most).toBe(3);
    const pod = own('p', 'a');
    pods.put(pod);
    await places.see(asks([pod]), 2_000, signal);
    expect(places.room(id)).toMatchObject({ most: 3, message: '2 GPUs free, largest node 2' });
    await places.see(asks([pod]), 29_000, signal);
    expect(lists.asked).toEqual(['resourcequotas', 'nodes', 'pods']);
    await places.see(asks([pod]), 30_000, signal);
    await answered();
    expect(lists.asked).toHaveLength(6);
  });

  it('leaves out quotas of some pods only, and counts those of all', async () => {
    const { lists, places } = begin();
    const metadata = { name: 'limit', namespace: 'team' };
    const status = { hard: { pods: '3', secrets: 'many' }, used: { pods: '2' } };
    lists.objects['resourcequotas'] = [{ metadata, status, spec: { scopes: ['BestEffort'] } }];
    await places.see(asks(), 0, signal);
    expect(places.room(id)).toBeUndefined();
    lists.objects['resourcequotas'] = [{ metadata, status, spec: {} }];
    await places.see(asks(), 30_000, signal);
    await answered();
    await places.see(asks(), 32_000, signal);
    expect(places.room(id)).toMatchObject({ most: 1, reason: 'InsufficientQuota' });
  });

  it('of an installation for some namespaces sees their quotas and no nodes', async () => {
    const { lists, places } = begin(['team', 'other']);
    await places.see(asks(), 0, signal);
    expect(lists.asked).toEqual(['team/resourcequotas', 'other/resourcequotas']);
    expect(places.room(id)).toBeUndefined();
  });

  it('that is forbidden bounds nothing, and is not tried again', async () => {
    const { lists, places } = begin();
    lists.refused.set('nodes', 403);
    lists.refused.set('resourcequotas', 403);
    for (const now of [0, 30_000, 60_000]) await places.see(asks(), now, signal);
    expect(places.room(id)).toBeUndefined();
    expect(lists.asked).toEqual(['resourcequotas', 'nodes']);
  });

  it('that fails leaves what was seen before for two minutes, then bounds nothing', async () => {
    const { lists, places } = begin();
    lists.objects['nodes'] = [node('a', '1')];
    await places.see(asks(), 0, signal);
    lists.refused.set('nodes', 500);
    for (const now of [30_000, 60_000, 90_000]) {
      await places.see(asks(), now, signal);
      await answered();
    }
    expect(places.room(id)?.most).toBe(1);
    await places.see(asks(), 120_000, signal);
    expect(places.room(id)).toBeUndefined();
  });
});
