// The node's container runtime: containerd with runc, all its folders and sockets below the node's own.
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { imageArchive } from './archive.ts';
import { run } from './command.ts';
import { inNamespace, type NodeNetwork } from './network.ts';
import { shortHash } from './paths.ts';
import { logTail, runningDaemon, startDaemon } from './process.ts';

const PAUSE_IMAGE = 'localhost/quintet/pause:1';
const OVERLAY_FS = 0x794c7630;
const UNUSED_PLUGINS = [
  'io.containerd.internal.v1.opt',
  'io.containerd.snapshotter.v1.blockfile',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.erofs',
  'io.containerd.snapshotter.v1.zfs',
];

export interface ContainerdOptions {
  dir: string;
  nodeDir: string;
  network: NodeNetwork;
  tools: Record<'containerd' | 'containerd-shim-runc-v2' | 'ctr' | 'pause', string>;
}

export function containerdSocket(nodeDir: string): string {
  return join(nodeDir, 'containerd.sock');
}

/** Starts containerd inside the node's namespace, and gives it the image that holds pods' namespaces. */
export async function startContainerd(options: ContainerdOptions): Promise<void> {
  const { dir, nodeDir, network, tools } = options;
  for (const folder of ['cni', 'run', 'images']) mkdirSync(join(nodeDir, folder), { recursive: true, mode: 0o700 });
  writeFileSync(join(nodeDir, 'cni', '10-pods.conflist'), JSON.stringify(cniConfig(nodeDir, network)));
  const config = join(nodeDir, 'containerd.toml');
  writeFileSync(config, containerdConfig(nodeDir));
  const args = ['--config', config, '--address', containerdSocket(nodeDir)];
  const folders = ['--root', join(nodeDir, 'images'), '--state', join(nodeDir, 'run')];
  const daemon = inNamespace(network, tools.containerd, [...args, ...folders]);
  const path = `${join(tools['containerd-shim-runc-v2'], '..')}:/usr/sbin:/usr/bin:/sbin:/bin`;
  startDaemon(dir, { name: 'containerd', ...daemon, env: { PATH: path } });
  await waitUntilServing(dir, nodeDir, tools.ctr);

  const pause = { path: 'pause', content: readFileSync(tools.pause), mode: 0o755 };
  const archive = join(nodeDir, 'pause.tar');
  writeFileSync(archive, imageArchive({ reference: PAUSE_IMAGE, files: [pause], entrypoint: ['/pause'] }));
  await importImage(nodeDir, tools.ctr, archive);
  rmSync(archive);
}

/** Loads an image archive, as `docker save` or `buildah push docker-archive:` write it; once, while it is unchanged. */
export async function importImage(nodeDir: string, ctr: string, archive: string): Promise<void> {
  const { size, mtimeMs } = statSync(archive);
  const mark = join(nodeDir, `imported-${shortHash(`${archive} ${size} ${mtimeMs}`)}`);
  if (existsSync(mark)) return;
  const args = ['--address', containerdSocket(nodeDir), '--namespace', 'k8s.io'];
  await run(ctr, [...args, 'images', 'import', '--local', archive], { timeoutMs: 300_000 });
  writeFileSync(mark, archive);
}

async function waitUntilServing(dir: string, nodeDir: string, ctr: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    if (!runningDaemon(dir, 'containerd')) throw new Error(`containerd ended:\n${logTail(dir, 'containerd')}`);
    try {
      await run(ctr, ['--address', containerdSocket(nodeDir), 'version'], { timeoutMs: 5_000 });
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

/** Each pod gets a link of its own to the node: no bridge, so that answers of Services always pass the node's rules. */
function cniConfig(nodeDir: string, network: NodeNetwork): object {
  const ranges = [[{ subnet: network.podRange }]];
  const ipam = { type: 'host-local', dataDir: join(nodeDir, 'addresses'), ranges, routes: [{ dst: '0.0.0.0/0' }] };
  return { cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'ptp', ipMasq: false, mtu: 1500, ipam }] };
}

function containerdConfig(nodeDir: string): string {
  // An overlay cannot lie on another overlay, such as a container's own file system.
  const snapshotter = statfsSync(nodeDir).type === OVERLAY_FS ? 'native' : 'overlayfs';
  return `version = 3
disabled_plugins = ${JSON.stringify(UNUSED_PLUGINS)}

[plugins.'io.containerd.shim.v1.manager']
  socket_dir = '${join(nodeDir, 's')}'

[plugins.'io.containerd.nri.v1.nri']
  disable = true

[plugins.'io.containerd.cri.v1.images']
  snapshotter = '${snapshotter}'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '${PAUSE_IMAGE}'

[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE the score of a process cannot be lowered below its parent's.
  restrict_oom_score_adj = true
  # Pods' namespaces are then found and removed with the other mounts of the node.
  netns_mounts_under_state_dir = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['/usr/lib/cni']
    conf_dir = '${join(nodeDir, 'cni')}'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = 'runc'
      Root = '${join(nodeDir, 'runc')}'
      SystemdCgroup = false
`;
}
