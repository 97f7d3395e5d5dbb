// What the engine can be told: the blocks of the custom resource it obeys, spelled as there. Decimals come as text.
import { secretsRoot } from '@quintet/crds';
import { duration, sourceSpec } from '@quintet/runtime';
import { z } from 'zod';

const decimal = (least: number, most: number) => z.coerce.number().min(least).max(most);
const terms = (most: number) => z.array(z.string().min(1).max(256)).max(most).default([]);

/** Answers to one request, or variants of one brief. */
export const mostAnswers = 64;

export const config = z.object({
  runtime: z.enum(['LlamaCpp', 'Onnx', 'OpenAI', 'Managed', 'Template']).default('LlamaCpp'),
  model: z
    .looseObject({
      source: sourceSpec,
      sha256: z.string().optional(),
      revision: z.string().max(128).optional(),
      contextTokens: z.int().min(128).max(1_048_576).default(2048),
      chatTemplate: z.string().max(8192).optional(),
      gpuLayers: z.int().min(0).max(1000).optional(),
    })
    .optional(),
  gpu: z.looseObject({ policy: z.enum(['Required', 'Preferred', 'None']).default('None') }).prefault({}),
  adapters: z
    .array(z.looseObject({ name: z.string().min(1).max(63), source: sourceSpec, scale: decimal(0, 100).default(1) }))
    .max(32)
    .default([]),
  openai: z
    .looseObject({
      endpoints: z
        .array(
          z.looseObject({
            name: z.string(),
            url: z.url(),
            model: z.string().max(256).optional(),
            revision: z.string().max(256).optional(),
            secretRef: z.looseObject({ name: z.string(), key: z.string().optional() }).optional(),
            weight: z.int().min(0).max(1000).default(1),
            maxConcurrent: z.int().min(1).max(100_000).default(64),
            timeout: duration().prefault('60s'),
          }),
        )
        .min(1)
        .max(16),
      fallback: z.string().optional(),
      fallbackDuringStream: z.enum(['Error', 'Restart']).default('Error'),
    })
    .optional(),
  generation: z
    .object({
      maxLength: z.int().min(1).max(131_072).default(512),
      temperature: decimal(0, 10).default(0.7),
      topP: decimal(0, 1).default(0.9),
      topK: z.int().min(0).max(100_000).default(50),
      repetitionPenalty: decimal(0.01, 10).default(1.1),
      sequences: z.int().min(1).max(mostAnswers).default(3),
      seed: z.int().min(0).max(2_147_483_647).optional(),
      stop: z.array(z.string().min(1).max(64)).max(8).default([]),
      overflow: z.enum(['Refuse', 'Truncate']).default('Refuse'),
    })
    .prefault({}),
  prompts: z
    .looseObject({
      configMap: z.looseObject({ name: z.string() }),
      revision: z.string().max(128).optional(),
      directory: z.string().default(`${secretsRoot}/prompts.configMap`),
    })
    .optional(),
  guardrails: z
    .object({
      banned: terms(256),
      required: terms(64),
      readingLevel: z.enum(['Plain', 'Standard', 'Expert', 'Any']).default('Any'),
      channels: z
        .array(z.object({ name: z.string(), maxCharacters: z.int().min(1).max(100_000) }))
        .max(32)
        .default([]),
      maxSimilarity: decimal(0, 1).default(0.9),
      injection: z.enum(['Refuse', 'Report', 'None']).default('Refuse'),
      onViolation: z.enum(['Retry', 'Report', 'Refuse']).default('Retry'),
    })
    .prefault({}),
  budgets: z
    .looseObject({
      postgres: z
        .looseObject({
          secretRef: z.looseObject({ key: z.string().default('url') }),
          directory: z.string().default(`${secretsRoot}/budgets.postgres.secretRef`),
        })
        .optional(),
      prices: z
        .array(
          z.object({
            name: z.string().max(256),
            inputPerMillion: decimal(0, 1e9),
            outputPerMillion: decimal(0, 1e9),
          }),
        )
        .max(64)
        .default([]),
      currency: z.string().length(3).default('USD'),
      keys: z
        .array(
          z.looseObject({
            name: z.string().max(253),
            tokensPerDay: z.int().min(1).optional(),
            costPerDay: decimal(0, 1e9).optional(),
            costPerMonth: decimal(0, 1e9).optional(),
          }),
        )
        .max(64)
        .default([]),
    })
    .optional(),
  semanticCache: z
    .looseObject({
      embedding: z.looseObject({ source: sourceSpec, sha256: z.string().optional() }),
      minSimilarity: decimal(0, 1).default(0.97),
    })
    .optional(),
  routing: z.enum(['Prefix', 'LeastLoad']).default('Prefix'),
  batching: z.looseObject({ maxSize: z.int().min(1).max(512).default(64) }).prefault({}),
  priorities: z.enum(['Enabled', 'Disabled']).default('Enabled'),
});

export type CopyConfig = z.output<typeof config>;
