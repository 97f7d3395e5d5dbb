// The cgroups that hold a node's containers, in either version of the hierarchy.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { kernelName } from './paths.ts';

const ROOT = '/sys/fs/cgroup';

export function isVersion2(): boolean {
  return existsSync(join(ROOT, 'cgroup.controllers'));
}

/** Makes the cluster's cgroup under every controller. */
export function createCgroups(cluster: string): void {
  for (const path of cgroupPaths(cluster)) mkdirSync(path, { recursive: true });
}

/** Ids of all processes in the cluster's containers. */
export function containerProcesses(cluster: string): number[] {
  const pids = new Set<number>();
  for (const path of cgroupPaths(cluster)) {
    for (const folder of descendants(path)) {
      for (const pid of readLines(join(folder, 'cgroup.procs'))) pids.add(Number(pid));
    }
  }
  return [...pids];
}

/** Removes the cluster's cgroups; they must be empty of processes. */
export function removeCgroups(cluster: string): void {
  for (const path of cgroupPaths(cluster)) {
    for (const folder of descendants(path).reverse()) {
      try {
        rmdirSync(folder);
      } catch {
        // A process that ends just now still holds it; the next start of the cluster takes it over.
      }
    }
  }
}

function cgroupPaths(cluster: string): string[] {
  const name = kernelName(cluster);
  if (isVersion2()) return [join(ROOT, name)];
  return readdirSync(ROOT)
    .filter((controller) => existsSync(join(ROOT, controller, 'cgroup.procs')))
    .map((controller) => join(ROOT, controller, name));
}

/** The folder and all below it, parents first. */
function descendants(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [folder, ...below.flatMap((entry) => descendants(join(folder, entry.name)))];
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
