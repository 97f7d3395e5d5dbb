// What the installation sets by environment, checked once at start.
import { z } from 'zod';
import type { KindSettings } from './kinds/index.ts';

const toggle = z.enum(['true', 'false']).transform((text) => text === 'true');
const names = z.string().transform((text) =>
  text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== ''),
);

const image = z.string().default('');

const schema = z.object({
  /** Images of the engines; an engine without one is named by each resource. */
  QUINTET_FIELD_IMAGE: image,
  QUINTET_EVOLUTION_IMAGE: image,
  QUINTET_COMPRESSION_IMAGE: image,
  QUINTET_MATCHER_IMAGE: image,
  QUINTET_COPY_IMAGE: image,
  /** Stores of resources that name none of their own; empty: there are none. */
  QUINTET_REDIS_URL: z.union([z.literal(''), z.url({ protocol: /^rediss?$/ })]).default(''),
  QUINTET_POSTGRES_URL: z.union([z.literal(''), z.url({ protocol: /^postgres(ql)?$/ })]).default(''),
  QUINTET_IMAGE_PULL_POLICY: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
  /** Comma-separated; empty watches the whole cluster. */
  QUINTET_NAMESPACES: names.default([]),
  /** Label selector of the namespaces that this installation reconciles, where several share a cluster; empty: all. */
  QUINTET_SHARD_SELECTOR: z.string().default(''),
  QUINTET_LEADER_ELECTION: toggle.default(true),
  /** Where the lease lies; inside a pod, its own namespace. */
  QUINTET_LEASE_NAMESPACE: z.string().default('default'),
  /** Installations that share a namespace need leases of their own. */
  QUINTET_LEASE_NAME: z.string().default('quintet-controller'),
  POD_NAME: z.string().optional(),
  QUINTET_CONCURRENCY: z.coerce.number().int().min(1).max(256).default(16),
  /** Time between two looks at the metrics of scaled resources. */
  QUINTET_AUTOSCALING_INTERVAL_MS: z.coerce.number().int().min(500).max(60_000).default(2_000),
  /** Prometheus to ask for the metrics of scaled resources; left out: their pods themselves are asked. */
  QUINTET_PROMETHEUS_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** Scaled resources ask for no more pods than nodes and quotas have room for. */
  QUINTET_LIMIT_TO_FREE_GPUS: toggle.default(true),
  /** Prices of an hour of one, in whatever currency; 0: not told. */
  QUINTET_PRICE_CPU_HOUR: z.coerce.number().min(0).default(0),
  QUINTET_PRICE_GPU_HOUR: z.coerce.number().min(0).default(0),
  /** NAMESPACE/NAME of the activators' Service; left out: nothing scales to zero. */
  QUINTET_ACTIVATOR: z
    .string()
    .regex(/^[^/]+\/[^/]+$/, 'must be NAMESPACE/NAME')
    .optional(),
  QUINTET_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  /** Left out: every address, of IPv6 where the machine has it. */
  QUINTET_HOST: z.string().optional(),
  QUINTET_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
});

export type Settings = z.infer<typeof schema> & { engines: KindSettings };

/** @throws Error that names every variable at fault. */
export function settingsFrom(env: NodeJS.ProcessEnv): Settings {
  const parsed = schema.safeParse(Object.fromEntries(Object.entries(env).filter(([, value]) => value !== '')));
  if (parsed.success) {
    const { QUINTET_NAMESPACES: namespaces, QUINTET_SHARD_SELECTOR: selector } = parsed.data;
    // Labels of namespaces are seen by those who see the whole cluster.
    if (namespaces.length > 0 && selector !== '')
      throw new Error('settings are wrong: set QUINTET_NAMESPACES or QUINTET_SHARD_SELECTOR, not both');
    return { ...parsed.data, engines: enginesOf(parsed.data) };
  }
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new Error(`settings are wrong: ${faults.join('; ')}`);
}

function enginesOf(values: z.infer<typeof schema>): KindSettings {
  const policy = values.QUINTET_IMAGE_PULL_POLICY;
  const stores = {
    ...(values.QUINTET_REDIS_URL && { redis: values.QUINTET_REDIS_URL }),
    ...(values.QUINTET_POSTGRES_URL && { postgres: values.QUINTET_POSTGRES_URL }),
  };
  const engine = (name: string) => ({ image: name, ...(policy && { imagePullPolicy: policy }), stores });
  return {
    field: engine(values.QUINTET_FIELD_IMAGE),
    evolution: { ...engine(values.QUINTET_EVOLUTION_IMAGE), cpuHourPrice: values.QUINTET_PRICE_CPU_HOUR },
    compression: engine(values.QUINTET_COMPRESSION_IMAGE),
    matcher: engine(values.QUINTET_MATCHER_IMAGE),
    copy: engine(values.QUINTET_COPY_IMAGE),
  };
}
