// The harness's reading of the machine: locks, ports, mounts, libraries, names, versions.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { auditEvents, isWrite } from './audit.ts';
import { isPresent } from './debian.ts';
import { withLock } from './lock.ts';
import { mountsBelow } from './mounts.ts';
import { networkOf } from './network.ts';
import { cacheDir, clusterDir, kernelName, stateDir } from './paths.ts';
import { freePorts } from './ports.ts';
import { parseLdd, sharedLibraries } from './shared-libraries.ts';
import { API_TOOLS, moduleVersion, NODE_TOOLS } from './tools.ts';

describe('locks', () => {
  test('one runs after the other under the same name', async () => {
    const order: string[] = [];
    const name = `test ${process.pid}`;
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const first = withLock(name, async () => {
      order.push('first begins');
      await held;
      order.push('first ends');
    });
    await expect.poll(() => order).toEqual(['first begins']);
    const second = withLock(name, async () => {
      order.push('second');
    });
    await withLock(`${name} other`, async () => {
      order.push('other');
    });
    release();
    await Promise.all([first, second]);
    expect(order).toEqual(['first begins', 'other', 'first ends', 'second']);
  });

  test('a lock is free again when its work fails', async () => {
    const name = `failing ${process.pid}`;
    await expect(withLock(name, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await withLock(name, async () => 'free', 1_000)).toBe('free');
  });

  test('waiting ends with a reason', async () => {
    const name = `busy ${process.pid}`;
    await withLock(name, async () => {
      await expect(withLock(name, async () => 0, 150)).rejects.toThrow(`another process holds "${name}"`);
    });
  });
});

test('free ports differ and nothing listens on them', async () => {
  const ports = await freePorts(5);
  expect(new Set(ports).size).toBe(5);
  const refused = new Promise((resolve) => {
    const socket = connect(ports[0] ?? 0, '127.0.0.1');
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.on('connect', () => resolve('connected'));
  });
  expect(await refused).toBe('ECONNREFUSED');
});

test('mounts below a folder are listed innermost first, with blanks in their names', () => {
  const mountinfo = [
    '22 1 0:20 / /proc rw - proc proc rw',
    '30 1 0:30 / /var/lib/node/a rw - overlay overlay rw',
    '31 30 0:31 / /var/lib/node/a/with\\040blank rw - tmpfs tmpfs rw',
    '32 1 0:32 / /var/lib/node-other/b rw - tmpfs tmpfs rw',
  ].join('\n');
  expect(mountsBelow('/var/lib/node', mountinfo)).toEqual(['/var/lib/node/a/with blank', '/var/lib/node/a']);
});

describe('shared libraries', () => {
  test('both libraries and the loader are taken from what ldd says', () => {
    const output = [
      '\tlinux-vdso.so.1 (0x00007ffd)',
      '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)',
      '\t/lib64/ld-linux-x86-64.so.2 (0x00007f)',
    ].join('\n');
    expect(parseLdd(output)).toEqual(['/lib/x86_64-linux-gnu/libc.so.6', '/lib64/ld-linux-x86-64.so.2']);
    expect(() => parseLdd('\tlibabsent.so.1 => not found')).toThrow('libabsent.so.1 is not found');
  });

  test('this Node needs a C library', () => {
    expect(sharedLibraries(process.execPath).some((path) => path.endsWith('/libc.so.6'))).toBe(true);
  });
});

describe('names and folders', () => {
  test('folders follow the environment', () => {
    expect(cacheDir({ QUINTET_CACHE: '/c', XDG_CACHE_HOME: '/x' })).toBe('/c/quintet');
    expect(cacheDir({ XDG_CACHE_HOME: '/x' })).toBe('/x/quintet');
    expect(stateDir({ XDG_STATE_HOME: '/s' })).toBe('/s/quintet');
    expect(clusterDir('a', { XDG_STATE_HOME: '/s' })).toBe('/s/quintet/clusters/a');
  });

  test.each(['', '../up', 'UPPER', 'a_b', '-a', 'a-', 'x'.repeat(41)])('the name "%s" is refused', (name) => {
    expect(() => clusterDir(name)).toThrow('must be 1 to 40');
  });

  test.each(['../install.ts', 'main.ts'])('%s refuses a name by one sentence, without a stack trace', (command) => {
    const args = [
      '--conditions=source',
      join(import.meta.dirname, command),
      ...(command === 'main.ts' ? ['down'] : []),
    ];
    const { status, stderr } = spawnSync(process.execPath, [...args, '--name', 'Bad Name!'], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr.trim()).toBe('cluster name "Bad Name!" must be 1 to 40 lower-case letters, digits or dashes');
  });

  test('two slots share no address', () => {
    const [left, right] = [networkOf('a', 0), networkOf('b', 1)];
    for (const key of ['namespace', 'hostAddress', 'nodeAddress', 'podRange'] as const) {
      expect(left[key]).not.toBe(right[key]);
    }
    expect(left.namespace).toBe(kernelName('a'));
  });
});

describe('tools', () => {
  test('every version is pinned', () => {
    expect(moduleVersion('k8s.io/kubernetes')).toMatch(/^v1\.\d+\.\d+$/);
    expect(moduleVersion('b.example/two', 'require (\n\tb.example/two v2.0.1 // indirect\n)')).toBe('v2.0.1');
    expect(() => moduleVersion('not/there')).toThrow('does not require not/there');
  });

  test('an API server alone needs only part of what a node needs', () => {
    expect(NODE_TOOLS).toEqual(expect.arrayContaining(API_TOOLS));
    expect(API_TOOLS.length).toBeLessThan(NODE_TOOLS.length);
  });

  test('programs are looked for on the path and where the administrator has theirs', () => {
    expect(isPresent('sh')).toBe(true);
    expect(isPresent('/bin/sh')).toBe(true);
    expect(isPresent('no-such-program')).toBe(false);
  });
});

const event = (verb: string, stage: string, second: number) =>
  JSON.stringify({ verb, stage, requestReceivedTimestamp: `2026-01-01T00:00:0${second}.000000Z` });

test('the audit log is read without its unfinished last line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'quintet-audit-'));
  const file = join(folder, 'audit.log');
  const lines = [
    event('get', 'ResponseComplete', 1),
    event('patch', 'ResponseStarted', 2),
    event('patch', 'ResponseComplete', 3),
    '{"verb": "del',
  ];
  writeFileSync(file, lines.join('\n'));
  expect(auditEvents(file).map(({ verb }) => verb)).toEqual(['get', 'patch']);
  expect(auditEvents(file, new Date('2026-01-01T00:00:02Z')).filter(isWrite)).toHaveLength(1);
  expect(auditEvents(join(folder, 'absent'))).toEqual([]);
  rmSync(folder, { recursive: true });
});
