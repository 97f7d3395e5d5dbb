// What only time shows, on a real node: make soak MINUTES=10
//   node e2e/load/soak.ts [--minutes 10] [--only steady,churn]
// steady: nothing is written while nothing changes. churn: creates, updates, deletes, killed controllers; then nothing is
// missed, nothing is orphaned and memory has not grown. A verdict per check; exit status 1 when one fails.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { auditEvents, isWrite } from '../cluster/audit.ts';
import { removeCluster } from '../cluster/clusters.ts';
import { type NodeCluster, startNode } from '../cluster/node.ts';
import { installQuintet, release } from '../install.ts';
import { eventually, Kubectl } from '../kubectl.ts';
import { random } from './random.ts';

interface Resource {
  kind: string;
  metadata: { name: string; generation: number; uid: string };
  status?: { observedGeneration?: number; phase?: string; conditions?: { type: string; status: string }[] };
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
const minutes = Number(values.minutes);
const wanted = (name: string) => values.only === undefined || values.only.split(',').includes(name);
const user = `system:serviceaccount:${release.namespace}:${release.name}`;
const namespace = 'soak';
const clusterName = 'soak';
const kinds = ['fieldjobs', 'compressionservices', 'matcherpools', 'copyengines'];

const say = (line: string) => console.log(`[${new Date().toISOString().slice(11, 19)}] ${line}`);
const verdicts: { check: string; holds: boolean; figure: string }[] = [];
const verdict = (check: string, holds: boolean, figure: string) => {
  verdicts.push({ check, holds, figure });
  say(`${holds ? 'holds' : 'FAILS'}: ${check} (${figure})`);
};

const node = await startNode({ name: clusterName, keep: true, onProgress: say });
try {
  await installQuintet(
    {
      name: clusterName,
      provider: 'node',
      kubeconfig: node.kubeconfig,
      kubectl: node.kubectl,
      patchGpus: node.patchGpus,
      stop: node.stop,
      loadImage: (image) => node.loadImage(image.archive),
    },
    { onProgress: say },
  );
  const kubectl = new Kubectl(node);
  if (wanted('steady')) await steady(kubectl, node);
  if (wanted('churn')) await churn(kubectl);
} finally {
  await removeCluster(clusterName);
}
console.log('');
for (const { check, holds, figure } of verdicts)
  console.log(`${holds ? 'holds' : 'FAILS'}  ${check.padEnd(60)} ${figure}`);
process.exit(verdicts.every(({ holds }) => holds) ? 0 : 1);

/** 100 resources of all kinds, all settled: the API server sees no write of ours but the renewals of the lease. */
async function steady(kubectl: Kubectl, { auditLogPath }: NodeCluster): Promise<void> {
  await freshNamespace(kubectl);
  for (let index = 0; index < 100; index++) await kubectl.apply(JSON.stringify(resource(index, 0)));
  await settled(kubectl, 100);
  await sleep(10_000);
  const since = new Date();
  say(`100 resources are settled; counting writes for ${minutes} minutes`);
  await progress(minutes);
  const writes = auditEvents(auditLogPath, since).filter((event) => isWrite(event) && event.user.username === user);
  const others = writes.filter(({ objectRef }) => objectRef?.resource !== 'leases');
  const leases = writes.length - others.length;
  for (const { verb, requestURI } of others.slice(0, 5)) say(`  ${verb} ${requestURI}`);
  verdict(
    `no write in ${minutes} min with 100 resources`,
    others.length === 0,
    `${others.length} writes, ${leases} lease renewals`,
  );
}

async function churn(kubectl: Kubectl): Promise<void> {
  await freshNamespace(kubectl);
  const next = random(Number(values.seed));
  const alive = new Map<number, number>();
  const end = Date.now() + minutes * 60_000;
  const memory: number[] = [];
  let changes = 0;
  let kills = 0;
  let nextKill = Date.now() + 60_000;
  let nextSample = Date.now() + 30_000;
  while (Date.now() < end) {
    const index = Math.floor(next() * 60);
    const revision = alive.get(index);
    if (revision !== undefined && next() < 0.3) {
      await kubectl.run(['delete', plural(index), `churn-${index}`, '-n', namespace, '--wait=false']);
      alive.delete(index);
    } else {
      const revised = (revision ?? 0) + 1;
      await eventually(
        'a change is taken',
        () => kubectl.apply(JSON.stringify(resource(index, revised))).then(() => true),
        { timeoutMs: 30_000 },
      );
      alive.set(index, revised);
    }
    changes++;
    if (Date.now() > nextSample) {
      memory.push(await residentMiB(kubectl));
      nextSample = Date.now() + 30_000;
      say(`${changes} changes, ${alive.size} resources, ${memory.at(-1)?.toFixed(0)} MiB`);
    }
    if (Date.now() > nextKill) {
      const [leader] = await controllers(kubectl);
      await kubectl.run(['delete', 'pod', leader ?? '', '-n', release.namespace, '--grace-period=0', '--force']);
      kills++;
      nextKill = Date.now() + 60_000 + next() * 30_000;
    }
  }
  await settled(kubectl, alive.size);
  const missed = (await resources(kubectl)).filter(
    ({ metadata, status }) => status?.observedGeneration !== metadata.generation,
  );
  verdict(
    `every one of ${changes} changes was followed, ${kills} controllers killed`,
    missed.length === 0,
    `${missed.length} missed`,
  );
  await eventually('orphans are collected', async () => (await orphans(kubectl)).length === 0, {
    timeoutMs: 60_000,
  }).catch(() => undefined);
  const left = await orphans(kubectl);
  verdict('no child without its resource', left.length === 0, `${left.length} orphans ${left.slice(0, 3).join(' ')}`);
  const first = memory[Math.floor(memory.length / 4)] ?? Number.NaN;
  const last = memory.at(-1) ?? Number.NaN;
  verdict(
    'memory does not grow',
    memory.length < 3 || last < first * 1.3 + 10,
    `${first.toFixed(0)} → ${last.toFixed(0)} MiB`,
  );
}

/** Resources that need no pods, of every kind in turn; a revision changes what their children look like. */
function resource(index: number, revision: number): object {
  const kind = ['FieldJob', 'CompressionService', 'MatcherPool', 'CopyEngine'][index % 4];
  const pod = { labels: { revision: `r${revision}` } };
  const field = {
    suspend: true,
    array: { type: 'Grid', grid: {} },
    targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'] }],
    volume: { center: ['0mm', '0mm', '60mm'], size: ['50mm', '50mm', '50mm'] },
    output: { persistentVolumeClaim: { claimName: 'fields' } },
    pod,
  };
  const image = { pod: { ...pod, image: 'local/engine:1' }, replicas: 0 };
  const specs: Record<string, object> = { FieldJob: field, CopyEngine: { runtime: 'Template', ...image } };
  return {
    apiVersion: 'quintet.dev/v1alpha1',
    kind,
    metadata: { name: `churn-${index}`, namespace },
    spec: specs[kind ?? ''] ?? image,
  };
}

const plural = (index: number): string => kinds[index % 4] ?? '';

async function freshNamespace(kubectl: Kubectl): Promise<void> {
  await kubectl.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait', '--timeout=180s'], {
    timeoutMs: 190_000,
  });
  await kubectl.run(['create', 'namespace', namespace]);
}

async function resources(kubectl: Kubectl): Promise<Resource[]> {
  const { items } = await kubectl.json<{ items: Resource[] }>(['get', kinds.join(), '-n', namespace]);
  return items;
}

/** Every resource is Ready at its own generation. */
async function settled(kubectl: Kubectl, count: number): Promise<void> {
  await eventually(
    `${count} resources are Ready`,
    async () => {
      const items = await resources(kubectl);
      const ready = items.filter(
        ({ metadata, status }) =>
          status?.observedGeneration === metadata.generation &&
          status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True'),
      );
      return items.length === count && ready.length === count;
    },
    { timeoutMs: 180_000, everyMs: 1000, describe: () => kubectl.run(['get', kinds.join(), '-n', namespace]) },
  );
}

async function orphans(kubectl: Kubectl): Promise<string[]> {
  const owners = new Set((await resources(kubectl)).map(({ metadata }) => metadata.uid));
  interface Child {
    kind: string;
    metadata: { name: string; ownerReferences?: { uid: string }[] };
  }
  const types = 'deployments,services,configmaps,serviceaccounts,jobs,networkpolicies,poddisruptionbudgets';
  const { items } = await kubectl.json<{ items: Child[] }>([
    'get',
    types,
    '-n',
    namespace,
    '-l',
    'app.kubernetes.io/managed-by=quintet',
  ]);
  return items
    .filter(({ metadata }) => !metadata.ownerReferences?.some(({ uid }) => owners.has(uid)))
    .map(({ kind, metadata }) => `${kind}/${metadata.name}`);
}

async function controllers(kubectl: Kubectl): Promise<string[]> {
  const lease = await kubectl.find<{ spec: { holderIdentity?: string } }>([
    'lease',
    'quintet-controller',
    '-n',
    release.namespace,
  ]);
  const leader = lease?.spec.holderIdentity?.split('_')[0] ?? '';
  return leader ? [leader] : [];
}

/** Of the leader, as it reports itself. */
async function residentMiB(kubectl: Kubectl): Promise<number> {
  const [leader] = await controllers(kubectl);
  const page = await kubectl
    .run(['get', '--raw', `/api/v1/namespaces/${release.namespace}/pods/${leader}:8080/proxy/metrics`])
    .catch(() => '');
  return Number(/^process_resident_memory_bytes (\S+)/m.exec(page)?.[1] ?? Number.NaN) / 2 ** 20;
}

async function progress(total: number): Promise<void> {
  for (let minute = 0; minute < total; minute++) {
    await sleep(Math.min(1, total - minute) * 60_000);
    say(`${Math.min(minute + 1, total)} of ${total} minutes`);
  }
}
