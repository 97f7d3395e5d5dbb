// An API server alone: etcd and kube-apiserver, ready in seconds, for tests that need no pods to run.
import { join } from 'node:path';
import { openCluster, removeCluster, sweepOrphans, withCluster } from './clusters.ts';
import { startControlPlane } from './control-plane.ts';
import { writeKubeconfig } from './kube.ts';
import { clusterDir, shortHash } from './paths.ts';
import { recordedDaemons, runningDaemon } from './process.ts';
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
  kubeconfigFor: (user: string, groups?: string[]) => string;
  killApiServer: () => Promise<void>;
  startApiServer: () => Promise<void>;
  /** Ends it gracefully and starts it at the same address. */
  restartApiServer: () => Promise<void>;
  /** Holds it, connections open, for a while. */
  pauseApiServer: (milliseconds: number) => Promise<void>;
  /** Ends and removes all of it. May be called twice. */
  stop: () => Promise<void>;
}

let started = 0;

/** Starts an API server, or takes the one of that name that already runs. */
export async function startApi(options: ApiOptions = {}): Promise<ApiCluster> {
  started += 1;
  const name = options.name ?? `api-${process.pid}-${started}`;
  const tools = await ensureTools(API_TOOLS, options.onProgress);
  await sweepOrphans();
  const { dir, plane } = await withCluster(name, async () => {
    const ended = recordedDaemons(clusterDir(name)).some((daemon) => !runningDaemon(clusterDir(name), daemon));
    // Not started again in place: what is half gone is no state to test from, and its ports may be another's by now.
    if (ended) await removeCluster(name);
    const folder = openCluster(name, 'api', options.keep ?? false);
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
      plane.pki.kubeconfig(`user-${shortHash(JSON.stringify([user, groups]))}`, plane.server, {
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
    stop: () => withCluster(name, () => removeCluster(name)),
  };
}
