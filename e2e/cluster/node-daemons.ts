// The Kubernetes daemons of a node and what each is told: controller manager, scheduler, kubelet, kube-proxy, CoreDNS,
// provisioner of volumes.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCgroups, isVersion2 } from './cgroups.ts';
import { containerdSocket } from './containerd.ts';
import type { ControlPlane } from './control-plane.ts';
import { inNamespace, type NodeNetwork } from './network.ts';
import { DNS_SERVICE, STORAGE_CLASS } from './node-objects.ts';
import { podLogsDir } from './node-paths.ts';
import { kernelName } from './paths.ts';
import { startDaemon } from './process.ts';

export interface NodeDaemonOptions {
  name: string;
  dir: string;
  nodeDir: string;
  network: NodeNetwork;
  plane: ControlPlane;
  tools: Record<
    'kube-controller-manager' | 'kube-scheduler' | 'kubelet' | 'kube-proxy' | 'coredns' | 'provisioner',
    string
  >;
}

export function startControllers({ dir, nodeDir, plane, tools }: NodeDaemonOptions): void {
  const { pki, server } = plane;
  const manager = pki.kubeconfig('controller-manager', server, { commonName: 'system:kube-controller-manager' });
  startDaemon(dir, {
    name: 'kube-controller-manager',
    command: tools['kube-controller-manager'],
    args: [
      `--kubeconfig=${manager}`,
      `--root-ca-file=${pki.path('ca.crt')}`,
      `--service-account-private-key-file=${pki.path('sa.key')}`,
      `--cluster-signing-cert-file=${pki.path('ca.crt')}`,
      `--cluster-signing-key-file=${pki.path('ca.key')}`,
      '--use-service-account-credentials=true',
      '--leader-elect=false',
      '--secure-port=0',
      '--kube-api-qps=200',
      '--kube-api-burst=400',
      // Longer than the outages that tests make of the API server, so that no pod is evicted for them.
      '--node-monitor-grace-period=40s',
    ],
  });
  const scheduler = pki.kubeconfig('scheduler', server, { commonName: 'system:kube-scheduler' });
  const config = join(dir, 'scheduler.json');
  writeJson(config, {
    apiVersion: 'kubescheduler.config.k8s.io/v1',
    kind: 'KubeSchedulerConfiguration',
    clientConnection: { kubeconfig: scheduler, qps: 200, burst: 400 },
    leaderElection: { leaderElect: false },
    podInitialBackoffSeconds: 1,
    podMaxBackoffSeconds: 5,
  });
  startDaemon(dir, {
    name: 'kube-scheduler',
    command: tools['kube-scheduler'],
    args: [`--config=${config}`, '--secure-port=0'],
  });
  const provisioner = pki.kubeconfig('provisioner', server, { commonName: 'quintet:provisioner' });
  const volumes = join(nodeDir, 'volumes');
  mkdirSync(volumes, { recursive: true });
  startDaemon(dir, {
    name: 'provisioner',
    command: tools.provisioner,
    args: [`--kubeconfig=${provisioner}`, `--folder=${volumes}`, `--class=${STORAGE_CLASS}`],
  });
}

export function startKubelet({ name, dir, nodeDir, network, plane, tools }: NodeDaemonOptions): void {
  const { pki, server } = plane;
  const user = { commonName: `system:node:${name}`, organizations: ['system:nodes'] };
  const kubeconfig = pki.kubeconfig('kubelet', server, user);
  pki.issue('kubelet-server', { commonName: name, names: [name, network.nodeAddress, '127.0.0.1'] });
  createCgroups(name);
  mkdirSync(join(nodeDir, 'kubelet'), { recursive: true, mode: 0o700 });
  const config = join(dir, 'kubelet.json');
  writeJson(config, {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: pki.path('ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: pki.path('kubelet-server.crt'),
    tlsPrivateKeyFile: pki.path('kubelet-server.key'),
    containerRuntimeEndpoint: `unix://${containerdSocket(nodeDir)}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${kernelName(name)}`,
    failCgroupV1: isVersion2(),
    failSwapOn: false,
    oomScoreAdj: 0,
    clusterDNS: [DNS_SERVICE],
    clusterDomain: 'cluster.local',
    resolvConf: '',
    nodeStatusUpdateFrequency: '5s',
    syncFrequency: '10s',
    registerNode: true,
    // Else every kubelet clears away the logs of the others' pods.
    podLogsDir: podLogsDir(nodeDir),
    maxPods: 110,
    serializeImagePulls: false,
    // The disk is the developer's: its fullness is no reason to evict a test's pod or to collect its image.
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '0%', 'imagefs.available': '0%' },
    imageGCHighThresholdPercent: 100,
    shutdownGracePeriod: '0s',
  });
  const args = [
    `--config=${config}`,
    `--kubeconfig=${kubeconfig}`,
    `--hostname-override=${name}`,
    `--node-ip=${network.nodeAddress}`,
    `--root-dir=${join(nodeDir, 'kubelet')}`,
  ];
  startDaemon(dir, { name: 'kubelet', ...inNamespace(network, tools.kubelet, args) });
}

export function startKubeProxy({ name, dir, network, plane, tools }: NodeDaemonOptions): void {
  const kubeconfig = plane.pki.kubeconfig('kube-proxy', plane.server, { commonName: 'system:kube-proxy' });
  const args = [
    `--kubeconfig=${kubeconfig}`,
    `--hostname-override=${name}`,
    `--cluster-cidr=${network.podRange}`,
    '--proxy-mode=nftables',
    '--oom-score-adj=0',
    // Limits of the connection table are the machine's, not the namespace's.
    '--conntrack-max-per-core=0',
    '--conntrack-tcp-timeout-established=0s',
    '--conntrack-tcp-timeout-close-wait=0s',
  ];
  startDaemon(dir, { name: 'kube-proxy', ...inNamespace(network, tools['kube-proxy'], args) });
}

export function startDns({ dir, network, plane, tools }: NodeDaemonOptions): void {
  const kubeconfig = plane.pki.kubeconfig('coredns', plane.server, { commonName: 'quintet:coredns' });
  const corefile = join(dir, 'Corefile');
  const block = [
    '.:53 {',
    `  bind ${network.nodeAddress}`,
    '  errors',
    '  health 127.0.0.1:8080',
    '  ready 127.0.0.1:8181',
    '  cache 5',
    '  kubernetes cluster.local in-addr.arpa ip6.arpa {',
    `    kubeconfig ${kubeconfig}`,
    '    pods insecure',
    '    ttl 5',
    '  }',
    '}',
  ];
  writeFileSync(corefile, `${block.join('\n')}\n`);
  startDaemon(dir, { name: 'coredns', ...inNamespace(network, tools.coredns, ['-conf', corefile]) });
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, JSON.stringify(value, null, 2), { mode: 0o600 });
}
