// A whole cluster of one node on this machine: control plane, container runtime, kubelet, proxy, DNS and volumes.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openCluster, removeCluster, sweepOrphans, withCluster } from './clusters.ts';
import { importImage, startContainerd } from './containerd.ts';
import { startControlPlane } from './control-plane.ts';
import { ensurePrograms, NODE_PROGRAMS } from './debian.ts';
import { rememberKernelSettings } from './kernel-settings.ts';
import { type Identity, kubeRequest, writeKubeconfig } from './kube.ts';
import { createNetwork, networkOf, slotOf } from './network.ts';
import { type NodeDaemonOptions, startControllers, startDns, startKubelet, startKubeProxy } from './node-daemons.ts';
import { applyNodeObjects } from './node-objects.ts';
import { nodeDir } from './node-paths.ts';
import { clusterDir } from './paths.ts';
import { logTail, recordedDaemons, runningDaemon } from './process.ts';
import { ensureTools, NODE_TOOLS, type OnProgress } from './tools.ts';

export interface NodeOptions {
  /** Also the node's name. Default: a name of this process's own. */
  name?: string;
  /** True: it stays when this process ends, until it is stopped by name. */
  keep?: boolean;
  onProgress?: OnProgress;
}

export interface NodeCluster {
  name: string;
  nodeName: string;
  /** Path of a kubeconfig with cluster-admin rights. */
  kubeconfig: string;
  server: string;
  kubectl: string;
  auditLogPath: string;
  /** Folder of the daemons' logs. */
  logsDir: string;
  apiServer: {
    kill: () => Promise<void>;
    /** Starts it at the address it had, and waits until it is ready. */
    start: () => Promise<void>;
    /** Holds it, connections open, for a while. */
    pause: (milliseconds: number) => Promise<void>;
  };
  /** Loads an image archive into the node's container runtime. */
  loadImage: (archive: string) => Promise<void>;
  /** Makes the node offer `count` devices of nvidia.com/gpu that do not exist: the scheduler counts them, no pod finds one. */
  patchGpus: (count: number) => Promise<void>;
  /** Ends and removes all of it. May be called twice. */
  stop: () => Promise<void>;
}

const DAEMONS = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'provisioner',
  'containerd',
  'kubelet',
  'kube-proxy',
  'coredns',
];

let started = 0;

/** Starts a node, or takes the one of that name when all of it runs; remains of a crashed one are removed first. */
export async function startNode(options: NodeOptions = {}): Promise<NodeCluster> {
  if (process.getuid?.() !== 0)
    throw new Error('a local node needs root; give QUINTET_KUBECONFIG or start Docker instead');
  started += 1;
  const { name = `node-${process.pid}-${started}`, keep = false, onProgress = () => undefined } = options;
  await ensurePrograms(NODE_PROGRAMS, onProgress);
  const tools = await ensureTools(NODE_TOOLS, onProgress);
  const dir = clusterDir(name);
  await sweepOrphans();
  const plane = await withCluster(name, async () => {
    if (recordedDaemons(dir).length > 0 && !isWhole(dir)) await removeCluster(name);
    const isRunning = isWhole(dir);
    openCluster(name, 'node', keep);
    const slot = slotOf(name);
    const network = isRunning && slot !== undefined ? networkOf(name, slot) : await createNetwork(name);
    const folder = nodeDir(dir);
    await rememberKernelSettings();
    mkdirSync(folder, { recursive: true, mode: 0o711 });
    const controlPlane = await startControlPlane({ dir, tools, host: network.hostAddress, withNode: true });
    const daemons: NodeDaemonOptions = { name, dir, nodeDir: folder, network, plane: controlPlane, tools };
    if (!isRunning) {
      await startDaemons(daemons, () => startContainerd({ dir, nodeDir: folder, network, tools }), onProgress);
    }
    writeKubeconfig(join(dir, 'kubeconfig'), name, controlPlane.admin);
    return controlPlane;
  });
  return {
    name,
    nodeName: name,
    kubeconfig: join(dir, 'kubeconfig'),
    server: plane.server,
    kubectl: tools.kubectl,
    auditLogPath: plane.auditLogPath,
    logsDir: join(dir, 'logs'),
    apiServer: { kill: plane.killApiServer, start: plane.startApiServer, pause: plane.pauseApiServer },
    loadImage: (archive) => importImage(nodeDir(dir), tools.ctr, archive),
    patchGpus: (count) => patchGpus(plane.admin, name, count),
    stop: () => withCluster(name, () => removeCluster(name)),
  };
}

/** True when every daemon of a node runs. */
function isWhole(dir: string): boolean {
  return DAEMONS.every((daemon) => runningDaemon(dir, daemon));
}

/** Offers `count` devices of nvidia.com/gpu on a node. */
async function patchGpus(admin: Identity, node: string, count: number): Promise<void> {
  const patch = [{ op: 'add', path: '/status/capacity/nvidia.com~1gpu', value: String(count) }];
  const path = `/api/v1/nodes/${node}/status`;
  const answer = await kubeRequest(admin, 'PATCH', path, patch, 'application/json-patch+json');
  if (answer.status !== 200) throw new Error(`patch of ${path}: ${answer.status} ${answer.body}`);
}

async function startDaemons(options: NodeDaemonOptions, startRuntime: () => Promise<void>, onProgress: OnProgress) {
  const { dir, plane, network, name } = options;
  startControllers(options);
  await startRuntime();
  startKubelet(options);
  startKubeProxy(options);
  await applyNodeObjects(plane, network);
  startDns(options);
  onProgress(`control plane is up at ${plane.server}, waiting for the node`);
  const isNodeReady = async () => {
    const { status, body } = await kubeRequest(plane.admin, 'GET', `/api/v1/nodes/${name}`);
    return status === 200 && readyCondition(body);
  };
  const hasAccount = async () => {
    const path = '/api/v1/namespaces/default/serviceaccounts/default';
    return (await kubeRequest(plane.admin, 'GET', path)).status === 200;
  };
  await waitFor(dir, 'the node to be Ready', isNodeReady);
  await waitFor(dir, 'the default service account', hasAccount);
}

function readyCondition(body: string): boolean {
  const node = JSON.parse(body) as { status?: { conditions?: { type: string; status: string }[] } };
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

async function waitFor(dir: string, what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (!(await isTrue())) {
    const ended = DAEMONS.find((daemon) => !runningDaemon(dir, daemon));
    if (ended) throw new Error(`${ended} ended while waiting for ${what}:\n${logTail(dir, ended)}`);
    if (Date.now() > deadline) throw new Error(`waited 120 s for ${what}:\n${logTail(dir, 'kubelet')}`);
    await sleep(100);
  }
}
