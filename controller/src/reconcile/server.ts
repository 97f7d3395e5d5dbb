// The page that the kubelet and Prometheus read: /healthz, /readyz, /metrics.
import { type FastifyInstance, fastify } from 'fastify';
import type { Registry } from 'prom-client';

export interface ServerOptions {
  host?: string;
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
  const address = await server.listen({ host: options.host ?? '0.0.0.0', port: options.port });
  return { port: Number(new URL(address).port), close: () => server.close() };
}

function verdict(reply: { code(status: number): unknown }, problems: string[]): { status: string; problems: string[] } {
  reply.code(problems.length === 0 ? 200 : 503);
  return { status: problems.length === 0 ? 'ok' : 'failed', problems };
}
