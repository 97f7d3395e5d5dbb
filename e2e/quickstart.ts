// make quickstart: a cluster, the chart, the samples, watched to their end, then shown with a real result of each.
//   node e2e/quickstart.ts [--name NAME] [--keep-going]
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { startCluster } from './cluster/provider.ts';
import { installQuintet } from './install.ts';
import { eventually, Kubectl } from './kubectl.ts';
import { fetchFile } from './results.ts';
import { ask } from './suites/inside.ts';

interface Sample {
  kind: string;
  metadata: { name: string; namespace: string };
  spec: { output?: { persistentVolumeClaim?: { claimName: string; path?: string } } };
  status?: {
    phase?: string;
    message?: string;
    url?: string;
    progress?: { percent?: number };
    throughput?: { points?: number; pointsPerSecond?: number };
    output?: { uri?: string; pictures?: string[] };
    best?: { modelId?: string; learner?: string; score?: string; holdout?: string };
  };
}

const namespace = 'default';
const root = join(import.meta.dirname, '..');
const samples = join(root, 'docs', 'samples');
const { values } = parseArgs({ options: { name: { type: 'string', default: 'quickstart' } } });
const started = Date.now();
const say = (line: string) =>
  console.log(`[${String(Math.round((Date.now() - started) / 1000)).padStart(3)} s] ${line}`);

const cluster = await startCluster({ name: values.name, keep: true, onProgress: say });
say(`cluster ${cluster.name} (${cluster.provider}) is ready`);
await installQuintet(cluster, { onProgress: say });
const kubectl = new Kubectl(cluster);
say('applying docs/samples');
await kubectl.run(['apply', '--server-side', '-n', namespace, '-f', samples]);

const ends = new Set(['Ready', 'Succeeded', 'Failed']);
const shown = new Map<string, string>();
const done = await eventually(
  'the samples are ready or done',
  async () => {
    const { items } = await kubectl.json<{ items: Sample[] }>(['get', 'quintet', '-n', namespace]);
    for (const { kind, metadata, status } of items) {
      const { phase = 'Pending', message = '', progress } = status ?? {};
      const line = `${phase} ${progress ? bar(progress.percent) : ''} ${message}`.replaceAll(/ +/g, ' ');
      if (shown.get(kind) !== line) say(`${kind} ${metadata.name}: ${line}`);
      shown.set(kind, line);
    }
    return items.length >= 5 && items.every(({ status }) => ends.has(status?.phase ?? '')) ? items : undefined;
  },
  { timeoutMs: 600_000, everyMs: 500, describe: () => kubectl.run(['describe', 'quintet', '-n', namespace]) },
);

console.log(`\n$ kubectl get quintet\n${await kubectl.run(['get', 'quintet', '-n', namespace])}`);
const failed = done.filter(({ status }) => status?.phase === 'Failed');
for (const { kind, metadata, status } of failed) console.error(`${kind} ${metadata.name} failed: ${status?.message}`);
if (failed.length > 0) process.exit(1);

await showField(of('FieldJob'));
const { best } = of('EvolutionRun').status ?? {};
show('model', `${best?.modelId}: ${best?.learner}, score ${best?.score}, holdout ${best?.holdout}`);
const text = 'The quick brown fox jumps over the lazy dog. '.repeat(200);
const short = await request<{ originalTokens: number; compressedTokens: number }>(
  'CompressionService',
  'compression',
  '/v1/compress',
  { text, ratio: 8 },
);
show('compressed', `${short.originalTokens} tokens to ${short.compressedTokens}`);
const profile = { name: 'Konstantina Papadopoulou' };
await request('MatcherPool', 'matcher', '/api/v1/items', { id: 'someone', bank: 'protected', profile });
const query = { profile: { name: 'Constantina Papadopulou' } };
const verdict = await request<{ matches?: { item: string; score: number }[] }>(
  'MatcherPool',
  'matcher',
  '/api/v1/match',
  query,
);
show('matched', `${query.profile.name}: ${verdict.matches?.[0]?.item} with ${verdict.matches?.[0]?.score.toFixed(2)}`);
const copy = await request<{ variants: { text: string }[] }>('CopyEngine', 'copy', '/v1/copy', {
  brief: { product: 'walking boots' },
  n: 1,
});
show('copy', copy.variants[0]?.text ?? '');
console.log(`\nGo on:  export KUBECONFIG=${cluster.kubeconfig}\n        kubectl get quintet`);
if (cluster.provider !== 'kubeconfig') console.log(`End:    make cluster-down NAME=${cluster.name}`);

function of(kind: string): Sample {
  const found = done.find((each) => each.kind === kind);
  if (!found) throw new Error(`docs/samples has no ${kind}`);
  return found;
}

/** From the engine's own pod: nothing of the cluster need be reachable from here. */
async function request<T>(kind: string, engine: string, path: string, body: object): Promise<T> {
  const { metadata, status } = of(kind);
  const from = `deploy/${metadata.name}-${engine}`;
  return (await ask<T>(kubectl, { namespace, from, url: `${status?.url}${path}`, body })).body;
}

async function showField(job: Sample): Promise<void> {
  const folder = join(root, 'build', 'quickstart');
  await mkdir(folder, { recursive: true });
  for (const file of [...(job.status?.output?.pictures ?? []), 'summary.json']) {
    const target = join(folder, file.replaceAll('/', '-'));
    await writeFile(target, await fetchFile(kubectl, job, file));
    show(file.endsWith('.png') ? 'picture' : 'summary', relative(process.cwd(), target));
  }
  const { points, pointsPerSecond } = job.status?.throughput ?? {};
  show('field', `${points?.toLocaleString('en')} points, ${pointsPerSecond?.toLocaleString('en')} a second`);
}

function show(what: string, value: string): void {
  console.log(`${what.padEnd(12)} ${value}`);
}

function bar(percent = 0): string {
  const full = Math.round(percent / 5);
  return `${'█'.repeat(full)}${'░'.repeat(20 - full)} ${percent}%`;
}
