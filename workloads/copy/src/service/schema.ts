// Requests and answers of the service, as zod: checked at the edge, and the source of the OpenAPI document.
import { priorities } from '@quintet/runtime';
import { z } from 'zod';
import { brief } from '../brief/brief.ts';
import { chatLogprobs, completionLogprobs, mostAlternatives } from '../models/logprobs.ts';
import { mostAnswers } from './config.ts';

const longestText = 1 << 20;
const text = z.string().max(longestText);

/** What may be said of every request, in OpenAI's spelling and with our own additions; null is as good as left out, as there. */
const common = {
  model: z.string().max(256).nullish().describe('As /v1/models lists it; left out, the one that is served.'),
  max_tokens: z.int().min(1).max(131_072).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(0).max(100_000).nullish().describe('0 looks at all tokens.'),
  repetition_penalty: z.number().min(0.01).max(10).nullish().describe('1 is none.'),
  n: z.int().min(1).max(mostAnswers).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().nullish() }).nullish(),
  stop: z.union([z.string().min(1).max(64), z.array(z.string().min(1).max(64)).max(8)]).nullish(),
  seed: z.int().min(0).max(2_147_483_647).nullish(),
  user: z.string().max(256).nullish(),
  priority: z.enum(priorities).nullish(),
  deadline_ms: z.int().min(1).max(3_600_000).nullish().describe('After it the request is given up.'),
  presence_penalty: z.literal(0).nullish().describe('Use repetition_penalty.'),
  frequency_penalty: z.literal(0).nullish().describe('Use repetition_penalty.'),
};

export const completionRequest = z.strictObject({
  ...common,
  prompt: text,
  echo: z.literal(false).nullish(),
  best_of: z.literal(1).nullish(),
  logprobs: z.int().min(0).max(mostAlternatives).nullish().describe('Chances, with so many of the likeliest.'),
  suffix: z.null().optional(),
});

const part = z.strictObject({ type: z.literal('text'), text });
export const chatRequest = z.strictObject({
  ...common,
  max_completion_tokens: common.max_tokens,
  messages: z
    .array(
      z.strictObject({
        role: z.enum(['system', 'developer', 'user', 'assistant']),
        content: z.union([text, z.array(part).min(1).max(64)]),
        name: z.string().max(64).nullish(),
      }),
    )
    .min(1)
    .max(1000),
  logprobs: z.boolean().nullish().describe('Chances of the tokens.'),
  top_logprobs: z.int().min(0).max(mostAlternatives).nullish().describe('So many of the likeliest; needs logprobs.'),
  response_format: z.strictObject({ type: z.literal('text') }).nullish(),
});

const usage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({ cached_tokens: z.int() }),
});
const finish = z.enum(['stop', 'length']);
const envelope = { id: z.string(), created: z.int(), model: z.string(), system_fingerprint: z.string(), usage };

export const completionAnswer = z.object({
  ...envelope,
  object: z.literal('text_completion'),
  choices: z.array(
    z.object({ index: z.int(), text: z.string(), finish_reason: finish, logprobs: completionLogprobs.nullable() }),
  ),
});
export const chatAnswer = z.object({
  ...envelope,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
      finish_reason: finish,
      logprobs: chatLogprobs.nullable(),
    }),
  ),
});
export const modelsAnswer = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      id: z.string(),
      object: z.literal('model'),
      created: z.int(),
      owned_by: z.string(),
      parent: z.string().nullable().describe('Of an adapter, the model that it changes.'),
    }),
  ),
});

export const copyRequest = z.strictObject({
  brief,
  template: z.string().max(63).default('aida').describe('As GET /v1/templates lists them.'),
  adapter: z.string().max(63).optional().describe("Brand, a name in the resource's adapters."),
  n: z.int().min(1).max(mostAnswers).optional().describe('Variants; left out, generation.sequences.'),
  seed: common.seed,
  temperature: common.temperature,
  maxTokens: common.max_tokens,
  priority: common.priority,
  deadlineMs: common.deadline_ms,
});

const check = z.object({
  name: z.enum(['Banned', 'Required', 'Length', 'Language', 'ReadingLevel', 'Numbers']),
  passed: z.boolean(),
  detail: z.string(),
});
export const copyAnswer = z.object({
  variants: z.array(
    z.object({ text: z.string(), score: z.number().describe('0 to 1; best first.'), checks: z.array(check) }),
  ),
  template: z.string(),
  writtenBy: z
    .enum(['Model', 'Template'])
    .describe('Template: no language model wrote this; a template was filled with the brief.'),
  model: z.string().optional(),
  modelRevision: z.string().optional(),
  promptRevision: z.string().optional(),
  source: z
    .string()
    .describe('miss, the tier of the cache, or semantic: written for another brief that means the same.'),
  similarity: z
    .number()
    .optional()
    .describe('With source semantic, or parts of it: least similarity of the two briefs.'),
  warnings: z.array(z.string()),
  usage: z.object({ promptTokens: z.int(), completionTokens: z.int() }),
});
export const templatesAnswer = z.object({
  templates: z.array(z.object({ name: z.string(), title: z.string(), needsModel: z.boolean() })),
});
