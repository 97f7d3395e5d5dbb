// A real Redis for tests.
import { debianBinary } from './debian.ts';
import { startServer, type TestServer } from './server.ts';

export interface TestRedis extends TestServer {
  readonly url: string;
}

/** Starts a Redis without persistence on a free loopback port; `args` are added to its command line. */
export async function startRedis(args: string[] = []): Promise<TestRedis> {
  const binary = await debianBinary('redis-server', 'redis-server');
  const server = await startServer({
    name: 'redis',
    binary,
    args: ({ port, directory }) => [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'no',
      ...args,
    ],
  });
  return Object.assign(server, { url: `redis://127.0.0.1:${server.port}` });
}
