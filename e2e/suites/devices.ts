// Devices that do not exist, for the real scheduler to hand out: extended resources of the node, and nodes that only
// kwok keeps alive, with extended resources or with ResourceSlices. No pod finds a device there.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Cluster } from '../cluster/provider.ts';
import { ensureTools } from '../cluster/tools.ts';
import { eventually, type Kubectl } from '../kubectl.ts';

const fakeAnnotation = 'kwok.x-k8s.io/node';
/** Keeps the pods of the cluster itself, and those of other suites, off the nodes that do not exist. */
export const fakeTaint = { key: 'test.quintet.dev/fake', value: 'true', effect: 'NoSchedule' };
export const fakeToleration = { key: fakeTaint.key, operator: 'Exists' };

/** The node that runs pods for real. */
export async function realNode(kubectl: Kubectl): Promise<string> {
  interface Nodes {
    items: { metadata: { name: string; annotations?: Record<string, string> } }[];
  }
  const { items } = await kubectl.json<Nodes>(['get', 'nodes']);
  const name = items.find(({ metadata }) => !metadata.annotations?.[fakeAnnotation])?.metadata.name;
  if (!name) throw new Error('the cluster has no node');
  return name;
}

/** Makes a node offer `count` devices under this name, and waits until the scheduler may count them. */
export async function offer(kubectl: Kubectl, node: string, resource: string, count: number): Promise<void> {
  const key = resource.replaceAll('~', '~0').replaceAll('/', '~1');
  const patch = ['capacity', 'allocatable'].map((field) => ({
    op: 'add',
    path: `/status/${field}/${key}`,
    value: String(count),
  }));
  await kubectl.run(['patch', 'node', node, '--subresource=status', '--type=json', '-p', JSON.stringify(patch)]);
  await eventually(`${node} offers ${count} ${resource}`, async () => {
    const { status } = await kubectl.json<{ status: { allocatable: Record<string, string> } }>(['get', 'node', node]);
    return status.allocatable[resource] === String(count);
  });
}

export interface FakeNodes {
  /** Nobody renews the nodes' leases from now on: they are lost, as when the power fails. */
  lose: () => Promise<void>;
  /** Ends kwok and removes the nodes, with what is bound to them. */
  stop: () => Promise<void>;
}

/** Nodes that kwok keeps Ready, whose pods it calls Running. */
export async function startFakeNodes(
  cluster: Cluster,
  kubectl: Kubectl,
  nodes: readonly {
    name: string;
    labels?: Record<string, string>;
    taints?: object[];
    devices?: Record<string, string>;
  }[],
): Promise<FakeNodes> {
  const { kwok } = await ensureTools(['kwok']);
  const names = nodes.map(({ name }) => name);
  for (const { name, labels, taints = [], devices } of nodes) {
    const node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        annotations: { [fakeAnnotation]: 'fake' },
        labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', ...labels },
      },
      spec: { taints: [fakeTaint, ...taints] },
    };
    await kubectl.apply(JSON.stringify(node));
    const allocatable = { cpu: '8', memory: '32Gi', pods: '50', 'ephemeral-storage': '100Gi', ...devices };
    const patch = JSON.stringify({ status: { capacity: allocatable, allocatable } });
    await kubectl.run(['patch', 'node', name, '--subresource=status', '--type=merge', '-p', patch]);
  }
  const child = spawn(
    kwok,
    [
      `--kubeconfig=${cluster.kubeconfig}`,
      `--config=${join(import.meta.dirname, 'kwok-stages.yaml')}`,
      '--manage-all-nodes=false',
      `--manage-nodes-with-annotation-selector=${fakeAnnotation}=fake`,
      '--node-lease-duration-seconds=40',
      '--cidr=10.199.0.1/24',
    ],
    { stdio: 'ignore' },
  );
  const stop = async () => {
    await end(child);
    await kubectl.run(['delete', 'node', ...names, '--ignore-not-found']);
  };
  try {
    await eventually(
      'the fake nodes are Ready',
      async () => {
        if (child.exitCode !== null) throw new Error(`kwok ended with ${child.exitCode}`);
        const jsonpath = '-o=jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}';
        const states = await kubectl.run([
          'get',
          'nodes',
          '-l',
          `kubernetes.io/hostname in (${names.join(',')})`,
          jsonpath,
        ]);
        return states === names.map(() => 'True').join(' ');
      },
      { timeoutMs: 60_000 },
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    lose: () => end(child),
    stop,
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'close');
}
