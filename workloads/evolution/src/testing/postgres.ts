// A real PostgreSQL for tests: a fresh cluster on a free loopback port, killed without warning and started again at will.
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianBinary, startServer, type TestServer } from '@quintet/runtime/testing';

const run = promisify(execFile);
/** PostgreSQL refuses to run as root; Debian's `nobody`. */
const nobody = 65_534;

export interface TestPostgres extends TestServer {
  readonly url: string;
}

export async function startPostgres(): Promise<TestPostgres> {
  const [initdb, postgres] = [await programOf('initdb'), await programOf('postgres')];
  const data = await mkdtemp(join(tmpdir(), 'quintet-postgres-data-'));
  const root = process.getuid?.() === 0;
  if (root) await chown(data, nobody, nobody);
  const who = root ? { uid: nobody, gid: nobody } : {};
  await run(initdb, ['-D', data, '-U', 'quintet', '--auth=trust', '--no-sync', '-E', 'UTF8'], { ...who, cwd: data });
  const server = await startServer({
    name: 'postgres',
    binary: root ? await debianBinary('setpriv', 'util-linux') : postgres,
    args: ({ port }) => [
      ...(root ? ['--reuid=65534', '--regid=65534', '--clear-groups', '--pdeathsig=KILL', postgres] : []),
      '-D',
      data,
      '-p',
      String(port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      `unix_socket_directories=${data}`,
      '-c',
      'fsync=off',
      '-c',
      'shared_buffers=16MB',
    ],
  });
  const url = `postgres://quintet@127.0.0.1:${server.port}/postgres`;
  await answering(url);
  const stopServer = server.stop;
  return Object.assign(server, {
    url,
    stop: async () => {
      await stopServer();
      await rm(data, { recursive: true, force: true });
    },
  });
}

/** It accepts connections a little before it answers. */
async function answering(url: string): Promise<void> {
  const { default: pg } = await import('pg');
  for (const until = Date.now() + 20_000; ; ) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function programOf(name: string): Promise<string> {
  const versions = async () =>
    (await readdir('/usr/lib/postgresql').catch(() => [] as string[])).sort((a, b) => Number(b) - Number(a));
  const [newest] = await versions();
  if (newest !== undefined) return join('/usr/lib/postgresql', newest, 'bin', name);
  return debianBinary(name, 'postgresql').catch(async (error: unknown) => {
    const [installed] = await versions();
    if (installed === undefined) throw error;
    return join('/usr/lib/postgresql', installed, 'bin', name);
  });
}
