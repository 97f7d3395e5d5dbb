// What the service can be told: the blocks of the custom resource it obeys, spelled as there.
import { bytes, duration } from '@quintet/runtime';
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

export const config = z.object({
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
    .object({ mode: z.enum(['Kept', 'Dropped']).default('Kept'), retention: duration().prefault('24h') })
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
    })
    .prefault({}),
  streaming: z
    .object({ maxConnections: z.int().min(1).default(10_000), maxMessageSize: bytes().prefault('1Mi') })
    .prefault({}),
});

export type ServiceConfig = z.output<typeof config>;
