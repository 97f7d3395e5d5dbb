// etcd and kube-apiserver: started, ended, killed and started again at the same address.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Identity, kubeRequest } from './kube.ts';
import { openPki, type Pki } from './pki.ts';
import { freePorts } from './ports.ts';
import { type Daemon, logTail, runningDaemon, signal, startDaemon, stopDaemon } from './process.ts';

/** First address of the Service range: the `kubernetes` Service, and so a name in the server's certificate. */
const KUBERNETES_SERVICE = '10.96.0.1';
export const SERVICE_RANGE = '10.96.0.0/16';

export interface ControlPlaneOptions {
  dir: string;
  tools: Record<'etcd' | 'kube-apiserver', string>;
  /** Address to listen on: loopback, or one that the node's namespace reaches too. */
  host: string;
  /** True where kubelets and controllers run beside it: service account tokens in pods, endpoints of the `kubernetes` Service. */
  withNode: boolean;
}

export interface ControlPlane {
  server: string;
  admin: Identity;
  pki: Pki;
  auditLogPath: string;
  /** Ends the API server as a rollout does: it finishes what it has begun. */
  stopApiServer: () => Promise<void>;
  /** Ends it as a crash does. */
  killApiServer: () => Promise<void>;
  /** Starts it at the address it had, and waits until it is ready. */
  startApiServer: () => Promise<void>;
  /** Holds it for a while with its connections open, as an overloaded machine does. */
  pauseApiServer: (milliseconds: number) => Promise<void>;
}

interface Ports {
  client: number;
  peer: number;
  api: number;
}

const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [{ level: 'Metadata' }],
};

/** Starts what does not run yet and returns when the API server is ready. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { dir, host } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const pki = openPki(dir);
  const local = ['localhost', '127.0.0.1', host];
  pki.issue('etcd', { commonName: 'etcd', names: local });
  pki.issue('apiserver', {
    commonName: 'kube-apiserver',
    names: [...local, KUBERNETES_SERVICE, 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
  });
  pki.issue('admin', { commonName: 'quintet-admin', organizations: ['system:masters'] });
  pki.issue('apiserver-kubelet', { commonName: 'kube-apiserver', organizations: ['system:masters'] });
  pki.issue('front-proxy', { commonName: 'front-proxy' });
  writeFileSync(join(dir, 'audit-policy.json'), JSON.stringify(AUDIT_POLICY));

  const ports = await assignedPorts(dir, host);
  const server = `https://${host}:${ports.api}`;
  const admin = pki.identity('admin', server);
  const etcd: Daemon = { name: 'etcd', command: options.tools.etcd, args: etcdArgs(dir, pki, ports) };
  const apiServer: Daemon = {
    name: 'kube-apiserver',
    command: options.tools['kube-apiserver'],
    args: apiServerArgs(options, pki, ports),
  };
  const startApiServer = () => startUntilReady(dir, admin, [etcd, apiServer]);
  await startApiServer();
  return {
    server,
    admin,
    pki,
    auditLogPath: auditLogPath(dir),
    startApiServer,
    stopApiServer: () => stopDaemon(dir, 'kube-apiserver', 15_000),
    killApiServer: () => stopDaemon(dir, 'kube-apiserver', 0),
    async pauseApiServer(milliseconds) {
      const identity = runningDaemon(dir, 'kube-apiserver');
      if (!identity) throw new Error('the API server does not run');
      signal(identity, 'SIGSTOP');
      try {
        await sleep(milliseconds);
      } finally {
        signal(identity, 'SIGCONT');
      }
    },
  };
}

function auditLogPath(dir: string): string {
  return join(dir, 'logs', 'audit.log');
}

/** Ports stay a cluster's own while it lives, so that a restarted API server is found where it was. */
async function assignedPorts(dir: string, host: string): Promise<Ports> {
  const file = join(dir, 'ports.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Ports;
  const [client = 0, peer = 0] = await freePorts(2);
  const [api = 0] = await freePorts(1, host);
  writeFileSync(file, JSON.stringify({ client, peer, api }));
  return { client, peer, api };
}

function etcdArgs(dir: string, pki: Pki, ports: Ports): string[] {
  const client = `https://127.0.0.1:${ports.client}`;
  const peer = `https://127.0.0.1:${ports.peer}`;
  return [
    '--name=quintet',
    `--data-dir=${join(dir, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=quintet=${peer}`,
    ...['', 'peer-'].flatMap((prefix) => [
      `--${prefix}cert-file=${pki.path('etcd.crt')}`,
      `--${prefix}key-file=${pki.path('etcd.key')}`,
      `--${prefix}trusted-ca-file=${pki.path('ca.crt')}`,
      `--${prefix}client-cert-auth=true`,
    ]),
    // A test cluster's data need not outlive the machine, and flushing takes most of a write's time.
    '--unsafe-no-fsync=true',
    '--quota-backend-bytes=2147483648',
    '--auto-compaction-mode=periodic',
    '--auto-compaction-retention=10m',
    '--log-level=warn',
  ];
}

function apiServerArgs({ dir, host, withNode }: ControlPlaneOptions, pki: Pki, ports: Ports): string[] {
  return [
    `--bind-address=${host}`,
    `--secure-port=${ports.api}`,
    `--etcd-servers=https://127.0.0.1:${ports.client}`,
    `--etcd-cafile=${pki.path('ca.crt')}`,
    `--etcd-certfile=${pki.path('etcd.crt')}`,
    `--etcd-keyfile=${pki.path('etcd.key')}`,
    `--client-ca-file=${pki.path('ca.crt')}`,
    `--tls-cert-file=${pki.path('apiserver.crt')}`,
    `--tls-private-key-file=${pki.path('apiserver.key')}`,
    `--service-account-issuer=https://kubernetes.default.svc`,
    `--service-account-key-file=${pki.path('sa.pub')}`,
    `--service-account-signing-key-file=${pki.path('sa.key')}`,
    `--service-cluster-ip-range=${SERVICE_RANGE}`,
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    `--audit-policy-file=${join(dir, 'audit-policy.json')}`,
    `--audit-log-path=${auditLogPath(dir)}`,
    '--audit-log-maxsize=4096',
    '--profiling=false',
    '--shutdown-watch-termination-grace-period=1s',
    ...(withNode
      ? [
          `--advertise-address=${host}`,
          '--enable-admission-plugins=NodeRestriction',
          '--enable-aggregator-routing=true',
          `--kubelet-client-certificate=${pki.path('apiserver-kubelet.crt')}`,
          `--kubelet-client-key=${pki.path('apiserver-kubelet.key')}`,
          `--kubelet-certificate-authority=${pki.path('ca.crt')}`,
          '--kubelet-preferred-address-types=InternalIP,Hostname',
        ]
      : [
          // Nothing makes the service accounts that the plugin would ask of every pod, and no pod runs anyway.
          '--disable-admission-plugins=ServiceAccount',
          '--endpoint-reconciler-type=none',
        ]),
  ];
}

/** Starts what does not run. One that was found running but was ending (killed a moment ago) is started again too. */
async function startUntilReady(
  dir: string,
  admin: Identity,
  daemons: readonly Daemon[],
  timeoutMs = 120_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  const started = new Set<Daemon>();
  let last = '';
  while (Date.now() < deadline) {
    for (const daemon of daemons) {
      if (runningDaemon(dir, daemon.name)) continue;
      if (started.has(daemon)) throw new Error(`${daemon.name} ended while starting:\n${logTail(dir, daemon.name)}`);
      startDaemon(dir, daemon);
      started.add(daemon);
    }
    try {
      const { status, body } = await kubeRequest(admin, 'GET', '/readyz?verbose');
      if (status === 200) return;
      last = body;
    } catch (error) {
      last = String(error);
    }
    await sleep(50);
  }
  throw new Error(
    `the API server is not ready after ${timeoutMs / 1000} s: ${last}\n${logTail(dir, 'kube-apiserver')}`,
  );
}
