// What every engine can be told: how it listens, who may call it and how often, its caches. The blocks are spelled as in the custom resources,
// so that a spec can be mounted as it is.
import { readFileSync } from 'node:fs';
import { parseBytes, parseDuration, secretsRoot } from '@quintet/crds';
import { z } from 'zod';

/** Milliseconds, from `10m` and the like. */
export const duration = () => parsed(z.string().max(64), (text) => parseDuration(text) * 1000);
/** Bytes, from `256Mi` or a number. */
export const bytes = () => parsed(z.union([z.string().max(64), z.number().min(0)]), parseBytes);

/** A reference to a Secret; the controller mounts it, and `directory` replaces where. */
const mounted = (path: string) =>
  z.object({
    secretRef: z.looseObject({ name: z.string(), key: z.string().optional() }).optional(),
    directory: z.string().default(`${secretsRoot}/${path}`),
  });

export const settingsSchema = z.object({
  resource: z
    .object({ namespace: z.string(), name: z.string() })
    .optional()
    .describe('The custom resource that is served: part of keys in stores that several may share.'),
  server: z
    .object({
      host: z.string().default('0.0.0.0'),
      port: z.int().min(0).max(65_535).default(8080),
      headerLimit: bytes().prefault('16Ki').describe('All request headers together.'),
      maxConnections: z.int().min(1).default(20_000),
      requestTimeout: duration().prefault('30s').describe('For a request to arrive whole.'),
      handlerTimeout: duration().prefault('60s').describe('For an answer; a route may set its own.'),
      keepAliveTimeout: duration()
        .prefault('72s')
        .describe('Longer than that of usual load balancers, so that they never meet a closing connection.'),
      trustProxy: z
        .union([z.boolean(), z.array(z.string().max(64)).max(64)])
        .default(false)
        .describe('Proxies whose X-Forwarded-For is believed: addresses or networks.'),
      drainDelay: duration()
        .prefault('3s')
        .describe('Between not ready and no more connections: until load balancers know.'),
      drainTimeout: duration()
        .prefault('22s')
        .describe('For requests under way to end. With drainDelay less than the grace period of the pod.'),
    })
    .prefault({}),
  logging: z
    .object({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info') })
    .prefault({}),
  auth: mounted('auth.secretRef')
    .optional()
    .describe('Bearer tokens: a file per tenant. Left out, everyone is the tenant "default".'),
  cors: z.object({ origins: z.array(z.string().max(512)).max(16) }).optional(),
  rateLimits: z
    .object({
      perClient: z
        .object({
          requests: z.int().min(1),
          window: duration().prefault('1m'),
          blockFor: duration().prefault('5m'),
        })
        .optional(),
      maxConcurrent: z.int().min(1).default(1000),
      maxBodySize: bytes().prefault('1Mi'),
    })
    .prefault({}),
  tenants: z
    .array(
      z.looseObject({
        name: z.string().min(1).max(253),
        requestsPerMinute: z.int().min(1).optional(),
        tokensPerDay: z.int().min(1).optional(),
      }),
    )
    .max(1000)
    .default([]),
  cache: z
    .object({
      memory: z.object({ maxEntries: z.int().min(0).default(10_000), maxSize: bytes().prefault('256Mi') }).prefault({}),
      disk: z
        .object({ maxSize: bytes().prefault('1Gi'), directory: z.string().default('/var/cache/quintet') })
        .optional(),
      redis: mounted('cache.redis.secretRef').optional(),
      memcached: z
        .object({
          servers: z
            .array(z.string().regex(/^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?:[0-9]{1,5}$/))
            .min(1)
            .max(16)
            .describe('host:port of each.'),
        })
        .optional()
        .describe('Holds the shared entries instead of Redis, which keeps limits and what was purged.'),
      ttl: duration().prefault('1h'),
      compression: z.enum(['Enabled', 'Disabled']).default('Enabled'),
      encryption: mounted('cache.encryption.secretRef').optional(),
      prefetch: z.enum(['Enabled', 'Disabled']).default('Disabled'),
    })
    .prefault({}),
});

/** Durations in milliseconds, sizes in bytes. */
export type Settings = z.output<typeof settingsSchema>;

/** Settings that take effect without a restart. */
export const reloadableSettings = [
  'logging',
  'cors',
  'rateLimits.perClient',
  'rateLimits.maxConcurrent',
  'tenants',
  'server.drainDelay',
  'server.drainTimeout',
];

/** URL of Redis: from the mounted Secret (key `url`), else from `QUINTET_REDIS_URL`, else undefined. */
export function redisUrl(settings: Settings, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const { redis } = settings.cache;
  if (redis) return readFileSync(`${redis.directory}/${redis.secretRef?.key ?? 'url'}`, 'utf8').trim();
  return env['QUINTET_REDIS_URL'];
}

/** What keeps the keys of two resources apart in one Redis; nothing where it is not known which resource is served. */
export function redisPrefix(engine: string, { resource }: Settings): { keyPrefix?: string } {
  return resource ? { keyPrefix: `${engine}/${resource.namespace}/${resource.name}:` } : {};
}

/** Keys for encrypting entries: every file of the Secret, or the one that `key` names; 32 bytes each, raw, in hexadecimal or base64. */
export function encryptionKeys(settings: Settings): Buffer[] {
  const { encryption } = settings.cache;
  if (!encryption) return [];
  const raw = readFileSync(`${encryption.directory}/${encryption.secretRef?.key ?? 'key'}`);
  const text = raw.toString('latin1').trim();
  const candidates = [raw, Buffer.from(text, 'hex'), Buffer.from(text, 'base64')];
  const key = candidates.find((candidate) => candidate.length === 32);
  if (!key) throw new RangeError(`the encryption key in ${encryption.directory} does not have 32 bytes`);
  return [key];
}

/** A quantity that its parser refuses is an issue of the field, not an exception. */
function parsed<I extends z.ZodType>(input: I, parse: (value: z.output<I>) => number) {
  return input.transform((value, context) => {
    try {
      return parse(value);
    } catch (error) {
      context.issues.push({ code: 'custom', input: value, message: (error as Error).message });
      return z.NEVER;
    }
  });
}
