import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cpuQuota, cpuThreads, memoryLimit } from './cgroup.ts';

let root: string;
afterEach(() => rm(root, { recursive: true, force: true }));

async function tree(self: string, files: Record<string, string>) {
  root = await mkdtemp(join(tmpdir(), 'quintet-cgroup-'));
  for (const [path, content] of Object.entries({ self, ...files })) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), `${content}\n`);
  }
  return { root, self: join(root, 'self'), cpus: 16 };
}

test.each<[what: string, self: string, files: Record<string, string>, want: { quota: number; threads: number }]>([
  ['version 2, inside a container', '0::/', { 'cpu.max': '150000 100000' }, { quota: 1.5, threads: 2 }],
  [
    'version 2, the tightest of nested groups',
    '0::/a/b',
    { 'a/cpu.max': '50000 100000', 'a/b/cpu.max': '400000 100000' },
    { quota: 0.5, threads: 1 },
  ],
  ['version 2 without a limit', '0::/', { 'cpu.max': 'max 100000' }, { quota: 16, threads: 16 }],
  [
    'version 1',
    '3:cpu,cpuacct:/',
    { 'cpu,cpuacct/cpu.cfs_quota_us': '300000', 'cpu,cpuacct/cpu.cfs_period_us': '100000' },
    { quota: 3, threads: 3 },
  ],
  [
    'version 1 with a link per controller',
    '3:cpu,cpuacct:/x',
    {
      'cpu/cpu.cfs_quota_us': '-1',
      'cpu/cpu.cfs_period_us': '100000',
      'cpu/x/cpu.cfs_quota_us': '250000',
      'cpu/x/cpu.cfs_period_us': '100000',
    },
    { quota: 2.5, threads: 3 },
  ],
  ['a quota beyond the machine', '0::/', { 'cpu.max': '9900000 100000' }, { quota: 16, threads: 16 }],
  ['nothing readable', '', {}, { quota: 16, threads: 16 }],
])('reads the CPU quota: %s', async (_what, self, files, want) => {
  const options = await tree(self, files);
  expect({ quota: cpuQuota(options), threads: cpuThreads(options) }).toEqual(want);
});

test('reads the least memory limit above this process', async () => {
  const options = await tree('0::/pod/container', { 'pod/memory.max': '1048576', 'pod/container/memory.max': 'max' });
  expect(memoryLimit(options)).toBe(1048576);
});
