// A cluster to work with, by the first means that applies: the user's own (QUINTET_KUBECONFIG), kind where a Docker
// engine answers, else a node on this machine. What suites need of it is the same for all three.
import { existsSync } from 'node:fs';
import { openCluster, removeCluster, sweepOrphans, withCluster } from './clusters.ts';
import { run } from './command.ts';
import { hasDockerEngine } from './docker.ts';
import type { BuiltImage } from './images.ts';
import { createKind, loadIntoKind } from './kind.ts';
import { startNode } from './node.ts';
import { ensureTools, type OnProgress } from './tools.ts';

export type Provider = 'kubeconfig' | 'kind' | 'node';

export interface Cluster {
  name: string;
  provider: Provider;
  kubeconfig: string;
  kubectl: string;
  /** Makes an image known to the nodes. @throws for a user's own cluster, whose nodes pull from a registry. */
  loadImage: (image: BuiltImage) => Promise<void>;
  /** Makes the first node offer `count` devices of nvidia.com/gpu that do not exist. */
  patchGpus: (count: number) => Promise<void>;
  /** Removes the cluster, unless it is the user's own. */
  stop: () => Promise<void>;
}

export interface ClusterOptions {
  name?: string;
  /** True: it stays when this process ends. */
  keep?: boolean;
  onProgress?: OnProgress;
}

export async function chooseProvider(env: NodeJS.ProcessEnv = process.env): Promise<Provider> {
  if (env.QUINTET_KUBECONFIG) return 'kubeconfig';
  return (await hasDockerEngine()) ? 'kind' : 'node';
}

/** Starts the cluster, or takes the one of that name that is there. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { name = 'quintet', keep = false, onProgress = () => undefined } = options;
  const provider = await chooseProvider();
  if (provider === 'node') {
    const node = await startNode({ name, keep, onProgress });
    const { kubeconfig, kubectl, patchGpus, stop } = node;
    return {
      name,
      provider,
      kubeconfig,
      kubectl,
      patchGpus,
      stop,
      loadImage: (image) => node.loadImage(image.archive),
    };
  }
  const { kubectl } = await ensureTools(['kubectl'], onProgress);
  if (provider === 'kubeconfig') {
    const kubeconfig = process.env.QUINTET_KUBECONFIG ?? '';
    if (!existsSync(kubeconfig)) throw new Error(`QUINTET_KUBECONFIG names ${kubeconfig}, which is not there`);
    await run(kubectl, ['--kubeconfig', kubeconfig, 'get', '--raw', '/readyz'], { timeoutMs: 30_000 });
    const loadImage = (image: BuiltImage) =>
      Promise.reject(new Error(`push ${image.reference} to a registry that the cluster of ${kubeconfig} pulls from`));
    return {
      name,
      provider,
      kubeconfig,
      kubectl,
      loadImage,
      patchGpus: (count) => patchGpusOf(kubectl, kubeconfig, count),
      stop: () => Promise.resolve(),
    };
  }
  await sweepOrphans();
  const dir = openCluster(name, 'kind', keep);
  const kubeconfig = await createKind(name, dir, onProgress);
  return {
    name,
    provider,
    kubeconfig,
    kubectl,
    loadImage: (image) => loadIntoKind(name, image.archive),
    patchGpus: (count) => patchGpusOf(kubectl, kubeconfig, count),
    stop: () => withCluster(name, () => removeCluster(name)),
  };
}

async function patchGpusOf(kubectl: string, kubeconfig: string, count: number): Promise<void> {
  const base = ['--kubeconfig', kubeconfig];
  const node = (await run(kubectl, [...base, 'get', 'nodes', '-o', 'name'])).split('\n')[0] ?? '';
  const patch = [{ op: 'add', path: '/status/capacity/nvidia.com~1gpu', value: String(count) }];
  await run(kubectl, [...base, 'patch', node, '--subresource=status', '--type=json', '-p', JSON.stringify(patch)]);
}
