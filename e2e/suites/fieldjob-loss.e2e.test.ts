// FieldJobs that lose, in the middle of computing, what they stand on: their namespace, or the volume that they write to.
import { beforeAll, expect, it } from 'vitest';
import { eventually, type Kubectl } from '../kubectl.ts';
import { freshNamespace, sharedCluster } from './shared.ts';

interface FieldJob {
  status?: {
    phase?: string;
    progress?: { done: number };
  };
}

let kubectl: Kubectl;
beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
});

/** Computes on a claim of its own; `spacing` sets for how long. */
const fieldJob = (namespace: string, spacing: string) =>
  JSON.stringify({
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'FieldJob',
    metadata: { name: 'bead', namespace },
    spec: {
      array: { type: 'TwoSided', twoSided: { rows: 16, columns: 8, pitch: '10.5mm', separation: '120mm' } },
      targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'], trap: 'Twin' }],
      volume: { center: ['0mm', '0mm', '60mm'], size: ['45mm', '45mm', '45mm'], spacing },
      method: 'DirectSum',
      shards: { max: 6, parallelism: { min: 2, max: 2 } },
      output: { volumeClaimTemplate: { storage: '4Gi' } },
      resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } },
    },
  });

async function begins(namespace: string, spacing: string): Promise<void> {
  await freshNamespace(kubectl, namespace);
  await kubectl.apply(fieldJob(namespace, spacing));
}

const shards = 'quintet.dev/name=bead,app.kubernetes.io/component=shards';
const get = (namespace: string) => kubectl.json<FieldJob>(['get', 'fieldjob', 'bead', '-n', namespace]);
const described = (namespace: string) => () => kubectl.run(['describe', 'fieldjob,job,pod,pvc', '-n', namespace]);

it('a namespace is gone within a minute of its deletion, though shards of a FieldJob compute in it', async () => {
  const namespace = 'e2e-field-gone';
  await begins(namespace, '0.1mm');
  await eventually(
    'two shards compute',
    async () => {
      const { items } = await kubectl.json<{ items: { status: { phase: string } }[] }>([
        'get',
        'pods',
        '-n',
        namespace,
        '-l',
        shards,
      ]);
      return items.filter(({ status }) => status.phase === 'Running').length === 2;
    },
    { timeoutMs: 120_000, describe: described(namespace) },
  );
  await kubectl.run(['delete', 'namespace', namespace, '--wait=false']);
  const gone = async () => !(await kubectl.find(['namespace', namespace]));
  const withinAMinute = { timeoutMs: 60_000, describe: described(namespace) };
  expect(await eventually('the namespace is gone', gone, withinAMinute)).toBe(true);
});

it('a FieldJob whose claim is deleted while it computes says so, begins anew on the next one and succeeds', async () => {
  const namespace = 'e2e-field-replaced';
  await begins(namespace, '0.2mm');
  const reaches = (what: string, holds: (job: FieldJob) => boolean) =>
    eventually(what, async () => holds(await get(namespace)), { timeoutMs: 240_000, describe: described(namespace) });
  await reaches('a shard is computed', ({ status }) => (status?.progress?.done ?? 0) >= 1);
  const planUid = async () =>
    (await kubectl.find<{ metadata: { uid: string } }>(['job', 'bead-field-plan', '-n', namespace]))?.metadata.uid;
  const before = await planUid();
  await kubectl.run(['delete', 'pvc', 'bead-field', '-n', namespace, '--wait=false']);
  await kubectl.run(['delete', 'pods', '-n', namespace, '-l', 'quintet.dev/name=bead', '--force', '--grace-period=0']);
  await eventually(
    'another plan is made',
    async () => {
      const uid = await planUid();
      return uid !== undefined && uid !== before;
    },
    { describe: described(namespace) },
  );
  // The Job is made before the status tells of it; until a shard is computed again takes far longer than this looks.
  await reaches('nothing is done of it', ({ status }) => (status?.progress?.done ?? 0) === 0);
  await reaches('it succeeds', ({ status }) => status?.phase === 'Succeeded');
  const events = ['get', 'events', '-n', namespace, '--field-selector', 'involvedObject.name=bead', '-o', 'wide'];
  expect(await kubectl.run(events)).toMatch(/Warning\s+OutputReplaced/);
});
