// mode: Service of a FieldJob: one array, asked for solutions, points and planes over HTTP and WebSocket.
import { readFileSync } from 'node:fs';
import { createPool, type EngineDefinition, type Pool, remedies } from '@quintet/runtime';
import { z } from 'zod';
import { openQueries, type Queries } from './queries.ts';
import { routes } from './routes.ts';
import { streamRoute } from './stream.ts';
import { readScene } from './work.ts';

/** Blocks of the resource that the engine reads by the resource's own schema. */
const members = [
  'array',
  'medium',
  'particle',
  'targets',
  'solver',
  'volume',
  'tolerance',
  'safety',
  'backend',
  'gpu',
  // Of no use here yet, and said so rather than ignored.
  'method',
  'motion',
  'timeDomain',
] as const;
const given = z.unknown().optional();

export const config = z.object({
  array: given,
  medium: given,
  particle: given,
  targets: given,
  solver: given,
  volume: given,
  tolerance: given,
  safety: given,
  backend: given,
  gpu: given,
  method: given,
  motion: given,
  timeDomain: given,
});

const mostStreams = 2000;

/** @param name Of the resource, for pictures. */
export function fieldService(name: string): EngineDefinition<typeof config> {
  let pool: Pool;
  let opened: Queries;
  return {
    name: 'field',
    version: '0.1.0',
    config,
    ...remedies({ caches: () => ({ clear: () => opened.clear(), memory: opened.memory }) }),
    async start() {
      await opened.begin();
    },
    async routes(server, context) {
      const job = jobOf(name, context.config);
      const filename = new URL(import.meta.url.endsWith('.ts') ? './work.ts' : './work.js', import.meta.url).href;
      pool = createPool({ name: 'field', filename, registry: context.registry, idleTimeout: 600_000 });
      opened = await openQueries(context, pool, job, readScene(job));
      routes(server, () => opened);
      streamRoute(server, () => opened, mostStreams);
    },
    async onDrain() {
      await opened.close();
      await pool.close();
    },
  };
}

/** The resource as threads read it. */
export function jobOf(name: string, spec: z.output<typeof config>): string {
  const own = Object.fromEntries(
    members.flatMap((member) => (spec[member] === undefined ? [] : [[member, spec[member]]])),
  );
  return JSON.stringify({
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'FieldJob',
    metadata: { name },
    spec: { mode: 'Service', ...own },
  });
}

/** For pictures and `/v1/field`; what cannot be read is refused where the configuration is. */
export function resourceName(path: string | undefined): string {
  try {
    const { metadata } = JSON.parse(readFileSync(path ?? '', 'utf8')) as { metadata?: { name?: unknown } };
    return typeof metadata?.name === 'string' ? metadata.name : 'field';
  } catch {
    return 'field';
  }
}
