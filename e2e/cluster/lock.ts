// A lock between processes of one machine that the kernel releases when its holder dies: a listening abstract socket.
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { shortHash } from './paths.ts';

/**
 * Runs `work` while no other process runs under the same `name`.
 * @throws when the lock is not free within `timeoutMs`, or whatever `work` throws.
 */
export async function withLock<T>(name: string, work: () => Promise<T>, timeoutMs = 3_600_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let server = await tryListen(name);
  while (!server) {
    if (Date.now() > deadline) throw new Error(`another process holds "${name}" for more than ${timeoutMs / 1000} s`);
    await sleep(100);
    server = await tryListen(name);
  }
  const held = server;
  try {
    return await work();
  } finally {
    await new Promise((resolve) => held.close(resolve));
  }
}

function tryListen(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(`\0quintet-${shortHash(name)}`, () => {
      server.unref();
      resolve(server);
    });
  });
}
