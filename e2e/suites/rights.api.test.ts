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
  'servers that cannot stream a list are asked for it': /^list \w+$/,
  'a name that is taken is looked at': /^get (?!pods)\w+$/,
  'replicas follow metrics, which only pods have': /^(get|patch|update) deployments\/scale$/,
  'pods that run are what healing ends and scaling marks': /^(create pods\/eviction|patch pods)$/,
  'addresses of pods ask for it where RestrictedEndpointsAdmission is on, as on OpenShift':
    /^create endpointslices\/restricted$/,
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
const lives: Record<string, readonly [kind: string, first: object, then: object]> = {
  field: [
    'FieldJob',
    { ...fieldJob, gpu: devices, output: made },
    { ...fieldJob, output: given, activeDeadline: '1m', ttlAfterFinished: '1s' },
  ],
  search: [
    'EvolutionRun',
    { ...run, output: made },
    { ...run, output: given, activeDeadline: '1m', ttlAfterFinished: '1s' },
  ],
  notes: ['CompressionService', { gpu: devices, pod: { image } }, { pod: { image, serviceAccountName: 'own' } }],
  pool: [
    'MatcherPool',
    { autoscaling: { minReplicas: 0, maxReplicas: 2 }, gpu: { policy: 'Required' }, pod: { image } },
    { replicas: 2, pod: { image } },
  ],
  copy: ['CopyEngine', { runtime: 'Template', pod: { image } }, { runtime: 'Template', suspend: true, pod: { image } }],
};

test.each([
  ['the whole cluster', [], ['clusterrole', 'quintet', 'quintet-stores']],
  ['one namespace', ['namespaces={default}'], ['role', 'quintet', 'quintet-stores', '-n', 'default']],
])(
  'in %s the controller is denied nothing, and uses every right',
  async (_scope, values, role) => {
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
    const reaches = (name: string, kind: string, what: string, holds: (one: One) => boolean | Promise<boolean>) =>
      eventually(`${kind} ${name} ${what}`, async () => holds(await kubectl.json<One>(['get', kind, name])), {
        timeoutMs: 100_000,
        describe: async () =>
          `denied: ${denied(release.requests).join(', ') || 'nothing'}\n${await kubectl.run(['describe', kind, name])}\n${await kubectl.run(['get', 'jobs'])}`,
      });
    const followed = (name: string, kind: string) =>
      reaches(name, kind, 'is followed', ({ metadata, status }) => status?.observedGeneration === metadata.generation);

    for (const [name, [kind, first]] of Object.entries(lives)) await apply(name, kind, first);
    for (const [name, [kind]] of Object.entries(lives)) await followed(name, kind);
    await eventually('what may scale to zero has its slice', async () => {
      return (await kubectl.find(['endpointslice', 'pool-matcher-activator'])) !== undefined;
    });
    // What somebody changed is put right, and a child that an older release made goes.
    const children =
      'configmap,serviceaccount,networkpolicy,service,endpointslice,poddisruptionbudget,deployment,job,pvc,secret';
    const ours = 'app.kubernetes.io/managed-by=quintet';
    const part = 'app.kubernetes.io/part-of';
    await kubectl.run(['label', `${children},resourceclaimtemplate`, '-l', ours, `${part}=changed`, '--overwrite']);
    const budget = await kubectl.json<{ metadata: Record<string, unknown> }>(['get', 'pdb', 'notes-compression']);
    const { labels, ownerReferences } = budget.metadata;
    const metadata = { name: 'notes-former', namespace: 'default', labels, ownerReferences };
    await kubectl.apply(JSON.stringify({ ...budget, metadata, status: undefined }));
    await eventually('all is as desired again', async () => {
      const stray = await kubectl.find(['pdb', 'notes-former']);
      const changed = ['get', `${children},resourceclaimtemplate`, '-l', `${ours},${part}=changed`, '-o', 'name'];
      return !stray && (await kubectl.run(changed)).trim() === '';
    });
    for (const [name, [kind, , then]] of Object.entries(lives)) await apply(name, kind, then);
    for (const [name, [kind]] of Object.entries(lives)) await followed(name, kind);
    // What happens again is counted in the Event that is there.
    for (const suspend of [false, true]) {
      await apply('copy', 'CopyEngine', { runtime: 'Template', suspend, pod: { image } });
      await followed('copy', 'CopyEngine');
    }
    // No Job controller is there: what it would say of runs that began an hour ago is said here.
    const startTime = new Date(Date.now() - 3_600_000).toISOString();
    for (const [kind, name, job] of [
      ['FieldJob', 'field', 'field-field-plan'],
      ['EvolutionRun', 'search', 'search-evolution'],
    ] as const) {
      const patch = JSON.stringify({ status: { startTime, active: 1 } });
      await reaches(name, kind, 'is past its deadline', async ({ status }) => {
        // It may be made anew at this moment.
        if (status?.phase === 'Failed') return true;
        await kubectl.run(['patch', 'job', job, '--subresource=status', '--type=merge', '-p', patch]);
        return false;
      });
      await eventually(
        `nothing is left of ${name}`,
        async () => {
          const all = 'configmap,job,deployment,service,networkpolicy,resourceclaimtemplate';
          return (await kubectl.run(['get', all, '-l', `quintet.dev/name=${name}`, '-o', 'name'])).trim() === '';
        },
        { timeoutMs: 100_000 },
      );
    }
    await kubectl.run(['delete', ...Object.entries(lives).map(([name, [kind]]) => `${kind.toLowerCase()}/${name}`)]);
    expect(await release.end()).toEqual([0, null]);

    expect(denied(release.requests)).toEqual([]);
    const { items } = await kubectl.json<{ items: { rules: Rule[] }[] }>(['get', ...role]);
    const rules = items.flatMap((each) => each.rules);
    const granted = rules.flatMap(({ resources, verbs }) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
    );
    const reserve = Object.values(keptInReserve);
    // A watch is in the audit log once the server has seen that its connection is closed.
    const unused = () => {
      const used = new Set(release.requests.map(described));
      return granted.filter((right) => !used.has(right) && !reserve.some((kept) => kept.test(right)));
    };
    await expect.poll(unused, { timeout: 15_000 }).toEqual([]);
  },
  300_000,
);
