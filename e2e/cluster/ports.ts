// Free TCP ports on the machine's own addresses.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Ports come from below the range (32768 and up on Linux) that the kernel draws from for outgoing connections, and below the
 * NodePorts: a server that is stopped and started again finds its port still free, where a port from that range may by then be
 * some client's own end, even of its call to the absent server.
 */
const first = 10_000;
const end = 30_000;

/** `count` different ports that nothing listens on at `host` now. All are held until the last is known, so none repeats. */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(host)));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function listen(host: string): Promise<ReturnType<typeof createServer>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listenAt(randomInt(first, end), host);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === 100) throw error;
    }
  }
}

function listenAt(port: number, host: string): Promise<ReturnType<typeof createServer>> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => resolve(server));
  });
}
