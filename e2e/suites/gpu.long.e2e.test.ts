// GPUs as the real scheduler hands them out: until they run out, under other names, with CPU in between, by claims.
import { beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Kubectl } from '../kubectl.ts';
import { fakeToleration, offer, realNode, startFakeNodes } from './devices.ts';
import { conditionOf, request, Services } from './served.ts';
import { freshNamespace, type Shared, sharedCluster } from './shared.ts';
import { startTraffic } from './traffic.ts';

const namespace = 'e2e-gpu';
let shared: Shared;
let kubectl: Kubectl;
let services: Services;
let node: string;

const gpus = (count: number) => offer(kubectl, node, 'nvidia.com/gpu', count);
const backends = async (name: string) =>
  (await services.pods(name)).map(({ metadata }) => metadata.labels['quintet.dev/backend'] ?? 'none').toSorted();

async function traffic(name: string) {
  const { status } = await services.get(name);
  const [pod] = await services.pods(name);
  const image = pod?.spec.containers[0]?.image ?? '';
  return await startTraffic(kubectl, {
    namespace,
    name: `clients-of-${name}`,
    url: `${status?.url}/v1/compress`,
    body: request,
    image,
  });
}

beforeAll(async () => {
  shared = await sharedCluster();
  kubectl = shared.kubectl;
  await freshNamespace(kubectl, namespace);
  services = new Services(kubectl, namespace);
  node = await realNode(kubectl);
});

describe('gpu.policy Required', () => {
  it('waits in the words of the scheduler while no GPU is free, and runs when one is', async () => {
    await gpus(1);
    await services.apply('first', { gpu: { policy: 'Required' } });
    const first = await services.ready('first');
    expect(conditionOf(first, 'GPUAllocated')).toMatchObject({ status: 'True', reason: 'Allocated' });
    expect(first.status?.gpu).toEqual({ allocated: 1 });

    await services.apply('second', { gpu: { policy: 'Required' } });
    const waiting = await services.reaches('second', 'waits for a GPU', (one) => {
      return conditionOf(one, 'GPUAllocated')?.reason === 'InsufficientGPU';
    });
    const [pod] = await services.pods('second');
    const said = pod?.status.conditions?.find(({ type }) => type === 'PodScheduled')?.message ?? 'nothing';
    expect(said).toContain('Insufficient nvidia.com/gpu');
    // The scheduler's words, and after them what to change.
    const message = expect.stringContaining(`${said.replace(/\.$/, '')}; lower spec.gpu.count`);
    expect(waiting.status).toMatchObject({ phase: 'Pending', message, gpu: { allocated: 0 } });
    expect(conditionOf(waiting, 'Ready')).toMatchObject({ status: 'False', reason: 'InsufficientGPU', message });

    await services.remove('first');
    const second = await services.ready('second');
    expect(conditionOf(second, 'GPUAllocated')).toMatchObject({ status: 'True' });
    await services.remove('second');
  });

  it('counts a MIG profile by its own name', async () => {
    const mig = 'nvidia.com/mig-1g.10gb';
    await gpus(0);
    await offer(kubectl, node, mig, 1);
    await services.apply('slices', { replicas: 2, gpu: { policy: 'Required', resourceName: mig } });
    const half = await services.reaches('slices', 'has one slice of two', ({ status }) => {
      return status?.readyReplicas === 1 && (status.message ?? '').includes('Insufficient');
    });
    expect(half.status?.message).toContain(`Insufficient ${mig}`);
    expect(half.status?.gpu).toEqual({ allocated: 1 });
    await offer(kubectl, node, mig, 2);
    expect((await services.ready('slices', 2)).status?.gpu).toEqual({ allocated: 2 });
    await services.remove('slices');
    await offer(kubectl, node, mig, 0);
  });
});

describe('gpu.policy Preferred', () => {
  it('runs on CPU after fallbackAfter, says so, and returns to a GPU without a failed request', async () => {
    await gpus(0);
    await services.apply('either', { gpu: { policy: 'Preferred', fallbackAfter: '5s' } });
    const fallen = await services.ready('either');
    expect(conditionOf(fallen, 'GPUAllocated')).toMatchObject({ status: 'False', reason: 'FellBackToCPU' });
    expect(conditionOf(fallen, 'Ready')).toMatchObject({ status: 'True', reason: 'ServingOnCPU' });
    expect(fallen.status?.gpu?.fellBackAt).toMatch(/^\d{4}-/);
    // One serves on CPU while the other goes on waiting for a GPU.
    expect(await backends('either')).toEqual(['cpu', 'gpu']);

    const clients = await traffic('either');
    await gpus(1);
    await services.reaches('either', 'is back on a GPU', (one) => conditionOf(one, 'GPUAllocated')?.status === 'True');
    await eventually('the CPU pod is gone', async () => (await backends('either')).join() === 'gpu');
    await services.ready('either');
    const { ok, failed, first } = await clients.stop();
    console.log(`return to a GPU: ${ok} requests, ${failed} failed`);
    expect({ failed, first }).toEqual({ failed: 0, first: [] });
    await services.remove('either');
  });

  it('is rolled without a failed request while its own pod holds the only GPU', async () => {
    await gpus(1);
    await services.apply('only', { gpu: { policy: 'Preferred', fallbackAfter: '5s' } });
    await services.ready('only');
    const [old] = await services.pods('only');
    const clients = await traffic('only');
    await services.apply('only', { gpu: { policy: 'Preferred', fallbackAfter: '5s' }, batching: { maxSize: 16 } });
    await eventually(
      'one pod of the new revision has the GPU',
      async () => {
        const pods = await services.pods('only');
        const [pod] = pods;
        return pods.length === 1 && pod?.metadata.uid !== old?.metadata.uid && (await backends('only'))[0] === 'gpu';
      },
      { describe: () => kubectl.run(['describe', 'compressionservice,deployment,pod', '-n', namespace]) },
    );
    expect(conditionOf(await services.ready('only'), 'GPUAllocated')).toMatchObject({ status: 'True' });
    const { ok, failed, first } = await clients.stop();
    console.log(`rollout on the only GPU: ${ok} requests, ${failed} failed`);
    expect({ failed, first }).toEqual({ failed: 0, first: [] });
    await services.remove('only');
    await gpus(0);
  });
});

describe('devices by claims', () => {
  const driver = 'test.quintet.dev';
  const claims = async () => {
    interface Claims {
      items: { status?: { allocation?: { devices: { results: { device: string }[] } } } }[];
    }
    const { items } = await kubectl.json<Claims>(['get', 'resourceclaims', '-n', namespace]);
    return items.map(({ status }) => status?.allocation?.devices.results.length ?? 0).toSorted((a, b) => a - b);
  };

  it('are allocated from ResourceSlices until they run out, and again when they are free', async () => {
    const fake = await startFakeNodes(shared.cluster, kubectl, [{ name: 'fake-dra' }]);
    const attributes = { model: { string: 'test' } };
    const objects = [
      {
        apiVersion: 'resource.k8s.io/v1',
        kind: 'DeviceClass',
        metadata: { name: driver },
        spec: { selectors: [{ cel: { expression: `device.driver == '${driver}'` } }] },
      },
      {
        apiVersion: 'resource.k8s.io/v1',
        kind: 'ResourceSlice',
        metadata: { name: 'fake-dra' },
        spec: {
          driver,
          nodeName: 'fake-dra',
          pool: { name: 'fake-dra', generation: 1, resourceSliceCount: 1 },
          devices: [0, 1, 2].map((index) => ({ name: `gpu-${index}`, attributes })),
        },
      },
    ];
    try {
      await kubectl.apply(objects.map((each) => JSON.stringify(each)).join('\n---\n'));
      const spec = {
        gpu: { policy: 'Required', deviceClassName: driver, count: 2 },
        scheduling: { tolerations: [fakeToleration] },
      };
      await services.apply('claims', spec);
      const served = await services.ready('claims');
      expect(conditionOf(served, 'GPUAllocated')).toMatchObject({ status: 'True' });
      expect(served.status?.gpu).toEqual({ allocated: 2 });
      expect(await claims()).toEqual([2]);

      await services.apply('late', spec);
      const waiting = await services.reaches('late', 'waits for devices', (one) => {
        return conditionOf(one, 'GPUAllocated')?.reason === 'InsufficientGPU';
      });
      expect(waiting.status?.phase).toBe('Pending');
      expect(waiting.status?.message).toContain('cannot allocate all claims');
      expect(await claims()).toEqual([0, 2]);

      await services.remove('claims');
      await services.ready('late');
      expect(await claims()).toEqual([2]);
      await services.remove('late');
    } finally {
      await fake.stop();
      await kubectl.run(['delete', 'resourceslice/fake-dra', `deviceclass/${driver}`, '--ignore-not-found']);
    }
  });
});

describe('scheduling', () => {
  it('follows the runtime class, taints of GPU nodes, affinity and spread', async () => {
    const zone = 'topology.kubernetes.io/zone';
    const taints = [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }];
    const gpuNode = (name: string, at: string, model: string) => ({
      name,
      labels: { [zone]: at, 'accelerator/model': model },
      taints,
      devices: { 'nvidia.com/gpu': '4' },
    });
    const fake = await startFakeNodes(shared.cluster, kubectl, [
      gpuNode('fake-a', 'a', 'large'),
      gpuNode('fake-b', 'b', 'large'),
      gpuNode('fake-small', 'c', 'small'),
    ]);
    const runtimeClass = { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'e2e-gpu' } };
    try {
      await kubectl.apply(JSON.stringify({ ...runtimeClass, handler: 'e2e-gpu' }));
      const matchExpressions = [{ key: 'accelerator/model', operator: 'In', values: ['large'] }];
      await services.apply('spread', {
        replicas: 4,
        gpu: { policy: 'Required', count: 2, runtimeClassName: 'e2e-gpu' },
        scheduling: {
          tolerations: [fakeToleration],
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions }] },
            },
          },
          topologySpreadConstraints: [{ maxSkew: 1, topologyKey: zone, whenUnsatisfiable: 'DoNotSchedule' }],
        },
      });
      expect((await services.ready('spread', 4)).status?.gpu).toEqual({ allocated: 8 });
      const pods = await services.pods('spread');
      const places = pods.map(({ spec }) => spec.nodeName ?? 'none').toSorted();
      expect(places).toEqual(['fake-a', 'fake-a', 'fake-b', 'fake-b']);
      expect(new Set(pods.map(({ spec }) => spec.runtimeClassName))).toEqual(new Set(['e2e-gpu']));
      await services.remove('spread');
    } finally {
      await fake.stop();
      await kubectl.run(['delete', 'runtimeclass', 'e2e-gpu', '--ignore-not-found']);
    }
  });

  it('puts pods on spot nodes, from where they are evicted without a failed request', async () => {
    const taint = 'karpenter.sh/capacity-type=spot:NoSchedule';
    await kubectl.run(['label', 'node', node, 'karpenter.sh/capacity-type=spot', '--overwrite']);
    await kubectl.run(['taint', 'node', node, taint, '--overwrite']);
    try {
      await services.apply('spot', { replicas: 2, scheduling: { spot: 'Required' } });
      await services.ready('spot', 2);
      const before = await services.pods('spot');
      await kubectl.run(['taint', 'node', node, `${taint}-`]);
      const clients = await traffic('spot');
      for (const { metadata } of before) {
        // As a drain does: asked again while the budget says no.
        await eventually(`${metadata.name} is evicted`, async () => {
          const eviction = {
            apiVersion: 'policy/v1',
            kind: 'Eviction',
            metadata: { name: metadata.name, namespace },
          };
          const path = `/api/v1/namespaces/${namespace}/pods/${metadata.name}/eviction`;
          await kubectl.run(['create', '--raw', path, '-f', '-'], { input: JSON.stringify(eviction) });
          return true;
        });
      }
      await services.ready('spot', 2);
      const after = await services.pods('spot');
      const old = new Set(before.map(({ metadata }) => metadata.uid));
      expect(after.filter(({ metadata }) => old.has(metadata.uid))).toEqual([]);
      const { ok, failed, first } = await clients.stop();
      console.log(`eviction of both pods: ${ok} requests, ${failed} failed`);
      expect({ failed, first }).toEqual({ failed: 0, first: [] });
      await services.remove('spot');
    } finally {
      await kubectl.run(['taint', 'node', node, `${taint}-`]).catch(() => undefined);
      await kubectl.run(['label', 'node', node, 'karpenter.sh/capacity-type-']);
    }
  });
});
