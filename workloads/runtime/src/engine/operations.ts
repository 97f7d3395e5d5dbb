// Routes that every engine has: probes, metrics, the OpenAPI document, and for administrators profiles and actions.
import { z } from 'zod';
import { QuintetError } from '../errors.ts';
import { neverCache } from '../httpCache.ts';
import type { Registry } from '../metrics.ts';
import { cpuProfile, heapSnapshot } from '../profile.ts';
import type { EngineServer } from './context.ts';
import type { Readiness } from './readiness.ts';

export interface OperationsOptions {
  readiness: Readiness;
  registry: Registry;
  actions: Readonly<Record<string, (input: unknown) => Promise<unknown>>>;
}

const hidden = { hide: true } as const;

export function operations(server: EngineServer, { readiness, registry, actions }: OperationsOptions): void {
  const open = { config: { public: true }, schema: hidden, logLevel: 'warn' as const };
  server.get('/healthz', open, async (_request, reply) => {
    neverCache(reply);
    return reply
      .code(readiness.fatal === undefined ? 200 : 503)
      .send({ alive: readiness.fatal === undefined, reason: readiness.fatal });
  });
  server.get('/readyz', open, async (_request, reply) => {
    neverCache(reply);
    const { ready, reasons, degraded } = readiness;
    return reply.code(ready ? 200 : 503).send({ ready, reasons, degraded });
  });
  server.get('/metrics', open, async (_request, reply) => {
    neverCache(reply);
    return reply.type(registry.contentType).send(await registry.metrics());
  });
  server.get('/openapi.json', open, async () => server.swagger());

  const admin = { config: { admin: true } };
  const seconds = z.object({ seconds: z.coerce.number().min(0.1).max(60).default(10) });
  server.get(
    '/admin/profile/cpu',
    { ...admin, handlerTimeout: 90_000, schema: { ...hidden, querystring: seconds } },
    async (request, reply) => {
      const profile = await cpuProfile(request.query.seconds, request.signal);
      return reply
        .type('application/json')
        .header('content-disposition', 'attachment; filename="engine.cpuprofile"')
        .send(profile);
    },
  );
  server.get('/admin/profile/heap', { ...admin, handlerTimeout: 300_000, schema: hidden }, async (_request, reply) => {
    return reply
      .type('application/json')
      .header('content-disposition', 'attachment; filename="engine.heapsnapshot"')
      .send(heapSnapshot());
  });
  const name = z.object({ name: z.string().max(64) });
  server.post('/admin/actions/:name', { ...admin, schema: { ...hidden, params: name } }, async (request) => {
    const action = Object.hasOwn(actions, request.params.name) ? actions[request.params.name] : undefined;
    if (!action)
      throw new QuintetError('NOT_FOUND', {
        what: `action ${request.params.name}; there are: ${Object.keys(actions).join(', ') || 'none'}`,
      });
    request.log.warn({ action: request.params.name, client: request.identity.client }, 'action');
    return { action: request.params.name, result: (await action(request.body)) ?? null };
  });
}
