// The chart's rights suffice, and are all used: its controller, with what the chart gives it and as its account, takes
// all five kinds through their lives, is denied nothing, and leaves nothing unused of what it was granted.
import { afterEach, expect, test } from 'vitest';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { eventually, Kubectl } from '../kubectl.ts';
import { denied, described, Installed, type Rule } from './installed.ts';

/** Rights that this test cannot show in use, and why they are granted. */
const keptInReserve: Record<string, RegExp> = {
  'blockOwnerDeletion asks for it where OwnerReferencesPermissionEnforcement is on, as on OpenShift':
    /^update \w+\/finalizers$/,
};

let api: ApiCluster | undefined;
let installed: Installed | undefined;

afterEach(async () => {
  await installed?.kill();
  await api?.stop();
});

const devices = { policy: 'Required', deviceClassName: 'gpu.example.test' };
const image = 'example.test/engine:1';
const source = { persistentVolumeClaim: { claimName: 'data', path: 'data.csv' } };
const fieldJob = {
  array: { type: 'Grid', grid: {} },
  targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'] }],
  volume: { center: ['0mm', '0mm', '60mm'], size: ['50mm', '50mm', '50mm'] },
  pod: { image },
};
const run = {
  dataset: { source, target: 'churned', task: 'Binary' },
  registry: { postgres: { secretRef: { name: 'registry' } } },
  pod: { image },
};
const made = { volumeClaimTemplate: { reclaimPolicy: 'Delete' } };
const given = { persistentVolumeClaim: { claimName: 'given' } };

/** What each resource is at first, and what it becomes: every kind of child is made, changed and unmade. */
const lives: Record<string, readonly [kind: string, ...specs: object[]]> = {
  field: [
    'FieldJob',
    { ...fieldJob, gpu: devices, output: made },
    { ...fieldJob, output: given, activeDeadline: '1m', ttlAfterFinished: '1s' },
  ],
  search: [
    'EvolutionRun',
    { ...run, gpu: devices, output: made },
    { ...run, output: given, activeDeadline: '1m', ttlAfterFinished: '1s' },
  ],
  notes: ['CompressionService', { gpu: devices, pod: { image } }, { pod: { image, serviceAccountName: 'own' } }],
  pool: ['MatcherPool', { pod: { image } }, { replicas: 2, pod: { image } }],
  copy: ['CopyEngine', { runtime: 'Template', pod: { image } }, { runtime: 'Template', suspend: true, pod: { image } }],
};

test.each([
  ['the whole cluster', [], ['clusterrole', 'quintet']],
  ['one namespace', ['namespaces={default}'], ['role', 'quintet', '-n', 'default']],
])('in %s the controller is denied nothing, and uses every right', async (_scope, values, role) => {
  const cluster = (api = await startApi());
  const release = (installed = await Installed.start(cluster, { values }));
  const kubectl = new Kubectl(cluster);
  const apply = (name: string, kind: string, spec: object) =>
    kubectl.apply(
      JSON.stringify({
        apiVersion: 'quintet.dev/v1alpha1',
        kind,
        metadata: { name, namespace: 'default' },
        spec,
      }),
    );
  interface One {
    metadata: { generation: number };
    status?: { observedGeneration?: number; phase?: string; conditions?: { type: string; message: string }[] };
  }
  const reaches = (name: string, kind: string, what: string, holds: (one: One) => boolean) =>
    eventually(`${kind} ${name} ${what}`, async () => holds(await kubectl.json<One>(['get', kind, name])), {
      timeoutMs: 40_000,
      describe: async () =>
        `denied: ${denied(release.requests).join(', ') || 'nothing'}\n${await kubectl.run(['describe', kind, name])}`,
    });
  const followed = (name: string, kind: string) =>
    reaches(name, kind, 'is followed', ({ metadata, status }) => status?.observedGeneration === metadata.generation);

  for (const [name, [kind, ...specs]] of Object.entries(lives)) {
    for (const spec of specs) {
      await apply(name, kind, spec);
      await followed(name, kind);
    }
  }
  // No Job controller is there: what it would say of runs that began an hour ago is said here.
  const startTime = new Date(Date.now() - 3_600_000).toISOString();
  for (const [kind, name, job] of [
    ['FieldJob', 'field', 'field-field-plan'],
    ['EvolutionRun', 'search', 'search-evolution'],
  ] as const) {
    const patch = JSON.stringify({ status: { startTime, active: 1 } });
    await eventually(`${job} is there`, async () => {
      await kubectl.run(['patch', 'job', job, '--subresource=status', '--type=merge', '-p', patch]);
      return true;
    });
    await reaches(name, kind, 'is past its deadline', ({ status }) => status?.phase === 'Failed');
    await eventually(
      `nothing is left of ${name}`,
      async () => {
        const left = await kubectl.run(['get', 'configmap,job', '-l', `quintet.dev/name=${name}`, '-o', 'name']);
        return left.trim() === '';
      },
      { timeoutMs: 40_000 },
    );
  }
  await kubectl.run(['delete', ...Object.entries(lives).map(([name, [kind]]) => `${kind.toLowerCase()}/${name}`)]);
  expect(await release.end()).toEqual([0, null]);

  const { requests } = release;
  expect(denied(requests)).toEqual([]);
  const used = new Set(requests.map(described));
  const { rules } = await kubectl.json<{ rules: Rule[] }>(['get', ...role]);
  const granted = rules.flatMap(({ resources, verbs }) =>
    resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
  );
  const reserve = Object.values(keptInReserve);
  expect(granted.filter((right) => !used.has(right) && !reserve.some((kept) => kept.test(right)))).toEqual([]);
});
