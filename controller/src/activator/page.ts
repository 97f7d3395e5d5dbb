// What an activator tells: /healthz, /readyz, /metrics, and /queue, which the controller waits on.
import { type FastifyInstance, fastify } from 'fastify';
import { Gauge, Registry } from 'prom-client';
import { z } from 'zod';
import type { Activator } from './activator.ts';

/** The longest answer that a reader waits for. */
const waitMs = 1_000;

export interface PageOptions {
  activator: Activator;
  /** Tells this process from the one before. */
  instance: string;
  isReady: () => boolean;
}

export function activatorPage({ activator, instance, isReady }: PageOptions): FastifyInstance {
  const server = fastify({ bodyLimit: 1024, requestTimeout: 10_000, forceCloseConnections: true });
  const registry = metricsOf(activator);
  const query = z.object({ after: z.coerce.number().int().catch(-1) });
  server.get('/healthz', async () => ({ status: 'ok' }));
  server.get('/readyz', async (_request, reply) => reply.code(isReady() ? 200 : 503).send({ ready: isReady() }));
  server.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
  server.get('/queue', async (request) => {
    await activator.alarmed(query.parse(request.query).after, waitMs);
    return { instance, alarm: activator.alarm, services: activator.queues() };
  });
  return server;
}

function metricsOf(activator: Activator): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string, field: 'waiting' | 'inFlight' | 'total') =>
    new Gauge({
      name,
      help,
      labelNames: ['namespace', 'service'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [key, queue] of Object.entries(activator.queues())) {
          const [namespace = '', service = ''] = key.split('/');
          this.set({ namespace, service }, queue[field]);
        }
      },
    });
  gauge('quintet_activator_waiting_requests', 'Requests that wait for a pod', 'waiting');
  gauge('quintet_activator_requests_in_flight', 'Requests that a pod works on', 'inFlight');
  gauge('quintet_activator_requests', 'Requests that came since this activator stands in for the service', 'total');
  return registry;
}
