import { expect, it } from 'vitest';
import { memoryLimit, usableCores } from './machine.ts';

const files = (content: Record<string, string>) => ({ read: (path: string) => content[path] });

it.each([
  { title: 'no group', content: {}, cores: 8 },
  { title: 'half a core by version 2', content: { '/sys/fs/cgroup/cpu.max': '50000 100000\n' }, cores: 1 },
  { title: 'one and a half cores', content: { '/sys/fs/cgroup/cpu.max': '150000 100000\n' }, cores: 2 },
  { title: 'no limit by version 2', content: { '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, cores: 8 },
  {
    title: 'a limit on a group above',
    content: { '/proc/self/cgroup': '0::/pods/a/b\n', '/sys/fs/cgroup/pods/cpu.max': '300000 100000\n' },
    cores: 3,
  },
  {
    title: 'two cores by version 1',
    content: { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' },
    cores: 2,
  },
  {
    title: 'no limit by version 1',
    content: { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' },
    cores: 8,
  },
])('uses the cores that the control group grants: $title', ({ content, cores }) => {
  expect(usableCores(files(content), 8)).toBe(cores);
});

it.each([
  { title: 'no group', content: {}, bytes: 1e12 },
  { title: 'version 2', content: { '/sys/fs/cgroup/memory.max': '268435456\n' }, bytes: 268_435_456 },
  { title: 'version 2 without limit', content: { '/sys/fs/cgroup/memory.max': 'max\n' }, bytes: 1e12 },
  {
    title: 'version 1 in a group',
    content: {
      '/proc/self/cgroup': '4:memory:/pod\n',
      '/sys/fs/cgroup/memory/pod/memory.limit_in_bytes': '1048576\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    },
    bytes: 1_048_576,
  },
])('knows the memory it may use: $title', ({ content, bytes }) => {
  expect(memoryLimit(files(content), 1e12)).toBe(bytes);
});
