// What this container may really use: CPU quota and memory limit of its cgroup, version 1 or 2.
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';

export interface CgroupOptions {
  /** Where cgroups are mounted; `/sys/fs/cgroup` when left out. */
  root?: string;
  /** The file that names this process' cgroups; `/proc/self/cgroup` when left out. */
  self?: string;
  /** CPUs of the machine; asked of the system when left out. */
  cpus?: number;
}

/** CPUs by the cgroup's quota, at most those of the machine; may be a fraction, such as 1.5. */
export function cpuQuota(options: CgroupOptions = {}): number {
  const cpus = options.cpus ?? availableParallelism();
  const limits = places(options, 'cpu').map(({ directory, version }) => {
    if (version === 2) {
      const [quota = 'max', period = '100000'] = read(join(directory, 'cpu.max'))?.split(/\s+/) ?? [];
      return quota === 'max' ? Number.POSITIVE_INFINITY : Number(quota) / Number(period);
    }
    const quota = Number(read(join(directory, 'cpu.cfs_quota_us')) ?? -1);
    const period = Number(read(join(directory, 'cpu.cfs_period_us')) ?? 100_000);
    return quota > 0 ? quota / period : Number.POSITIVE_INFINITY;
  });
  const least = Math.min(cpus, ...limits.filter((limit) => limit > 0));
  return Number.isFinite(least) ? least : cpus;
}

/** Threads worth running: the quota rounded up, never fewer than one, never more than the machine's CPUs. */
export function cpuThreads(options: CgroupOptions = {}): number {
  return Math.max(1, Math.min(options.cpus ?? availableParallelism(), Math.ceil(cpuQuota(options))));
}

/** Bytes that this container may use: the least limit of its cgroups, at most the machine's memory. */
export function memoryLimit(options: CgroupOptions = {}): number {
  const limits = places(options, 'memory').map(({ directory, version }) => {
    const text = read(join(directory, version === 2 ? 'memory.max' : 'memory.limit_in_bytes'));
    return text === undefined || text === 'max' ? Number.POSITIVE_INFINITY : Number(text);
  });
  return Math.min(totalmem(), ...limits.filter((limit) => limit > 0));
}

/** The cgroup of this process and all above it: the tightest limit counts. In a container only the root may be visible. */
function places({ root = '/sys/fs/cgroup', self = '/proc/self/cgroup' }: CgroupOptions, controller: string) {
  const found: { directory: string; version: 1 | 2 }[] = [];
  for (const line of (read(self) ?? '0::/').split('\n')) {
    const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const version = controllers === '' ? 2 : 1;
    if (line === '' || (version === 1 && !controllers.split(',').includes(controller))) continue;
    const top =
      version === 2
        ? root
        : join(
            root,
            controllers.split(',').includes(controller) ? mountOf(root, controllers, controller) : controllers,
          );
    for (let at = path; ; at = dirname(at)) {
      found.push({ directory: join(top, at), version });
      if (at === '/' || at === '.') break;
    }
  }
  return found;
}

/** Version 1 mounts controllers together under one name, with links for each. */
function mountOf(root: string, controllers: string, controller: string): string {
  const alone = read(join(root, controller, controller === 'cpu' ? 'cpu.cfs_period_us' : 'memory.limit_in_bytes'));
  return alone === undefined ? controllers : controller;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
