// Requests and answers of the service, as zod: checked at the edge, and the source of the OpenAPI document.
import { z } from 'zod';
import { tokenizerNames } from '../tokens.ts';

const longestText = 64 * 1024 * 1024;
const offsets = z.object({ start: z.int().min(0), end: z.int().min(0) });
const options = {
  ratio: z.number().min(1).max(64).optional().describe('Original tokens per token of the answer.'),
  targetTokens: z.int().min(1).optional().describe('Most tokens of the answer, instead of a ratio.'),
  query: z.string().max(8192).optional().describe('What the reader wants to know.'),
  strategy: z.string().max(64).optional().describe('A strategy, or auto.'),
  tokenizer: z.enum(tokenizerNames).optional(),
  fidelity: z.boolean().optional().describe('Measure what was kept.'),
  legend: z
    .boolean()
    .optional()
    .describe('Whether the answer may begin with a legend of repeated phrases: auto then may choose frequency.'),
};

const message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.string().max(longestText),
  tool: z.string().max(128).optional(),
  tags: z.array(z.string().max(128)).max(32).optional(),
  protect: z.array(offsets).max(1000).optional(),
});

export const compressRequest = z.object({
  text: z.string().max(longestText).optional(),
  messages: z.array(message).max(10_000).optional().describe('A conversation instead of a text.'),
  protect: z.array(offsets).max(1000).optional().describe('Parts that come out exactly.'),
  baseId: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional()
    .describe('An earlier original that this text is a change of: only what differs is compressed again.'),
  deadlineMs: z
    .int()
    .min(1)
    .max(600_000)
    .optional()
    .describe('After it the text comes back unchanged, with the reason.'),
  markers: z
    .enum(['plain', 'addressed'])
    .optional()
    .describe(
      'Addressed ones say the offsets of what they stand for, as in …[120-480]: the original has it there. Not for a text that has such itself.',
    ),
  ...options,
});
export type CompressRequest = z.output<typeof compressRequest>;

const original = z.object({
  id: z.string(),
  durable: z.boolean().describe('Kept in a store, so that any replica has it after any restart.'),
});
const rate = z.object({
  requested: z.number(),
  reached: z.number(),
  met: z.boolean(),
  reason: z.string().optional(),
});
const share = z.number().min(0).max(1);
const fidelity = z.object({
  numbers: share,
  names: share,
  identifiers: share,
  negations: share,
  terms: share,
  query: share.optional(),
  similarity: z.number().min(-1).max(1).optional().describe('Cosine of the embeddings, where a model is mounted.'),
  score: share,
});

const spans = z
  .array(offsets.extend({ kept: z.boolean(), marker: z.string().optional() }))
  .describe('Parts of the original, in UTF-16 offsets; they tile it.');

export const compressAnswer = z.object({
  text: z.string().optional(),
  messages: z.array(message).optional(),
  stable: z.int().optional().describe('Messages from the start whose bytes will not change as the dialogue grows.'),
  originalTokens: z.int().optional().describe('Left out of an unchanged answer: its time was up.'),
  compressedTokens: z.int().optional(),
  ratio: z.number(),
  strategy: z.string(),
  analysis: z
    .object({
      type: z.string(),
      language: z.string(),
      complexity: share,
      repetition: share,
      technical: share,
      terms: z.array(z.string()),
    })
    .optional(),
  fidelity: fidelity.optional(),
  spans: spans.optional(),
  legend: z.array(z.object({ symbol: z.string(), phrase: z.string() })).optional(),
  rate: rate.optional(),
  timing: z.object({ analyse: z.number(), compress: z.number(), total: z.number() }).optional(),
  original: original.optional(),
  compressed: z
    .array(
      z.object({
        message: z.int().describe('Its place among the messages.'),
        originalTokens: z.int(),
        compressedTokens: z.int(),
        strategy: z.string(),
        rate,
        spans,
        original: original.optional(),
      }),
    )
    .optional()
    .describe('Of a conversation: what was done to each message that is not as it came.'),
  incremental: z.object({ parts: z.int(), reused: z.int() }).optional(),
  unchanged: z.string().optional().describe('Why the text came back as it was.'),
  source: z.string().describe('miss, or the cache that had it.'),
});
export type CompressAnswer = z.output<typeof compressAnswer>;

export const batchRequest = z.object({ items: z.array(compressRequest).min(1).max(256) });
export const errorItem = z.object({
  error: z.object({ code: z.string(), message: z.string(), field: z.string().optional() }),
});
export const batchAnswer = z.object({
  items: z
    .array(z.union([compressAnswer, errorItem]))
    .describe('In the order of the request; one failure leaves the others.'),
});

export const jobRequest = compressRequest.extend({ priority: z.enum(['High', 'Normal', 'Low']).default('Normal') });
export const jobAnswer = z.object({
  id: z.string(),
  status: z.enum(['Queued', 'Running', 'Succeeded', 'Failed', 'Cancelled']),
  priority: z.enum(['High', 'Normal', 'Low']),
  result: compressAnswer.optional(),
  error: errorItem.shape.error.optional(),
});
export type JobAnswer = z.output<typeof jobAnswer>;

export const usageAnswer = z.object({
  tenant: z.string(),
  day: z.string().describe('UTC.'),
  tokens: z.int().describe('Of originals compressed today; what came from a cache is free.'),
  tokensPerDay: z.int().optional().describe('The limit, where there is one.'),
  requestsPerMinute: z.int().optional(),
});
