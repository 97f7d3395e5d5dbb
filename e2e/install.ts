// Installs the chart into a cluster with the images that were built here, and waits until the controller is ready.
//   node e2e/install.ts [--name NAME]
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { run } from './cluster/command.ts';
import type { BuiltImage } from './cluster/images.ts';
import { clusterDir } from './cluster/paths.ts';
import { type Cluster, startCluster } from './cluster/provider.ts';
import { makeServiceImages } from './cluster/service-images.ts';
import { ensureTools } from './cluster/tools.ts';
import { buildImages, images } from './images.ts';

const chart = join(import.meta.dirname, '..', 'helm', 'quintet');
export const release = { name: 'quintet', namespace: 'quintet-system' };

export interface InstallOptions {
  /** More chart values, merged over those that name the images. */
  values?: Record<string, unknown>;
  /** Images that the cluster has already, as `loadImages` gave them; built and loaded when left out. */
  loaded?: readonly BuiltImage[];
  onProgress?: (line: string) => void;
}

/** Builds and loads what a cluster of ours needs; a user's own pulls what its values name. */
export async function loadImages(cluster: Cluster, onProgress: (line: string) => void): Promise<BuiltImage[]> {
  const built = cluster.provider === 'kubeconfig' ? [] : await buildImages(Object.keys(images), onProgress);
  // A node of our own pulls nothing; kind and a user's cluster pull Redis and PostgreSQL as the chart names them.
  if (cluster.provider === 'node')
    built.push(...Object.values(await makeServiceImages(['redis', 'postgres'], onProgress)));
  for (const image of built) await cluster.loadImage(image);
  return built;
}

export async function installQuintet(cluster: Cluster, options: InstallOptions = {}): Promise<void> {
  const { values = {}, onProgress = () => undefined } = options;
  const built = options.loaded ?? (await loadImages(cluster, onProgress));
  const { helm } = await ensureTools(['helm'], onProgress);
  onProgress('installing the chart');
  const folder = await mkdtemp(join(tmpdir(), 'quintet-values-'));
  try {
    const file = join(folder, 'values.yaml');
    await writeFile(file, stringify({ ...imageValues(built), ...values }));
    const args = ['upgrade', '--install', release.name, chart, '--namespace', release.namespace, '--create-namespace'];
    // helm gives up first: one that is ended leaves a release that no later one may touch.
    await run(helm, [...args, '--kubeconfig', cluster.kubeconfig, '--values', file, '--wait', '--timeout', '5m'], {
      timeoutMs: 400_000,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `image` and `engines.NAME.image` of the chart, from references `REGISTRY/REPOSITORY:TAG`. */
function imageValues(built: readonly BuiltImage[]): Record<string, unknown> {
  const engines: Record<string, unknown> = {};
  const stores: Record<string, unknown> = {};
  let controller: Record<string, unknown> = {};
  for (const { reference, archive } of built) {
    const [, registry = '', repository = '', tag = ''] = /^([^/]+)\/(.+):([^:]+)$/.exec(reference) ?? [];
    const image = { registry, repository, tag };
    const name = repository.split('/').at(-1) ?? '';
    // The tag is always the same: the archive's name, which holds a digest, makes a changed controller roll.
    if (name === 'controller') controller = { image, podAnnotations: { 'quintet.dev/archive': basename(archive) } };
    else if (name === 'redis' || name === 'postgres') stores[name] = { image };
    else engines[name] = { image };
  }
  return { ...controller, ...(built.length > 0 && { engines, stores }) };
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { name: { type: 'string', default: 'quintet' } } });
  // Refused before anything is built.
  clusterDir(values.name);
  const onProgress = (line: string) => console.error(line);
  const cluster = await startCluster({ name: values.name, keep: true, onProgress });
  await installQuintet(cluster, { onProgress });
  const { kubectl } = await ensureTools(['kubectl'], onProgress);
  console.log(`export KUBECONFIG=${cluster.kubeconfig}
export PATH=${dirname(kubectl)}:$PATH
kubectl apply -f docs/samples/fieldjob.yaml && kubectl get fieldjobs --watch`);
}
