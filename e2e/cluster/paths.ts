// Where the harness keeps things outside the repository: built tools and images in the cache, clusters in the state folder.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The longest name that still fits the names of namespaces, cgroups and sockets derived from it. */
const NAME_PATTERN = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;

/** Folder of what can be made again: tools by version, image layers and archives. */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.QUINTET_CACHE || env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(base, 'quintet');
}

/** Folder of all clusters and of the logs that ended clusters leave. */
export function stateDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'quintet');
}

/** Folder of one cluster. Throws when the name could not be part of a namespace, cgroup or file name. */
export function clusterDir(name: string, env: NodeJS.ProcessEnv = process.env): string {
  if (!NAME_PATTERN.test(name)) {
    throw new Error(`cluster name "${name}" must be 1 to 40 lower-case letters, digits or dashes`);
  }
  return join(stateDir(env), 'clusters', name);
}

/** Name of the cluster's namespace and cgroups: one per cluster also where two users give theirs the same name. */
export function kernelName(name: string): string {
  return `quintet-${name}-${shortHash(clusterDir(name)).slice(0, 6)}`;
}

/** A short stable name for a folder, for sockets and locks whose names are bounded by the kernel. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
