// make quickstart: a cluster, the chart, the samples, watched to their end, then shown with a real result of each.
//   node e2e/quickstart.ts [--name NAME] [--keep-going]
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { startCluster } from './cluster/provider.ts';
import { installQuintet } from './install.ts';
import { eventually, Kubectl } from './kubectl.ts';
import { fetchFile } from './results.ts';

interface FieldJob {
  metadata: { name: string; namespace: string };
  spec: { output?: { persistentVolumeClaim?: { claimName: string; path?: string } } };
  status?: {
    phase?: string;
    message?: string;
    progress?: { done?: number; shards?: number; percent?: number };
    throughput?: { points?: number; pointsPerSecond?: number };
    output?: { uri?: string; pictures?: string[] };
  };
}

const root = join(import.meta.dirname, '..');
const sample = join(root, 'docs', 'samples', 'fieldjob.yaml');
const { values } = parseArgs({ options: { name: { type: 'string', default: 'quickstart' } } });
const started = Date.now();
const say = (line: string) =>
  console.log(`[${String(Math.round((Date.now() - started) / 1000)).padStart(3)} s] ${line}`);

const cluster = await startCluster({ name: values.name, keep: true, onProgress: say });
say(`cluster ${cluster.name} (${cluster.provider}) is ready`);
await installQuintet(cluster, { onProgress: say });
const kubectl = new Kubectl(cluster);
say('applying docs/samples/fieldjob.yaml');
await kubectl.run(['apply', '--server-side', '-f', sample]);

let shown = '';
const done = await eventually(
  'the sample FieldJob ends',
  async () => {
    const { items } = await kubectl.json<{ items: FieldJob[] }>(['get', 'fieldjobs', '-n', 'default']);
    const job = items.find(({ status }) => status?.phase !== undefined);
    const line = `${job?.metadata.name ?? 'fieldjob'}: ${job?.status?.phase ?? 'Pending'} ${bar(job?.status?.progress?.percent)} ${job?.status?.message ?? ''}`;
    if (line !== shown) say(line);
    shown = line;
    return items.length > 0 && items.every(({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed')
      ? job
      : undefined;
  },
  { timeoutMs: 600_000, everyMs: 500, describe: () => kubectl.run(['describe', 'fieldjobs', '-n', 'default']) },
);

console.log(
  `\n$ kubectl get fieldjobs -o wide\n${await kubectl.run(['get', 'fieldjobs', '-n', 'default', '-o', 'wide'])}`,
);
if (done.status?.phase !== 'Succeeded') {
  console.error(`${done.metadata.name} failed: ${done.status?.message}`);
  process.exit(1);
}
const folder = join(root, 'build', 'quickstart');
await mkdir(folder, { recursive: true });
for (const file of [...(done.status.output?.pictures ?? []), 'summary.json']) {
  const target = join(folder, file.replaceAll('/', '-'));
  await writeFile(target, await fetchFile(kubectl, done, file));
  console.log(`${file.endsWith('.png') ? 'picture' : 'summary'}          ${relative(process.cwd(), target)}`);
}
console.log(`points           ${done.status.throughput?.points?.toLocaleString('en')}`);
console.log(`points/s         ${done.status.throughput?.pointsPerSecond?.toLocaleString('en')}`);
console.log(`output           ${done.status.output?.uri}`);
console.log(`\nGo on:  export KUBECONFIG=${cluster.kubeconfig}\n        kubectl get quintet`);
if (cluster.provider !== 'kubeconfig') console.log(`End:    make cluster-down NAME=${cluster.name}`);

function bar(percent = 0): string {
  const full = Math.round(percent / 5);
  return `${'█'.repeat(full)}${'░'.repeat(20 - full)} ${percent}%`;
}
