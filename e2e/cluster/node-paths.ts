// Folders of a node's container runtime and kubelet. It is apart from the cluster's own folder because both put sockets
// in theirs, whose whole paths the kernel bounds at 107 bytes.
import { join } from 'node:path';
import { shortHash } from './paths.ts';

export function nodeDir(clusterFolder: string): string {
  return `/var/lib/quintet/${shortHash(clusterFolder)}`;
}

/** Folder of the logs of a node's pods. */
export function podLogsDir(nodeFolder: string): string {
  return join(nodeFolder, 'pod-logs');
}
