// What scaling and healing do to pods, on a real API server: marks of those that may go, and evictions; and what room they find.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { evict } from '../../controller/src/autoscaling/evict.ts';
import { mark } from '../../controller/src/autoscaling/idlest.ts';
import { Places } from '../../controller/src/autoscaling/places.ts';
import { Client } from '../../controller/src/kube/client.ts';
import { fromKubeconfig } from '../../controller/src/kube/config.ts';
import { isNotFound } from '../../controller/src/kube/errors.ts';
import { Cache } from '../../controller/src/kube/store.ts';
import { type Pod, types } from '../../controller/src/objects/types.ts';
import { type ApiCluster, startApi } from '../cluster/api.ts';

const cost = 'controller.kubernetes.io/pod-deletion-cost';
let api: ApiCluster;
let client: Client;

beforeAll(async () => {
  api = await startApi();
  client = new Client(await fromKubeconfig([api.kubeconfig]));
});
afterAll(async () => {
  await client?.close();
  await api?.stop();
});

const made = (name: string): Promise<Pod> =>
  client.create<Pod>(types.pod, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'engine', image: 'example.test/engine:1' }] },
  });
/** Read from etcd: the server's cache may not yet have what was written just now. */
const found = ({ metadata }: Pod): Promise<Pod | undefined> =>
  client.get<Pod>(types.pod, metadata).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
    return undefined;
  });

test('a pod is marked, and not any more, but never one that was made since under its name', async () => {
  const pod = await made('marked');
  await mark(client, [{ pod, cost: '-1000' }]);
  expect((await found(pod))?.metadata.annotations).toEqual({ [cost]: '-1000' });
  await mark(client, [{ pod, cost: null }]);
  expect((await found(pod))?.metadata.annotations ?? {}).toEqual({});
  const former = { ...pod, metadata: { ...pod.metadata, uid: '11111111-2222-3333-4444-555555555555' } };
  await mark(client, [{ pod: former, cost: '-1000' }]);
  expect((await found(pod))?.metadata.annotations ?? {}).toEqual({});
});

test('a pod is evicted, and one that is gone already is nothing to report', async () => {
  const pod = await made('sick');
  await evict(client, pod);
  expect(await found(pod)).toBeUndefined();
  await evict(client, pod);
});

test('a pod that its PodDisruptionBudget keeps is not evicted, and is once that allows it', async () => {
  const labels = { app: 'kept' };
  const pod = await client.create<Pod>(types.pod, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: Object.assign({ name: 'kept', namespace: 'default' }, { labels }),
    spec: { containers: [{ name: 'engine', image: 'example.test/engine:1' }] },
  });
  const running = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  await client.patch(types.pod, pod.metadata, { status: running }, { subresource: 'status' });
  const named = { name: 'kept', namespace: 'default' };
  await client.create(types.podDisruptionBudget, {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: named,
    spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
  });
  // As the disruption controller counts it: nobody runs one here.
  const allow = (disruptionsAllowed: number) => {
    const counted = {
      observedGeneration: 1,
      expectedPods: 2,
      desiredHealthy: 1,
      currentHealthy: 1 + disruptionsAllowed,
    };
    const status = { ...counted, disruptionsAllowed };
    return client.patch(types.podDisruptionBudget, named, { status }, { subresource: 'status' });
  };
  await allow(0);
  await expect(evict(client, pod)).rejects.toThrow(/disruption budget/);
  expect(await found(pod)).toBeDefined();
  await allow(1);
  await evict(client, pod);
  expect(await found(pod)).toBeUndefined();
});

test('free GPUs are those of nodes that no bound pod holds, and no more than a quota leaves', async () => {
  const gpu = 'nvidia.com/gpu';
  const named = (kind: string, name: string) => ({ apiVersion: 'v1', kind, metadata: { name, namespace: 'default' } });
  const asking = (name: string, nodeName?: string) =>
    client.create(types.pod, {
      ...named('Pod', name),
      spec: {
        ...(nodeName && { nodeName }),
        containers: [{ name: 'other', image: 'example.test/other:1', resources: { limits: { [gpu]: '1' } } }],
      },
    });
  await client.create(types.node, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'rack' } });
  const amounts = { [gpu]: '4', cpu: '8', memory: '8Gi', pods: '20' };
  const status = { capacity: amounts, allocatable: amounts };
  await client.patch(types.node, { name: 'rack' }, { status }, { subresource: 'status' });
  await asking('bound', 'rack');
  await asking('waiting');
  const ask = {
    id: 'one',
    namespace: 'default',
    device: { name: gpu, count: 1 },
    needs: { [`requests.${gpu}`]: 1 },
    placing: {},
    exist: 0,
    bound: 0,
    wanted: 0,
  };
  const room = async () => {
    const places = new Places({ client, pods: new Cache() });
    await places.see([ask], 0, AbortSignal.timeout(60_000));
    return places.room('one');
  };
  // The API server itself taints a node that nobody has called ready.
  expect(await room()).toBeUndefined();
  await client.patch(types.node, { name: 'rack' }, { spec: { taints: null } });
  expect(await room()).toMatchObject({ most: 3, message: '3 GPUs free, largest node 3' });

  const hard = { [`requests.${gpu}`]: '3' };
  await client.create(types.resourceQuota, { ...named('ResourceQuota', 'gpus'), spec: { hard } });
  const counted = { status: { hard, used: { [`requests.${gpu}`]: '2' } } };
  await client.patch(types.resourceQuota, { namespace: 'default', name: 'gpus' }, counted, { subresource: 'status' });
  expect(await room()).toMatchObject({ most: 1, reason: 'InsufficientQuota' });
});
