// What the service can be told: the blocks of the custom resource it obeys, spelled as there.
import { readFileSync } from 'node:fs';
import { secretsRoot } from '@quintet/crds';
import { bytes, duration, sourceSpec } from '@quintet/runtime';
import { z } from 'zod';
import { tokenizerNames } from '../tokens.ts';

const strategyNames = [
  'Auto',
  'Extractive',
  'Hierarchical',
  'Clustering',
  'Frequency',
  'Template',
  'Structural',
  'Pruning',
  'Model',
  'Ensemble',
] as const;
const strategy = z.enum(strategyNames);
const ratio = z.number().min(1).max(64);
const role = z.enum(['System', 'User', 'Assistant', 'Tool']);

/** A Secret with the key `url`; the controller mounts it, and `directory` replaces where. */
const connection = z.object({
  secretRef: z.looseObject({ key: z.string().optional() }).optional(),
  directory: z.string().optional(),
});

/** An ONNX file, or a folder with model.onnx, and tokenizer.json beside it. */
const model = z.object({
  source: sourceSpec.extend({
    directory: z.string().optional().describe('A folder or file here, instead of the mounted ones.'),
  }),
  sha256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/)
    .optional(),
  revision: z.string().max(128).optional(),
});
export type ModelSpec = z.output<typeof model>;

export const config = z.object({
  model: model
    .extend({
      threshold: z.union([z.string(), z.number()]).transform(Number).pipe(z.number().min(0).max(1)).default(0),
    })
    .optional(),
  embedding: model.optional(),
  batching: z
    .object({
      maxSize: z.int().min(1).max(1024).default(32),
      optimalSize: z.int().min(1).max(1024).optional(),
      maxWait: duration().prefault('20ms'),
    })
    .prefault({}),
  compression: z
    .object({
      defaultRatio: ratio.default(8),
      maxRatio: ratio.default(32),
      strategy: strategy.default('Auto'),
      strategies: z
        .array(z.object({ contentType: z.string().max(32), strategy }))
        .max(16)
        .default([]),
      tokenizer: z.enum(tokenizerNames).default('o200k_base'),
      fidelity: z.enum(['Measure', 'Sample', 'None']).default('Measure'),
      feedback: z.enum(['Enabled', 'Disabled']).default('Enabled'),
      latencyBudget: duration().optional(),
      plugins: z
        .array(
          z.object({
            name: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
            configMap: z.object({
              name: z.string().optional(),
              key: z.string().max(253).default('index.js'),
              directory: z
                .string()
                .optional()
                .describe('Where it is mounted, when not where the controller mounts it.'),
            }),
          }),
        )
        .max(16)
        .default([]),
      maxInputTokens: z.int().min(1).max(10_000_000).default(200_000),
    })
    .prefault({}),
  conversations: z
    .object({
      protectedRoles: z.array(role).max(4).default(['System']),
      keepLast: z.int().min(0).max(1000).default(2),
      policies: z
        .array(
          z.object({
            role: role.optional(),
            tool: z.string().max(128).optional(),
            tag: z.string().max(128).optional(),
            ratio: ratio.optional(),
            strategy: strategy.optional(),
            protect: z.boolean().default(false),
          }),
        )
        .max(32)
        .default([]),
    })
    .prefault({}),
  originals: z
    .object({
      mode: z.enum(['Kept', 'Dropped']).default('Kept'),
      retention: duration().prefault('24h'),
      redis: connection.optional(),
      postgres: connection.optional(),
    })
    .prefault({}),
  jobs: z
    .object({
      priorities: z
        .array(z.enum(['High', 'Normal', 'Low']))
        .min(1)
        .max(3)
        .default(['High', 'Normal', 'Low']),
      retention: duration().prefault('24h'),
      maxQueued: z.int().min(1).max(10_000_000).default(10_000),
      redis: connection.optional(),
    })
    .prefault({}),
  streaming: z
    .object({ maxConnections: z.int().min(1).default(10_000), maxMessageSize: bytes().prefault('1Mi') })
    .prefault({}),
});

export type ServiceConfig = z.output<typeof config>;

/** The URL that a mounted Secret holds; undefined where the spec names none. Throws when it cannot be read. */
export function mountedUrl(ref: z.output<typeof connection> | undefined, path: string): string | undefined {
  if (!ref) return undefined;
  const directory = ref.directory ?? `${secretsRoot}/${path}.secretRef`;
  return readFileSync(`${directory}/${ref.secretRef?.key ?? 'url'}`, 'utf8').trim();
}
