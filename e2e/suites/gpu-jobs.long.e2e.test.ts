// GPUs of the kind that ends, as the real scheduler hands them out: shards wait, and run on CPU when none came in time.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { release } from '../install.ts';
import { eventually, type Kubectl } from '../kubectl.ts';
import { offer, realNode } from './devices.ts';
import { kill } from './inside.ts';
import { controllerPods, freshNamespace, sharedCluster } from './shared.ts';

const namespace = 'e2e-gpu-jobs';
let kubectl: Kubectl;
let node: string;

interface Resource {
  kind: string;
  metadata: { name: string };
  spec: Record<string, unknown>;
  status?: {
    phase?: string;
    message?: string;
    gpu?: { allocated?: number; fellBackAt?: string };
    conditions?: { type: string; status: string; reason: string; message: string }[];
  };
}

interface Pod {
  metadata: { name: string; creationTimestamp: string; labels: Record<string, string> };
  spec: { containers: { resources?: { limits?: Record<string, string> } }[] };
  status: { phase: string };
}

const gpus = (count: number) => offer(kubectl, node, 'nvidia.com/gpu', count);
const conditionOf = ({ status }: Resource, type: string) => status?.conditions?.find((each) => each.type === type);
const resources = { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } };

/** Those that compute. */
async function computing(name: string, component: string): Promise<Pod[]> {
  const selector = `quintet.dev/name=${name},app.kubernetes.io/component in (${component})`;
  return (await kubectl.json<{ items: Pod[] }>(['get', 'pods', '-n', namespace, '-l', selector])).items;
}
const backendOf = ({ metadata }: Pod) => metadata.labels['quintet.dev/backend'];

function reaches(kind: string, name: string, what: string, holds: (one: Resource) => boolean): Promise<Resource> {
  return eventually(
    `${kind} ${name} ${what}`,
    async () => {
      const one = await kubectl.json<Resource>(['get', kind, name, '-n', namespace]);
      return holds(one) ? one : undefined;
    },
    { timeoutMs: 240_000, everyMs: 250, describe: () => kubectl.run(['describe', `${kind},job,pod`, '-n', namespace]) },
  );
}

async function fieldJob(name: string, gpu: object): Promise<void> {
  const spec = {
    array: { type: 'TwoSided', twoSided: { rows: 16, columns: 8, pitch: '10.5mm', separation: '120mm' } },
    targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'], trap: 'Twin' }],
    volume: { center: ['0mm', '0mm', '60mm'], size: ['30mm', '30mm', '30mm'], spacing: '0.5mm' },
    shards: { max: 2, parallelism: { min: 1, max: 1 } },
    output: { volumeClaimTemplate: { storage: '1Gi', reclaimPolicy: 'Delete' } },
    resources,
    gpu,
  };
  const metadata = { name, namespace };
  await kubectl.apply(JSON.stringify({ apiVersion: 'quintet.dev/v1alpha1', kind: 'FieldJob', metadata, spec }));
}

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  node = await realNode(kubectl);
}, 580_000);

// The node has room for one suite's pods.
afterAll(async () => {
  await gpus(0);
  await kubectl.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
});

it('a FieldJob with Required waits in the words of the scheduler, and computes when a GPU is free', async () => {
  await gpus(0);
  await fieldJob('patient', { policy: 'Required' });
  const waiting = await reaches('fieldjob', 'patient', 'waits for a GPU', (one) => {
    return conditionOf(one, 'GPUAllocated')?.reason === 'InsufficientGPU';
  });
  expect(conditionOf(waiting, 'GPUAllocated')?.message).toContain('Insufficient nvidia.com/gpu');
  expect(waiting.status).toMatchObject({ gpu: { allocated: 0 } });
  await gpus(1);
  await reaches('fieldjob', 'patient', 'is done', ({ status }) => status?.phase === 'Succeeded');
  const shards = await computing('patient', 'shards');
  expect(shards.map(backendOf)).toEqual(['gpu', 'gpu']);
  expect(shards.map(({ spec }) => spec.containers[0]?.resources?.limits?.['nvidia.com/gpu'])).toEqual(['1', '1']);
});

it('with Preferred it computes on CPU after fallbackAfter, though its controller is killed just then', async () => {
  await gpus(0);
  await fieldJob('either', { policy: 'Preferred', fallbackAfter: '8s' });
  await reaches('fieldjob', 'either', 'waits for a GPU', (one) => {
    return conditionOf(one, 'GPUAllocated')?.reason === 'InsufficientGPU';
  });
  const fallen = await reaches(
    'fieldjob',
    'either',
    'falls back',
    ({ status }) => status?.gpu?.fellBackAt !== undefined,
  );
  for (const pod of await controllerPods(kubectl)) await kill(kubectl, release.namespace, pod);
  expect(conditionOf(fallen, 'GPUAllocated')).toMatchObject({ status: 'False', reason: 'FellBackToCPU' });
  const done = await reaches('fieldjob', 'either', 'is done', ({ status }) => status?.phase === 'Succeeded');
  expect(done.status?.gpu).toEqual({ allocated: 0, fellBackAt: fallen.status?.gpu?.fellBackAt });
  expect((await computing('either', 'shards')).map(backendOf)).toEqual(['cpu', 'cpu']);
});
