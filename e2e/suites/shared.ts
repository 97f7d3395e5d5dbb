// One cluster with Quintet installed for all suites of the e2e project: started with its images before the first, ended after the last.
import { existsSync } from 'node:fs';
import { removeCluster } from '../cluster/clusters.ts';
import type { BuiltImage } from '../cluster/images.ts';
import { type NodeCluster, startNode } from '../cluster/node.ts';
import { clusterDir } from '../cluster/paths.ts';
import { type Cluster, chooseProvider, startCluster } from '../cluster/provider.ts';
import { installQuintet, loadImages, release } from '../install.ts';
import { Kubectl } from '../kubectl.ts';

/** Another name lets two runs stand side by side on one machine. */
const name = process.env.E2E_CLUSTER || 'e2e';

const loadedImages = 'E2E_LOADED_IMAGES';
const onProgress = (line: string) => console.log(`[e2e] ${line}`);

export interface Shared {
  cluster: Cluster;
  kubectl: Kubectl;
  /** The local node's own controls; absent on kind and on a cluster of the user's. */
  node: NodeCluster | undefined;
}

let shared: Promise<Shared> | undefined;

export function sharedCluster(): Promise<Shared> {
  shared ??= start();
  return shared;
}

async function start(): Promise<Shared> {
  const cluster = await startCluster({ name, keep: true, onProgress });
  const loaded = JSON.parse(process.env[loadedImages] ?? 'null') as BuiltImage[] | null;
  // Of a cluster that is kept, what an earlier run installed may be good enough for the next.
  if (!process.env.E2E_INSTALLED)
    await installQuintet(cluster, { onProgress, values: { replicas: 2 }, ...(loaded && { loaded }) });
  const node = (await chooseProvider()) === 'node' ? await startNode({ name, keep: true }) : undefined;
  return { cluster, kubectl: new Kubectl(cluster), node };
}

/** A namespace for one suite, emptied first. */
export async function freshNamespace(kubectl: Kubectl, namespace: string): Promise<void> {
  await kubectl.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait', '--timeout=120s'], {
    timeoutMs: 130_000,
  });
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await kubectl.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } }));
}

/** The controllers' pods, the leader first. */
export async function controllerPods(kubectl: Kubectl): Promise<string[]> {
  const { namespace } = release;
  const lease = await kubectl.find<{ spec: { holderIdentity?: string } }>([
    'lease',
    'quintet-controller',
    '-n',
    namespace,
  ]);
  const leader = lease?.spec.holderIdentity?.split('_')[0];
  const selector = 'app.kubernetes.io/component=controller';
  const { items } = await kubectl.json<{ items: { metadata: { name: string } }[] }>([
    'get',
    'pods',
    '-n',
    namespace,
    '-l',
    selector,
  ]);
  return items.map(({ metadata }) => metadata.name).sort((a) => (a === leader ? -1 : 1));
}

/**
 * Vitest's global setup. Before: the cluster and its images, once for all suites, each of which then only brings the release to what it should be.
 * After: the cluster goes, unless KEEP_CLUSTER is set.
 */
export async function setup(): Promise<() => Promise<void>> {
  if (!process.env.E2E_INSTALLED) {
    const cluster = await startCluster({ name, keep: true, onProgress });
    // Workers inherit it; each of them is a process of its own.
    process.env[loadedImages] = JSON.stringify(await loadImages(cluster, onProgress));
  }
  return async () => {
    if (!process.env.KEEP_CLUSTER && existsSync(clusterDir(name))) await removeCluster(name);
  };
}
