// A real PostgreSQL for tests: a fresh cluster on a free loopback port, never run as root, killed and started at will.
import './commonjs.ts';
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianBinary, freePort } from '@quintet/runtime/testing';

const run = promisify(execFile);

export interface TestPostgres {
  readonly url: string;
  /** Folder of psql and its like. */
  readonly programs: string;
  /** Ends it at once, as a crash does; what was committed is there after `start`. */
  kill: () => Promise<void>;
  start: () => Promise<void>;
  stop: () => Promise<void>;
}

/** @param settings Of the server, each as `name=value`. */
export async function startPostgres(settings: readonly string[] = []): Promise<TestPostgres> {
  const folder = await binaries();
  const directory = await mkdtemp(join(tmpdir(), 'quintet-postgres-'));
  const data = join(directory, 'data');
  const port = await freePort();
  const owner = await notRoot();
  if (owner) await chown(directory, owner.uid, owner.gid);
  const as = owner ? { uid: owner.uid, gid: owner.gid, cwd: directory } : { cwd: directory };
  await run(join(folder, 'initdb'), ['-D', data, '-U', 'matcher', '-A', 'trust', '--no-sync', '-E', 'UTF8'], as);
  // fsync off makes tests quick; a killed process loses nothing, as the kernel keeps what was written.
  const all = ['max_connections=50', 'shared_buffers=64MB', ...settings].map((setting) => `-c ${setting}`).join(' ');
  const options = `-p ${port} -h 127.0.0.1 -k ${directory} -F ${all}`;
  const control = (...args: string[]) => run(join(folder, 'pg_ctl'), ['-D', data, '-w', ...args], as);
  const start = async () => {
    await control('-l', join(directory, 'log'), '-o', options, 'start');
  };
  const kill = async () => {
    await control('-m', 'immediate', 'stop').catch(() => undefined);
  };
  await start();
  return {
    url: `postgres://matcher@127.0.0.1:${port}/postgres`,
    programs: folder,
    kill,
    start,
    stop: async () => {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Debian keeps them beside each version, not on the path. */
async function binaries(): Promise<string> {
  const root = '/usr/lib/postgresql';
  const newest = async () => (await readdir(root).catch(() => [])).sort((a, b) => Number(b) - Number(a))[0];
  if ((await newest()) === undefined) await debianBinary('pg_ctlcluster', 'postgresql');
  const version = await newest();
  if (version === undefined) throw new Error('this test needs PostgreSQL: install the Debian package postgresql');
  return join(root, version, 'bin');
}

/** PostgreSQL refuses to run as root; its package brings a user. */
async function notRoot(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const id = async (flag: string) => Number((await run('id', [flag, 'postgres'])).stdout);
  return { uid: await id('-u'), gid: await id('-g') };
}
