// A real PostgreSQL for tests: a fresh cluster on a free loopback port, killed without warning and started again at will.
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianBinary } from './debian.ts';
import { eventually } from './eventually.ts';
import { startServer, type TestServer } from './server.ts';

const run = promisify(execFile);
/** PostgreSQL refuses to run as root; Debian's `nobody`. */
const nobody = 65_534;

export interface TestPostgres extends TestServer {
  readonly url: string;
}

export async function startPostgres(): Promise<TestPostgres> {
  const folder = await programs();
  const data = await mkdtemp(join(tmpdir(), 'quintet-postgres-data-'));
  const root = process.getuid?.() === 0;
  if (root) await chown(data, nobody, nobody);
  const who = root ? { uid: nobody, gid: nobody, cwd: data } : { cwd: data };
  const postgres = join(folder, 'postgres');
  await run(join(folder, 'initdb'), ['-D', data, '-U', 'quintet', '-A', 'trust', '--no-sync', '-E', 'UTF8'], who);
  const settings = ['listen_addresses=127.0.0.1', `unix_socket_directories=${data}`, 'shared_buffers=16MB'];
  const server = await startServer({
    name: 'postgres',
    binary: root ? await debianBinary('setpriv', 'util-linux') : postgres,
    args: ({ port }) => [
      ...(root ? ['--reuid=65534', '--regid=65534', '--clear-groups', '--pdeathsig=KILL', postgres] : []),
      '-F',
      ...settings.flatMap((setting) => ['-c', setting]),
      '-D',
      data,
      '-p',
      String(port),
    ],
  });
  // It accepts connections a little before it answers.
  const ready = () => eventually(() => run(join(folder, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(server.port)]));
  await ready();
  const { start, stop } = server;
  return Object.assign(server, {
    url: `postgres://quintet@127.0.0.1:${server.port}/postgres`,
    start: async () => {
      await start();
      await ready();
    },
    stop: async () => {
      await stop();
      await rm(data, { recursive: true, force: true });
    },
  });
}

/** Debian keeps them beside each version, not on the path. */
async function programs(): Promise<string> {
  const parent = '/usr/lib/postgresql';
  const newest = async () => (await readdir(parent).catch(() => [])).toSorted((a, b) => Number(b) - Number(a))[0];
  if ((await newest()) === undefined) await debianBinary('pg_ctlcluster', 'postgresql');
  const version = await newest();
  if (version === undefined) throw new Error('this test needs PostgreSQL: install the Debian package postgresql');
  return join(parent, version, 'bin');
}
