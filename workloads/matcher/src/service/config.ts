// What a MatcherPool's spec tells the engine; the blocks that all engines share are the runtime's.
import { readFileSync } from 'node:fs';
import { parseDecimal, parsePercentage, secretsRoot } from '@quintet/crds';
import { bytes, duration, type SourceSpec, sourceSpec } from '@quintet/runtime';
import { z } from 'zod';
import type { EmbedderOptions } from '../embedding/embedder.ts';
import type { Feed } from '../exchange/feeds.ts';
import type { Webhook } from '../exchange/webhooks.ts';
import { levels } from '../match/fingerprint.ts';

/** The controller mounts the Secret by the path of its reference; `directory` replaces where. */
const secretRef = z.looseObject({ key: z.string().max(253).optional(), directory: z.string().optional() });
const toggle = (value: 'Enabled' | 'Disabled') => z.enum(['Enabled', 'Disabled']).default(value);
const share = (value: string) => z.string().max(32).default(value).transform(parsePercentage);
const decimal = (value: string) => z.string().max(32).default(value).transform(parseDecimal);

const threeOf = (values: readonly [string, string, string]) =>
  z
    .array(z.string().max(32))
    .length(3)
    .default([...values])
    .transform((decimals) => decimals.map(parseDecimal));

const embedding = z.looseObject({
  source: sourceSpec,
  sha256: z.string().max(64).optional(),
  precision: z.enum(['FP32', 'FP16', 'INT8']).optional(),
  minSimilarity: decimal('0.75'),
  imageSize: z.int().min(16).max(4096).default(224),
  mean: threeOf(['0.485', '0.456', '0.406']),
  standardDeviation: threeOf(['0.229', '0.224', '0.225']),
  output: z.string().max(128).optional(),
  instances: z.object({ min: z.int().min(1).max(64).default(1), max: z.int().min(1).max(64).default(2) }).prefault({}),
});

export const matcherConfig = z.object({
  level: z.enum(levels).default('Balanced'),
  hashing: z
    .object({
      maxDistance: z.int().min(0).max(255).default(31),
      minQuality: z.int().min(0).max(100).default(50),
      variants: z.enum(['Dihedral', 'None']).default('Dihedral'),
      crops: toggle('Enabled'),
    })
    .prefault({}),
  embedding: embedding.optional(),
  batching: z
    .looseObject({
      maxSize: z.int().min(1).max(1024).default(32),
      optimalSize: z.int().min(1).max(1024).default(16),
      maxWait: duration().prefault('50ms'),
    })
    .prefault({}),
  gpu: z.looseObject({ policy: z.enum(['Required', 'Preferred', 'None']).default('None') }).prefault({}),
  profiles: z
    .object({ weight: share('30%'), minSimilarity: decimal('0.85'), phonetic: toggle('Enabled') })
    .prefault({}),
  banks: z
    .array(
      z.object({
        name: z.string().min(1).max(253),
        kind: z.enum(['Positive', 'Negative']).default('Positive'),
        maxDistance: z.int().min(0).max(255).optional(),
        enabledRatio: share('100%'),
        suppresses: z.array(z.string().max(253)).max(32).optional(),
      }),
    )
    .max(32)
    .default([{ name: 'default', kind: 'Positive', enabledRatio: 1 }]),
  index: z
    .object({
      postgres: z.looseObject({ secretRef: secretRef.optional() }).optional(),
      refresh: duration().prefault('500ms'),
      shards: z.int().min(1).max(256).default(1),
      missingShard: z.enum(['Refuse', 'Degrade']).default('Refuse'),
      snapshot: z.looseObject({ directory: z.string().optional() }).optional(),
    })
    .prefault({}),
  exchange: z
    .object({
      imports: z
        .array(
          z.looseObject({
            name: z.string().min(1).max(253),
            url: z.url(),
            bank: z.string().min(1).max(253),
            interval: duration().prefault('15m'),
            secretRef: secretRef.optional(),
          }),
        )
        .max(16)
        .default([]),
      export: toggle('Disabled'),
      webhooks: z
        .array(
          z.looseObject({
            name: z.string().min(1).max(253),
            url: z.url(),
            secretRef,
            retries: z.int().min(0).max(100).default(10),
            banks: z.array(z.string().max(253)).max(32).optional(),
          }),
        )
        .max(16)
        .default([]),
    })
    .prefault({}),
  quarantine: z.object({ itemsPerMinute: z.int().min(1).default(1000) }).optional(),
  images: z.object({ maxSize: bytes().prefault('20Mi'), maxPixels: z.int().min(1).default(50_000_000) }).prefault({}),
});

export type MatcherConfig = z.output<typeof matcherConfig>;

/** What the level means where the spec names no precision: the faster ones take what is smaller. */
const precisions = { Speed: 'INT8', Memory: 'INT8', Balanced: 'FP16', Accuracy: 'FP32' } as const;

/** Undefined where the spec mounts no model. */
export function embedderOf({
  embedding: mounted,
  batching,
  level,
  gpu,
}: MatcherConfig): (Omit<EmbedderOptions, 'path'> & { source: SourceSpec }) | undefined {
  if (!mounted) return undefined;
  const { precision = precisions[level], minSimilarity: _, ...rest } = mounted;
  return { ...rest, precision, batching, providers: gpu.policy === 'None' ? [] : ['Cuda', 'WebGpu'] };
}

/** From the mounted Secret (key `url`), else from `QUINTET_POSTGRES_URL`. */
export function postgresUrl({ index }: MatcherConfig, env: NodeJS.ProcessEnv = process.env): string {
  const reference = index.postgres?.secretRef;
  const url = reference ? secret(reference, 'index.postgres.secretRef', 'url') : env['QUINTET_POSTGRES_URL'];
  if (!url) throw new Error('no PostgreSQL: set index.postgres.secretRef, or QUINTET_POSTGRES_URL');
  return url;
}

export function webhooksOf({ exchange }: MatcherConfig): Webhook[] {
  return exchange.webhooks.map(({ name, url, secretRef: reference, retries, banks }) => {
    const key = secret(reference, `exchange.webhooks.${name}.secretRef`, 'key');
    return { name, url, key, retries, banks };
  });
}

/** With the milliseconds between two readings. */
export function feedsOf({ exchange }: MatcherConfig): (Feed & { interval: number })[] {
  return exchange.imports.map(({ name, url, bank, interval, secretRef: reference }) => {
    const token = reference && secret(reference, `exchange.imports.${name}.secretRef`, 'token');
    return { name, url, bank, interval, token };
  });
}

function secret({ directory, key }: z.output<typeof secretRef>, path: string, defaultKey: string): string {
  return readFileSync(`${directory ?? `${secretsRoot}/${path}`}/${key ?? defaultKey}`, 'utf8').trim();
}

/** Where the snapshot lies; the controller mounts a volume there when the spec asks for one. */
export function snapshotFile({ index }: MatcherConfig, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const directory = index.snapshot?.directory ?? env['QUINTET_SNAPSHOT_DIRECTORY'];
  return directory === undefined ? undefined : `${directory}/matcher.snapshot`;
}
