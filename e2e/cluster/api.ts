// An API server alone: etcd and kube-apiserver, ready in seconds, for tests that need no pods to run.
import { join } from 'node:path';
import { openCluster, removeCluster } from './clusters.ts';
import { startControlPlane } from './control-plane.ts';
import { writeKubeconfig } from './kube.ts';
import { withLock } from './lock.ts';
import { API_TOOLS, ensureTools, type OnProgress } from './tools.ts';

export interface ApiOptions {
  /** Default: a name of this process's own. */
  name?: string;
  /** True: it stays when this process ends, until it is stopped by name. */
  keep?: boolean;
  onProgress?: OnProgress;
}

export interface ApiCluster {
  name: string;
  /** Path of a kubeconfig with cluster-admin rights. */
  kubeconfig: string;
  /** https://127.0.0.1:PORT */
  server: string;
  /** Paths of the PEM files that the kubeconfig holds. */
  caPath: string;
  certPath: string;
  keyPath: string;
  kubectl: string;
  auditLogPath: string;
  /** Writes a kubeconfig for another user, to try RBAC with; returns its path. */
  kubeconfigFor(user: string, groups?: string[]): string;
  killApiServer(): Promise<void>;
  startApiServer(): Promise<void>;
  /** Ends it gracefully and starts it at the same address. */
  restartApiServer(): Promise<void>;
  /** Holds it, connections open, for a while. */
  pauseApiServer(milliseconds: number): Promise<void>;
  /** Ends and removes all of it. May be called twice. */
  stop(): Promise<void>;
}

let started = 0;

/** Starts an API server, or takes the one of that name that already runs. */
export async function startApi(options: ApiOptions = {}): Promise<ApiCluster> {
  started += 1;
  const name = options.name ?? `api-${process.pid}-${started}`;
  const tools = await ensureTools(API_TOOLS, options.onProgress);
  const { dir, plane } = await withLock(`cluster ${name}`, async () => {
    const folder = await openCluster(name, 'api', options.keep ?? false);
    return {
      dir: folder,
      plane: await startControlPlane({ dir: folder, tools, host: '127.0.0.1', withNode: false }),
    };
  });
  const kubeconfig = join(dir, 'kubeconfig');
  writeKubeconfig(kubeconfig, name, plane.admin);
  return {
    name,
    kubeconfig,
    server: plane.server,
    caPath: plane.pki.path('ca.crt'),
    certPath: plane.pki.path('admin.crt'),
    keyPath: plane.pki.path('admin.key'),
    kubectl: tools.kubectl,
    auditLogPath: plane.auditLogPath,
    kubeconfigFor: (user, groups = []) =>
      plane.pki.kubeconfig(`user-${user.replace(/[^a-z0-9-]/gi, '_')}`, plane.server, {
        commonName: user,
        organizations: groups,
      }),
    killApiServer: plane.killApiServer,
    startApiServer: plane.startApiServer,
    async restartApiServer() {
      await plane.stopApiServer();
      await plane.startApiServer();
    },
    pauseApiServer: plane.pauseApiServer,
    stop: () => withLock(`cluster ${name}`, () => removeCluster(name)),
  };
}
