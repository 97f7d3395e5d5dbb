// What scaling and healing do to pods, on a real API server: marks of those that may go, and evictions.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { evict } from '../../controller/src/autoscaling/evict.ts';
import { mark } from '../../controller/src/autoscaling/idlest.ts';
import { Client } from '../../controller/src/kube/client.ts';
import { fromKubeconfig } from '../../controller/src/kube/config.ts';
import type { KubeObject } from '../../controller/src/kube/types.ts';
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
const found = ({ metadata }: KubeObject) => client.findMetadata(types.pod, metadata);

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
