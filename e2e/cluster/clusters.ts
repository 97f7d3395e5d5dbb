// What is left of clusters on this machine: listing them, ending them whole, and sweeping up after runs that crashed.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deleteKind } from './kind.ts';
import { withLock } from './lock.ts';
import { removeNodeRemains } from './node-remains.ts';
import { clusterDir, stateDir } from './paths.ts';
import {
  endProcess,
  identify,
  isAlive,
  type ProcessIdentity,
  processesUsing,
  recordedDaemons,
  stopDaemon,
} from './process.ts';
import { toolsRoot } from './tools.ts';

/** Of how many ended clusters the logs are kept. */
const KEPT_LOGS = 20;

/** What a cluster's folder says of it, written before anything is started. */
export interface ClusterRecord {
  name: string;
  kind: 'api' | 'node' | 'kind';
  /** The process that the cluster lives for; null: it stays until `down`. */
  owner: ProcessIdentity | null;
}

/** Makes the folder and record of a cluster. */
export function openCluster(name: string, kind: ClusterRecord['kind'], keep: boolean): string {
  const dir = clusterDir(name);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const record: ClusterRecord = { name, kind, owner: keep ? null : (identify(process.pid) ?? null) };
  writeFileSync(join(dir, 'cluster.json'), JSON.stringify(record));
  return dir;
}

export function clusterNames(): string[] {
  const folder = join(stateDir(), 'clusters');
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

export function readCluster(name: string): ClusterRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(clusterDir(name), 'cluster.json'), 'utf8')) as ClusterRecord;
  } catch {
    return undefined;
  }
}

/**
 * Ends all that belongs to a local cluster, however little of it is left, and removes its folder.
 * The logs are moved to `logs/NAME` of the state folder. Does nothing for a cluster that is not there.
 */
export async function removeCluster(name: string): Promise<void> {
  const dir = clusterDir(name);
  if (!existsSync(dir)) return;
  if (readCluster(name)?.kind === 'kind') await deleteKind(name);
  // Nothing of the cluster is kept, so nothing needs to be drained or flushed. Containerd goes with the node's remains,
  // after the kubelet, which would start containers again.
  await Promise.all(recordedDaemons(dir).map((daemon) => stopDaemon(dir, daemon, 0)));
  await Promise.all(processesUsing(dir, toolsRoot()).map((identity) => endProcess(identity, 0)));
  await removeNodeRemains(name, dir);
  await withLock(`logs ${stateDir()}`, async () => keepLogs(name, dir));
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}

/** Folder where the logs of a cluster lie: its own while it stands, else what it left. */
export function logsDir(name: string): string {
  const own = join(clusterDir(name), 'logs');
  return existsSync(own) ? own : join(stateDir(), 'logs', name);
}

/** Runs `work` while no other process starts, ends or sweeps the cluster. Not to be nested. */
export function withCluster<T>(name: string, work: () => Promise<T>): Promise<T> {
  return withLock(`cluster ${clusterDir(name)}`, work);
}

/** Ends clusters that were started for a process which is no more. */
export async function sweepOrphans(): Promise<void> {
  for (const name of clusterNames().filter(isOrphan)) {
    await withCluster(name, async () => {
      if (isOrphan(name)) await removeCluster(name);
    });
  }
}

function isOrphan(name: string): boolean {
  const owner = readCluster(name)?.owner;
  return owner ? !isAlive(owner) : false;
}

function keepLogs(name: string, dir: string): void {
  const from = join(dir, 'logs');
  if (!existsSync(from)) return;
  const to = join(stateDir(), 'logs', name);
  rmSync(to, { recursive: true, force: true });
  mkdirSync(join(to, '..'), { recursive: true, mode: 0o700 });
  renameSync(from, to);
  const latest = readdirSync(join(to, '..')).map((entry) => join(to, '..', entry));
  latest.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const old of latest.slice(KEPT_LOGS)) rmSync(old, { recursive: true, force: true });
}
