// A node is lost: what ran on it runs elsewhere, and the status tells of both.
import { beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { eventually, type Kubectl } from '../kubectl.ts';
import { fakeTaint, fakeToleration, offer, realNode, startFakeNodes } from './devices.ts';
import { Services } from './served.ts';
import { freshNamespace, type Shared, sharedCluster } from './shared.ts';

const namespace = 'e2e-nodes';
const lost = 'fake-lost';
const device = 'test.quintet.dev/accelerator';
let shared: Shared;
let kubectl: Kubectl;
let services: Services;
let node: string;

/** Pods leave a lost node at once instead of after Kubernetes' five minutes. */
const leavesSoon = ['unreachable', 'not-ready'].map((state) => ({
  key: `node.kubernetes.io/${state}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 2,
}));
const tolerations = [fakeToleration, ...leavesSoon];

const fieldJob = {
  apiVersion: 'quintet.dev/v1alpha1',
  kind: 'FieldJob',
  metadata: { name: 'moved', namespace },
  spec: {
    array: { type: 'Grid', grid: { rows: 8, columns: 8 } },
    targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'] }],
    volume: { center: ['0mm', '0mm', '60mm'], size: ['10mm', '10mm', '10mm'], spacing: '0.5mm' },
    shards: { max: 2, parallelism: { min: 1, max: 2 } },
    // Only its shards ask for the device, which the lost node alone offers at first.
    gpu: { policy: 'Required', resourceName: device },
    scheduling: { tolerations: leavesSoon },
    output: { persistentVolumeClaim: { claimName: 'fields' } },
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
  },
};
const claim = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'fields', namespace },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
};

interface Job {
  status?: { phase?: string; message?: string; gpu?: object; progress?: object };
}
const job = () => kubectl.json<Job>(['get', 'fieldjob', 'moved', '-n', namespace]);
const describeAll = () =>
  kubectl.run(['describe', 'fieldjob,compressionservice,job,pod', '-n', namespace], { timeoutMs: 30_000 });

interface Shard {
  metadata: { name: string };
  spec: { nodeName?: string };
  status: { phase: string };
}
async function shards(): Promise<Shard[]> {
  const selector = 'quintet.dev/name=moved,app.kubernetes.io/component=shards';
  return (await kubectl.json<{ items: Shard[] }>(['get', 'pods', '-n', namespace, '-l', selector])).items;
}

beforeAll(async () => {
  shared = await sharedCluster();
  kubectl = shared.kubectl;
  await freshNamespace(kubectl, namespace);
  services = new Services(kubectl, namespace);
  node = await realNode(kubectl);
});

describe('when a node is lost', () => {
  it('a replica and the shards of a job that ran there run on another', async () => {
    const fake = await startFakeNodes(shared.cluster, kubectl, [
      { name: lost, devices: { [device]: '2' }, taints: [{ key: device, value: 'present', effect: 'NoSchedule' }] },
    ]);
    try {
      await offer(kubectl, node, device, 0);
      // Devices are tolerated by their name; the mark of fake nodes is not.
      await kubectl.run(['taint', 'node', lost, `${fakeTaint.key}-`]);
      await kubectl.apply([claim, fieldJob].map((each) => stringify(each)).join('\n---\n'));
      const spread = [{ maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' }];
      await services.apply('wide', {
        replicas: 2,
        scheduling: {
          tolerations: [...tolerations, { key: device, operator: 'Exists' }],
          topologySpreadConstraints: spread,
        },
      });
      await services.ready('wide', 2);
      const before = await services.pods('wide');
      expect(new Set(before.map(({ spec }) => spec.nodeName))).toEqual(new Set([lost, node]));
      const there = await eventually(
        'the shards run on the node that is to be lost',
        async () => {
          const pods = await shards();
          const run = pods.every(({ spec, status }) => spec.nodeName === lost && status.phase === 'Running');
          return pods.length > 0 && run && pods;
        },
        { describe: describeAll },
      );
      expect((await job()).status).toMatchObject({ gpu: { allocated: there.length } });

      await fake.lose();
      await services.reaches('wide', 'has lost a pod', ({ status }) => status?.readyReplicas === 1);
      await services.ready('wide', 2);
      const after = await services.pods('wide');
      expect(after.map(({ spec }) => spec.nodeName)).toEqual([node, node]);

      // The Job waits for the end of its pods, which a node that is away cannot tell: its Node object has to go, as
      // cloud controllers see to it.
      await offer(kubectl, node, device, 2);
      await kubectl.run(['delete', 'node', lost]);
      const done = await eventually(
        'the FieldJob succeeds elsewhere',
        async () => {
          const one = await job();
          return one.status?.phase === 'Succeeded' && one;
        },
        { timeoutMs: 180_000, describe: describeAll },
      );
      expect(done.status).toMatchObject({ progress: { percent: 100 }, gpu: { allocated: 0 } });
      await services.remove('wide');
    } finally {
      await fake.stop();
      await offer(kubectl, node, device, 0);
    }
  });
});
