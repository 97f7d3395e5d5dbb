// A real Memcached for tests.
import { debianBinary } from './debian.ts';
import { startServer, type TestServer } from './server.ts';

/** Starts a Memcached of 64 MiB on a free loopback port. */
export async function startMemcached(): Promise<TestServer> {
  const binary = await debianBinary('memcached', 'memcached');
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
  return startServer({
    name: 'memcached',
    binary,
    args: ({ port }) => ['-l', '127.0.0.1', '-p', String(port), '-U', '0', '-m', '64', ...user],
  });
}
