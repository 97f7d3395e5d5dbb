// Where the API server is and how to log in: KUBECONFIG (or ~/.kube/config) first, else the pod's service account.
// The kubeconfig entries are read by @kubernetes/client-node's small modules; its index would load every typed
// model and cost 85 MiB of resident memory.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import type { Cluster, Context, User } from '@kubernetes/client-node';
import { newClusters, newContexts, newUsers } from '@kubernetes/client-node/dist/config_types.js';
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js';
import { load } from 'js-yaml';

export interface Connection {
  /** `https://host:port`, without a slash at the end. */
  server: string;
  /** Namespace of the context or of the pod; `default` when none is named. */
  namespace: string;
  tls: TlsOptions;
  /** Value of the Authorization header now; `renew` reads the source again (after a 401). */
  authorization(renew?: boolean): Promise<string | undefined>;
}

interface TlsOptions {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  servername?: string;
  rejectUnauthorized?: boolean;
}

/** The configuration names no usable API server. The message says which file and what is wrong. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';
/** How long a token read from a file is used before it is read again; the kubelet renews it at 80 % of its life. */
const tokenFileTtlMs = 60_000;

/** @throws ConfigError when there is neither a kubeconfig nor a service account, or the file cannot be used. */
export async function loadConnection(env: NodeJS.ProcessEnv = process.env): Promise<Connection> {
  const explicit = (env.KUBECONFIG ?? '').split(delimiter).filter((path) => path !== '');
  if (explicit.length > 0) return await fromKubeconfig(explicit);
  if (env.KUBERNETES_SERVICE_HOST) return inCluster(env, serviceAccount);
  const fallback = join(env.HOME ?? homedir(), '.kube', 'config');
  try {
    return await fromKubeconfig([fallback]);
  } catch (error) {
    if (!(error instanceof ConfigError) || (error.cause as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT')
      throw error;
    throw new ConfigError(
      `no cluster to talk to: KUBECONFIG is not set, this is no pod, and ${fallback} does not exist`,
    );
  }
}

/** The connection of a pod. @param directory Where the service account is mounted. */
export function inCluster(env: NodeJS.ProcessEnv, directory: string): Connection {
  const host = env.KUBERNETES_SERVICE_HOST ?? '';
  const port = env.KUBERNETES_SERVICE_PORT ?? '443';
  const read = (name: string): string => readConfigFile(join(directory, name)).toString('utf8').trim();
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: read('namespace'),
    tls: { ca: read('ca.crt') },
    authorization: tokenFile(join(directory, 'token')),
  };
}

/** The current context of several kubeconfig files; as in kubectl, the first file that names an entry wins. */
export async function fromKubeconfig(paths: readonly string[]): Promise<Connection> {
  const files = paths.map(readKubeconfig);
  const contextName = files.find((file) => file.currentContext)?.currentContext;
  const where = paths.join(', ');
  const context = files.flatMap((file) => file.contexts).find(({ name }) => name === contextName);
  if (!context) throw new ConfigError(`${where}: current-context "${contextName ?? ''}" is not among its contexts`);
  const cluster = files.flatMap((file) => file.clusters).find(({ name }) => name === context.cluster);
  if (!cluster) throw new ConfigError(`${where}: cluster "${context.cluster}" of context "${context.name}" is missing`);
  if (cluster.proxyUrl) throw new ConfigError(`${where}: proxy-url is not supported`);
  const user = files.flatMap((file) => file.users).find(({ name }) => name === context.user);

  const tls: TlsOptions = {};
  const ca = material(cluster.caData, cluster.caFile);
  if (ca) tls.ca = ca;
  if (cluster.skipTLSVerify) tls.rejectUnauthorized = false;
  if (cluster.tlsServerName) tls.servername = cluster.tlsServerName;
  const cert = material(user?.certData, user?.certFile);
  const key = material(user?.keyData, user?.keyFile);
  if (cert && key) Object.assign(tls, { cert, key });
  const authorization = user ? await credentials(user, tls, where) : async () => undefined;
  return { server: cluster.server, namespace: context.namespace ?? 'default', tls, authorization };
}

interface KubeconfigFile {
  clusters: Cluster[];
  contexts: Context[];
  users: (User & { tokenFile?: string })[];
  currentContext: string | undefined;
}

function readKubeconfig(path: string): KubeconfigFile {
  const text = readConfigFile(path).toString('utf8');
  try {
    const document = (load(text) ?? {}) as Record<string, unknown>;
    const base = dirname(path);
    const absolute = <T extends object>(entry: T, ...fields: (keyof T)[]): T => {
      for (const field of fields) {
        const value = entry[field];
        if (typeof value === 'string' && value !== '' && !isAbsolute(value)) entry[field] = join(base, value) as never;
      }
      return entry;
    };
    const tokenFiles = new Map<string, string>();
    for (const entry of (document.users ?? []) as { name: string; user?: { tokenFile?: string } }[]) {
      if (entry.user?.tokenFile) tokenFiles.set(entry.name, entry.user.tokenFile);
    }
    return {
      clusters: newClusters(document.clusters).map((cluster) => absolute({ ...cluster }, 'caFile')),
      contexts: newContexts(document.contexts),
      users: newUsers(document.users).map((user) => {
        const file = tokenFiles.get(user.name);
        return absolute({ ...user, ...(file && { tokenFile: file }) }, 'certFile', 'keyFile', 'tokenFile');
      }),
      currentContext: document['current-context'] as string | undefined,
    };
  } catch (error) {
    throw new ConfigError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

async function credentials(
  user: User & { tokenFile?: string },
  tls: TlsOptions,
  where: string,
): Promise<Connection['authorization']> {
  if (user.tokenFile) return tokenFile(user.tokenFile);
  if (user.token) return async () => `Bearer ${user.token}`;
  if (user.username) {
    const basic = `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`;
    return async () => basic;
  }
  if (user.authProvider && !user.exec) {
    throw new ConfigError(
      `${where}: auth-provider "${user.authProvider.name}" was removed from Kubernetes; use an exec plugin`,
    );
  }
  let plugin = new ExecAuth();
  if (!plugin.isAuthProvider(user)) return async () => undefined;
  const run = async (): Promise<{ headers: Record<string, string>; cert?: string; key?: string }> => {
    const options: { headers: Record<string, string>; cert?: string; key?: string } = { headers: {} };
    await plugin.applyAuthentication(user, options);
    return options;
  };
  const first = await run();
  if (first.cert && first.key) Object.assign(tls, { cert: first.cert, key: first.key });
  return async (renew) => {
    if (renew) plugin = new ExecAuth();
    return (await run()).headers.Authorization;
  };
}

/** Bearer token from a file that is replaced while we run. A failed read keeps the last token: it may still be good. */
export function tokenFile(path: string, now: () => number = Date.now): Connection['authorization'] {
  let header: string | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  return async (renew) => {
    if (header !== undefined && !renew && now() - readAt < tokenFileTtlMs) return header;
    try {
      header = `Bearer ${(await readFile(path, 'utf8')).trim()}`;
      readAt = now();
    } catch (error) {
      if (header === undefined) throw new ConfigError(`cannot read the token ${path}: ${(error as Error).message}`);
    }
    return header;
  };
}

function material(data: string | undefined | null, file: string | undefined | null): Buffer | undefined {
  if (data) return Buffer.from(data, 'base64');
  return file ? readConfigFile(file) : undefined;
}

function readConfigFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}
