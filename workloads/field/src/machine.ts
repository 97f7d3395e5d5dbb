// What this process may use of the machine: the control group's CPU quota and memory limit, versions 1 and 2.
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';

export interface MachineFiles {
  /** The text of a file, undefined when it cannot be read. */
  read(path: string): string | undefined;
}

const realFiles: MachineFiles = {
  read(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  },
};

/** Threads worth starting: whole cores of the quota, at least one. */
export function usableCores(files: MachineFiles = realFiles, cores: number = availableParallelism()): number {
  let quota = cores;
  for (const folder of groupFolders(files, 'cpu')) {
    const [most, period] = (files.read(join(folder, 'cpu.max')) ?? '').trim().split(/\s+/).map(Number);
    if (most && period) quota = Math.min(quota, most / period);
    const microseconds = Number(files.read(join(folder, 'cpu.cfs_quota_us')) ?? -1);
    const each = Number(files.read(join(folder, 'cpu.cfs_period_us')) ?? 0);
    if (microseconds > 0 && each > 0) quota = Math.min(quota, microseconds / each);
  }
  return Math.max(1, Math.min(cores, Math.ceil(quota - 1e-3)));
}

/** Bytes that this process may use before it is killed. */
export function memoryLimit(files: MachineFiles = realFiles, total: number = totalmem()): number {
  let limit = total;
  for (const folder of groupFolders(files, 'memory')) {
    for (const name of ['memory.max', 'memory.limit_in_bytes']) {
      const bytes = Number(files.read(join(folder, name)) ?? Number.NaN);
      if (bytes > 0) limit = Math.min(limit, bytes);
    }
  }
  return limit;
}

/** Folders of the process's group and all above it; in a container the group often appears at the root. */
function groupFolders(files: MachineFiles, controller: string): string[] {
  const folders = new Set<string>();
  for (const line of (files.read('/proc/self/cgroup') ?? '').split('\n')) {
    const [id, names = '', path] = line.split(':');
    if (path === undefined) continue;
    const root =
      id === '0'
        ? '/sys/fs/cgroup'
        : names.split(',').includes(controller)
          ? `/sys/fs/cgroup/${controller}`
          : undefined;
    if (!root) continue;
    for (let each = join(root, path); each.length >= root.length; each = dirname(each)) folders.add(each);
  }
  folders.add('/sys/fs/cgroup').add(`/sys/fs/cgroup/${controller}`);
  return [...folders];
}
