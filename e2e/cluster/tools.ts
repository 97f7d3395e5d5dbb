// The programs of a cluster, built from pinned Go modules once per machine and kept in the cache, keyed by what they
// are built from. Each is built under a temporary name and renamed, so that an interrupted build goes on where it was.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { cacheDir } from './paths.ts';

const MODULE_DIR = join(import.meta.dirname, 'tools');

/** Go package of each tool; a relative one is a small program of the harness's own. */
const PACKAGES = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
  'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
  kubelet: 'k8s.io/kubernetes/cmd/kubelet',
  containerd: 'github.com/containerd/containerd/v2/cmd/containerd',
  'containerd-shim-runc-v2': 'github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2',
  ctr: 'github.com/containerd/containerd/v2/cmd/ctr',
  coredns: './coredns',
  pause: './pause',
  provisioner: './provisioner',
  helm: 'helm.sh/helm/v4/cmd/helm',
  kubeconform: 'github.com/yannh/kubeconform/cmd/kubeconform',
  kwok: 'sigs.k8s.io/kwok/cmd/kwok',
  kind: 'sigs.k8s.io/kind',
} as const;

export type ToolName = keyof typeof PACKAGES;

export const API_TOOLS: ToolName[] = ['etcd', 'kube-apiserver', 'kubectl'];
export const NODE_TOOLS: ToolName[] = [
  ...API_TOOLS,
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'containerd',
  'containerd-shim-runc-v2',
  'ctr',
  'coredns',
  'pause',
  'provisioner',
];

/** Takes one line of progress. */
export type OnProgress = (line: string) => void;

/** Folder of every version's tools. */
export function toolsRoot(): string {
  return join(cacheDir(), 'tools');
}

/**
 * Builds those of `names` that are not in the cache.
 * @returns the path of each.
 * @throws when Go is missing or a build fails, with the end of its output.
 */
export async function ensureTools<N extends ToolName>(
  names: readonly N[],
  onProgress: OnProgress = () => undefined,
): Promise<Record<N, string>> {
  const paths = Object.fromEntries(names.map((name) => [name, toolPath(name)])) as Record<N, string>;
  const isMissing = (name: N) => !existsSync(paths[name]);
  if (names.some(isMissing)) {
    await withLock(`tools ${toolsRoot()}`, async () => {
      const missing = names.filter(isMissing);
      for (const [index, name] of missing.entries()) {
        await build(name, paths[name], `tool ${index + 1} of ${missing.length}: ${name}`, onProgress);
      }
    });
  }
  return paths;
}

/** Version of a module as go.mod pins it. */
export function moduleVersion(module: string, goMod = readFileSync(join(MODULE_DIR, 'go.mod'), 'utf8')): string {
  const version = goMod
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((words) => words[0] === module)?.[1];
  if (!version) throw new Error(`tools/go.mod does not require ${module}`);
  return version;
}

function toolPath(name: ToolName): string {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(MODULE_DIR, file)));
  const modules = hash.digest('hex').slice(0, 16);
  const own = PACKAGES[name].startsWith('./') ? sourceHash(join(MODULE_DIR, PACKAGES[name])) : '';
  return join(toolsRoot(), modules, own, name);
}

function sourceHash(folder: string): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(folder).sort()) hash.update(file).update(readFileSync(join(folder, file)));
  return hash.digest('hex').slice(0, 16);
}

async function build(name: ToolName, path: string, title: string, onProgress: OnProgress): Promise<void> {
  const begin = Date.now();
  const seconds = () => `${Math.round((Date.now() - begin) / 1000)} s`;
  mkdirSync(join(path, '..'), { recursive: true });
  onProgress(`${title} …`);
  const ticker = setInterval(() => onProgress(`${title} … ${seconds()}`), 30_000);
  // The lock is held: what lies here is left of a build that was killed.
  const temporary = `${path}.tmp`;
  rmSync(temporary, { force: true });
  try {
    await goBuild(PACKAGES[name], temporary);
    renameSync(temporary, path);
  } finally {
    clearInterval(ticker);
    rmSync(temporary, { force: true });
  }
  onProgress(`${title} built in ${seconds()}`);
}

function goBuild(target: string, output: string): Promise<void> {
  const args = ['-n', '10', 'go', 'build', '-trimpath', '-buildvcs=false', '-ldflags', `-s -w ${versionFlags()}`];
  return new Promise((resolve, reject) => {
    const child = spawn('nice', [...args, '-o', output, target], {
      cwd: MODULE_DIR,
      env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-mod=readonly' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let tail = '';
    const keep = (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-4_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else if (code === 127)
        reject(new Error('the cluster is built with Go, version 1.26 or later: https://go.dev/dl'));
      else reject(new Error(`go build ${target} ended with ${code}:\n${tail}`));
    });
  });
}

/** Versions that the programs' own build scripts write into them; without, they call themselves v0.0.0. */
function versionFlags(): string {
  const kubernetes = moduleVersion('k8s.io/kubernetes');
  const [major, minor] = kubernetes.slice(1).split('.');
  const base = 'k8s.io/component-base/version';
  return [
    `${base}.gitVersion=${kubernetes}`,
    `${base}.gitMajor=${major}`,
    `${base}.gitMinor=${minor}`,
    `github.com/containerd/containerd/v2/version.Version=${moduleVersion('github.com/containerd/containerd/v2')}`,
    `helm.sh/helm/v4/internal/version.version=${moduleVersion('helm.sh/helm/v4')}`,
    `sigs.k8s.io/kwok/pkg/consts.Version=${moduleVersion('sigs.k8s.io/kwok')}`,
  ]
    .map((assignment) => `-X ${assignment}`)
    .join(' ');
}
