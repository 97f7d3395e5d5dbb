// What the installation sets for activators by environment, checked once at start.
import { z } from 'zod';

const schema = z.object({
  /** NAMESPACE/NAME of the Service whose pods the activators are. */
  QUINTET_ACTIVATOR: z.string().regex(/^[^/]+\/[^/]+$/, 'must be NAMESPACE/NAME'),
  /** Comma-separated; empty watches the whole cluster. */
  QUINTET_NAMESPACES: z
    .string()
    .transform((text) => text.split(',').filter((name) => name !== ''))
    .default([]),
  /** Requests that may wait in this activator. */
  QUINTET_ACTIVATOR_MAX_WAITING: z.coerce.number().int().min(1).max(100_000).default(2_000),
  /** Bytes that those may take up. */
  QUINTET_ACTIVATOR_MAX_BYTES: z.coerce
    .number()
    .int()
    .min(1_048_576)
    .default(64 * 1024 * 1024),
  /** How long each may wait. */
  QUINTET_ACTIVATOR_HOLD_SECONDS: z.coerce.number().min(1).max(3_600).default(300),
  /** Requests in work at once in one pod. */
  QUINTET_ACTIVATOR_PER_POD: z.coerce.number().int().min(1).max(100_000).default(200),
  QUINTET_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  /** Of health, metrics and the queue that the controller reads. */
  QUINTET_PORT: z.coerce.number().int().min(0).max(65_535).default(8081),
  POD_NAME: z.string().default('activator'),
});

export type ActivatorSettings = z.infer<typeof schema>;

/** @throws Error that names every variable at fault. */
export function activatorSettings(env: NodeJS.ProcessEnv): ActivatorSettings {
  const parsed = schema.safeParse(Object.fromEntries(Object.entries(env).filter(([, value]) => value !== '')));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new Error(`settings are wrong: ${faults.join('; ')}`);
}
