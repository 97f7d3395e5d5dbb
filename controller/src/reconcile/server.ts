// The page that the kubelet and Prometheus read: /healthz, /readyz, /metrics.
import { type FastifyInstance, fastify } from 'fastify';
import type { Registry } from 'prom-client';

export interface ServerOptions {
  /** Default: every address, of IPv6 and IPv4, or of IPv4 alone where the machine has no IPv6. */
  host?: string | undefined;
  /** 0 takes a free port. */
  port: number;
  registry: Registry;
  /** What is still missing before work can be done; empty: ready. */
  missing: () => string[];
  /** What hangs and only a restart can help; empty: alive. */
  stuck: () => string[];
}

export interface RunningServer {
  port: number;
  close(): Promise<void>;
}

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const server: FastifyInstance = fastify({ bodyLimit: 1024, requestTimeout: 10_000, connectionTimeout: 30_000 });
  server.get('/healthz', async (_request, reply) => verdict(reply, options.stuck()));
  server.get('/readyz', async (_request, reply) => verdict(reply, options.missing()));
  server.get('/metrics', async (_request, reply) => {
    void reply.type(options.registry.contentType);
    return await options.registry.metrics();
  });
  const { host, port } = options;
  const listen = (on: string): Promise<string> => server.listen({ host: on, port });
  const address = await (host === undefined ? listen('::').catch(unlessNoIpv6(() => listen('0.0.0.0'))) : listen(host));
  return { port: Number(new URL(address).port), close: () => server.close() };
}

const unlessNoIpv6 =
  <T>(otherwise: () => Promise<T>) =>
  (error: unknown): Promise<T> => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL') return otherwise();
    throw error;
  };

function verdict(reply: { code(status: number): unknown }, problems: string[]): { status: string; problems: string[] } {
  reply.code(problems.length === 0 ? 200 : 503);
  return { status: problems.length === 0 ? 'ok' : 'failed', problems };
}
