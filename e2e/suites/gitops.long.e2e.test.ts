// Argo CD's scripts and kstatus's rules on what the cluster itself says of resources in every state, and actions that
// bring them from one to another.

import { beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { kstatus } from '../../controller/src/kinds/gitops/kstatus.ts';
import { run } from '../../controller/src/kinds/gitops/lua.ts';
import { eventually, type Kubectl } from '../kubectl.ts';
import { freshNamespace, sharedCluster } from './shared.ts';

const namespace = 'e2e-gitops';
let kubectl: Kubectl;

type Resource = Parameters<typeof kstatus>[0] & { kind: string; spec: { suspend?: boolean } };

const resources = { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } };
const field = {
  array: { type: 'Grid', grid: { rows: 8, columns: 8 } },
  targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'] }],
  volume: { center: ['0mm', '0mm', '60mm'], size: ['10mm', '10mm', '10mm'], spacing: '0.5mm' },
  output: { volumeClaimTemplate: { storage: '1Gi', reclaimPolicy: 'Delete' } },
  resources,
};
const missing = { persistentVolumeClaim: { claimName: 'nobody-made-it' } };
const absent = { policy: 'Required', resourceName: 'test.quintet.dev/absent' };

/** What brings a resource into a state, and what each tool is to conclude of it. */
const states: Record<string, { kind: string; spec: object; health: string; concluded: string }> = {
  'serves-nothing': { kind: 'CompressionService', spec: { replicas: 0 }, health: 'Healthy', concluded: 'Current' },
  serves: { kind: 'CompressionService', spec: { resources }, health: 'Healthy', concluded: 'Current' },
  'waits-for-gpu': {
    kind: 'CompressionService',
    spec: { gpu: absent },
    health: 'Progressing',
    concluded: 'InProgress',
  },
  rests: { kind: 'MatcherPool', spec: { suspend: true }, health: 'Suspended', concluded: 'Current' },
  computed: { kind: 'FieldJob', spec: field, health: 'Healthy', concluded: 'Current' },
  'rests-too': { kind: 'FieldJob', spec: { ...field, suspend: true }, health: 'Suspended', concluded: 'Current' },
  'waits-for-claim': {
    kind: 'FieldJob',
    spec: { ...field, output: missing },
    health: 'Progressing',
    concluded: 'InProgress',
  },
  refused: {
    kind: 'FieldJob',
    spec: { ...field, pod: { labels: { app: 'x-' } } },
    health: 'Degraded',
    concluded: 'Failed',
  },
};

const get = (name: string) => kubectl.json<Resource>(['get', states[name]?.kind ?? '', name, '-n', namespace]);
const healthOf = async (one: object) => ((await run('health', one)) as { status: string }).status;
const reaches = (name: string, health: string) =>
  eventually(
    `${name} is ${health} for Argo CD`,
    async () => {
      const one = await get(name);
      return (await healthOf(one)) === health && one;
    },
    { timeoutMs: 180_000, describe: () => kubectl.run(['describe', states[name]?.kind ?? '', name, '-n', namespace]) },
  );

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  const documents = Object.entries(states).map(([name, { kind, spec }]) =>
    stringify({ apiVersion: 'quintet.dev/v1alpha1', kind, metadata: { name, namespace }, spec }),
  );
  await kubectl.apply(documents.join('---\n'));
});

it('what the cluster says is read alike by Argo CD and kstatus, in every state', async () => {
  for (const [name, { health, concluded }] of Object.entries(states)) {
    const one = await reaches(name, health);
    expect([name, kstatus(one)]).toEqual([name, concluded]);
    // A change that the controller has not seen is in progress for both.
    const changed = { ...one, metadata: { ...one.metadata, generation: (one.metadata.generation ?? 0) + 1 } };
    expect([name, await healthOf(changed), kstatus(changed)]).toEqual([name, 'Progressing', 'InProgress']);
  }
});

it('actions suspend and resume what runs', async () => {
  const act = async (name: string, action: 'suspend' | 'resume') => {
    const changed = (await run(action, await get(name))) as Resource;
    const patch = JSON.stringify({ spec: { suspend: changed.spec.suspend } });
    await kubectl.run(['patch', states[name]?.kind ?? '', name, '-n', namespace, '--type=merge', '-p', patch]);
  };
  await act('serves', 'suspend');
  await reaches('serves', 'Suspended');
  await act('serves', 'resume');
  await reaches('serves', 'Healthy');
  await act('rests-too', 'resume');
  expect(kstatus(await reaches('rests-too', 'Healthy'))).toBe('Current');
});
