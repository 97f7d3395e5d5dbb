// CopyEngine: marketing copy by language models, in process, behind an OpenAI-compatible API, or on servers that the operator runs.
import { z } from 'zod';
import {
  gpu,
  gpuStatus,
  model,
  modelSource,
  pod,
  resources,
  scheduling,
  secretRef,
  statusBase,
  suspend,
} from './common.ts';
import { ageColumn, defineKind, type ResourceOf, replicasScale, statusColumn } from './definition.ts';
import {
  decimal,
  duration,
  httpUrl,
  int,
  keyed,
  list,
  memberOf,
  name,
  objectName,
  ruled,
  text,
  toggle,
} from './fields.ts';
import {
  batching,
  connection,
  figure,
  replicas,
  serviceMembers,
  serviceStatus,
  steadyMembers,
  trafficColumns,
} from './serving.ts';

const openai = ruled(
  z.object({
    endpoints: keyed(
      z.object({
        name: name().describe('Name.'),
        url: httpUrl().describe('Base URL, up to /v1.'),
        model: text(256).exactOptional().describe('Model asked for; left out, the first that it lists.'),
        secretRef: secretRef().exactOptional().describe('Secret with the API key.'),
        weight: int(0, 1000).default(1).describe('Share of requests; 0 only takes over.'),
        maxConcurrent: int(1, 100_000).default(64).describe('Requests in work at once.'),
        timeout: duration().default('60s').describe('Longest time until the first token.'),
      }),
      16,
    )
      .min(1)
      .describe('Servers.'),
    fallback: name().exactOptional().describe('Endpoint that takes over when the others are down.'),
    fallbackDuringStream: z
      .enum(['Error', 'Restart'])
      .default('Error')
      .describe('What happens to a stream whose server dies.'),
  }),
  {
    cel: '!has(self.fallback) || self.endpoints.exists(endpoint, endpoint.name == self.fallback)',
    holds: ({ endpoints, fallback }) =>
      fallback === undefined || endpoints.some((endpoint) => endpoint.name === fallback),
    message: 'fallback must be the name of one of endpoints',
    field: ['fallback'],
  },
);

const managed = z.object({
  server: z
    .enum(['VLLM', 'SGLang', 'TGI', 'LlamaServer'])
    .default('VLLM')
    .describe('Server that the operator runs beside the gateway.'),
  image: text(512).describe('Its image.'),
  args: list(z.string().max(1024), 64).exactOptional().describe('More arguments.'),
  port: int(1, 65_535).default(8000).describe('Port of its API.'),
  replicas: int(0, 1000).default(1).describe('Its pods; the gateway is scaled apart.'),
  tensorParallelSize: int(1, 64).exactOptional().describe('GPUs that share a model; left out, gpu.count.'),
  resources: resources('4', '16Gi'),
  cacheVolume: z
    .object({ claimName: objectName().describe('PersistentVolumeClaim.') })
    .exactOptional()
    .describe('Volume that keeps its downloads and compiled kernels.'),
});

const generation = z.object({
  maxLength: int(1, 131_072).default(512).describe('Most tokens of an answer.'),
  temperature: decimal().default('0.7').describe('Temperature; 0 is greedy.'),
  topP: decimal('Positive').default('0.9').describe('Nucleus.'),
  topK: int(0, 100_000).default(50).describe('Most likely tokens that are looked at; 0 is all.'),
  repetitionPenalty: decimal('Positive').default('1.1').describe('Penalty on tokens that stood before.'),
  sequences: int(1, 64).default(3).describe('Variants of an answer.'),
  seed: int(0, 2_147_483_647).exactOptional().describe('Seed; left out, a new one for each request.'),
  stop: list(text(64), 8).exactOptional().describe('Texts that end an answer.'),
  overflow: z.enum(['Refuse', 'Truncate']).default('Refuse').describe('What happens to a prompt beyond the context.'),
});

const guardrails = z.object({
  banned: list(text(256), 256).exactOptional().describe('Claims that must not stand in a variant.'),
  required: list(text(256), 64).exactOptional().describe('Terms that must stand in each.'),
  readingLevel: z.enum(['Plain', 'Standard', 'Expert', 'Any']).default('Any').describe('Hardest level.'),
  channels: keyed(
    z.object({
      name: name().describe('Channel, as briefs name it.'),
      maxCharacters: int(1, 100_000).describe('Longest text.'),
    }),
    32,
  )
    .exactOptional()
    .describe('Length for each channel.'),
  maxSimilarity: decimal().default('0.9').describe('Variants closer than this count as one.'),
  injection: z
    .enum(['Refuse', 'Report', 'None'])
    .default('Refuse')
    .describe('What happens to a brief that gives orders to the model.'),
  onViolation: z
    .enum(['Retry', 'Report', 'Refuse'])
    .default('Retry')
    .describe('What happens to a variant that breaks a rule.'),
});

const budgets = z.object({
  postgres: connection().exactOptional().describe("Postgres of the ledger. Left out, the chart's own."),
  prices: keyed(
    z.object({
      name: text(256).describe('Model.'),
      inputPerMillion: decimal().describe('Price of a million tokens in.'),
      outputPerMillion: decimal().describe('Price of a million tokens out.'),
    }),
    64,
  )
    .exactOptional()
    .describe('Price list.'),
  currency: z
    .enum(['USD', 'EUR', 'GBP', 'JPY', 'CHF', 'CNY', 'INR', 'BRL', 'AUD', 'CAD'])
    .default('USD')
    .describe('Currency of the prices.'),
  keys: keyed(
    z.object({
      name: text(253).describe('Client, a key of the Secret in auth.'),
      tokensPerDay: int(1, 1_000_000_000_000_000).exactOptional().describe('Tokens a day.'),
      costPerDay: decimal('Positive').exactOptional().describe('Money a day.'),
      costPerMonth: decimal('Positive').exactOptional().describe('Money a month.'),
    }),
    64,
  )
    .exactOptional()
    .describe('Budgets of clients; those of tenants are in tenants.'),
});

const adapter = z.object({
  name: name().describe('Brand, as requests name it.'),
  source: modelSource().describe('Where its files are.'),
  scale: decimal('Positive').default('1').describe('Strength.'),
});

const semanticCache = z.object({
  embedding: model().describe('ONNX sentence embedding.'),
  minSimilarity: decimal('Positive')
    .default('0.97')
    .describe('Smallest similarity of two briefs that share an answer.'),
});

const spec = ruled(
  z.object({
    runtime: z
      .enum(['LlamaCpp', 'Onnx', 'OpenAI', 'Managed', 'Template'])
      .default('LlamaCpp')
      .describe(
        'LlamaCpp and Onnx run in process; OpenAI calls servers; Managed runs one; Template fills templates and says so.',
      ),
    model: model()
      .extend({
        contextTokens: int(128, 1_048_576).default(2048).describe('Tokens of prompt and answer together.'),
        chatTemplate: text(8192).exactOptional().describe("Jinja template; left out, the model's own."),
        gpuLayers: int(0, 1000).exactOptional().describe('Layers on the GPU; left out, as many as fit.'),
      })
      .exactOptional()
      .describe('Model of LlamaCpp, Onnx and Managed.'),
    adapters: keyed(adapter, 32).exactOptional().describe('LoRA adapters, loaded hot.'),
    openai: openai.exactOptional().describe('With runtime OpenAI.'),
    managed: managed.exactOptional().describe('With runtime Managed.'),
    generation: generation.prefault({}).describe('What a request gets that does not say otherwise.'),
    prompts: z
      .object({
        configMap: z
          .object({ name: objectName().describe('ConfigMap; each key is a template or a voice.') })
          .describe('Where they are.'),
        revision: text(128).exactOptional().describe('Name of this version in metrics and answers.'),
      })
      .exactOptional()
      .describe('Brand voice and templates beside the built-in ones.'),
    guardrails: guardrails.prefault({}).describe('Checks of each variant.'),
    budgets: budgets.exactOptional().describe('Tokens and money; the ledger.'),
    semanticCache: semanticCache.exactOptional().describe('Also answers briefs that mean the same from the cache.'),
    routing: z
      .enum(['Prefix', 'LeastLoad'])
      .default('Prefix')
      .describe(
        'How one of openai.endpoints is chosen: prompts that begin alike to the same one, or the one with least in work; never a pod.',
      ),
    batching: batching(64, 512, '5ms').prefault({}).describe('Sequences in work at once.'),
    priorities: toggle().default('Enabled').describe('Requests may state a priority and a deadline.'),
    replicas: replicas().default(1),
    ...serviceMembers(),
    ...steadyMembers(),
    suspend: suspend(),
    resources: resources('2', '4Gi'),
    gpu: gpu().prefault({}).describe('GPUs of each pod; with runtime Managed, of each pod of the server.'),
    scheduling: scheduling().prefault({}).describe('Where pods run.'),
    pod: pod().exactOptional().describe('The few fields of a pod that people need.'),
  }),
  ...memberOf('runtime', { OpenAI: 'openai', Managed: 'managed' }),
  {
    cel: "!(self.runtime in ['LlamaCpp', 'Onnx']) || has(self.model)",
    holds: ({ runtime, model: mounted }) => !['LlamaCpp', 'Onnx'].includes(runtime) || mounted !== undefined,
    message: 'model is required when runtime is LlamaCpp or Onnx (runtime Template needs none)',
    field: ['model'],
  },
  {
    cel: "!has(self.model) || !(self.runtime in ['OpenAI', 'Template'])",
    holds: ({ runtime, model: mounted }) => mounted === undefined || !['OpenAI', 'Template'].includes(runtime),
    message: 'model is not used when runtime is OpenAI or Template: name it in openai.endpoints, or leave it out',
    field: ['model'],
  },
  {
    cel: "!has(self.adapters) || self.runtime in ['LlamaCpp', 'Managed']",
    holds: ({ runtime, adapters }) => adapters === undefined || ['LlamaCpp', 'Managed'].includes(runtime),
    message: 'adapters need runtime LlamaCpp or Managed',
    field: ['adapters'],
  },
  {
    cel: '!has(self.model) || self.generation.maxLength < self.model.contextTokens',
    holds: ({ model: mounted, generation: { maxLength } }) =>
      mounted === undefined || maxLength < mounted.contextTokens,
    message: 'generation.maxLength must be below model.contextTokens: the prompt needs room',
    field: ['generation', 'maxLength'],
  },
);

const status = z.object({
  ...statusBase(),
  ...serviceStatus(),
  runtime: z.string().max(64).exactOptional().describe('Runtime that serves.'),
  generation: z
    .object({
      tokensPerSecond: figure().describe('Tokens a second, over all pods.'),
      firstTokenP95: figure().describe('95th percentile of the time to the first token.'),
    })
    .exactOptional()
    .describe('Latest figures.'),
  endpoints: keyed(
    z.object({
      name: name().describe('Endpoint.'),
      healthy: z.boolean().exactOptional().describe('Whether it answers.'),
      message: z.string().max(1024).exactOptional().describe('Why not.'),
    }),
    16,
  )
    .exactOptional()
    .describe('Servers.'),
  gpu: gpuStatus().exactOptional().describe('GPUs.'),
});

const [replicasColumn, ...figures] = trafficColumns;

export const copyEngine = defineKind({
  kind: 'CopyEngine',
  plural: 'copyengines',
  shortNames: ['ce', 'copy'],
  description: 'Marketing copy by language models: briefs turned into ranked variants, OpenAI-compatible.',
  spec,
  status,
  scale: replicasScale,
  printerColumns: [
    statusColumn,
    { name: 'Runtime', type: 'string', jsonPath: '.spec.runtime', description: 'Runtime.' },
    replicasColumn,
    {
      name: 'Tokens/s',
      type: 'string',
      jsonPath: '.status.generation.tokensPerSecond',
      description: 'Tokens a second.',
    },
    ...figures,
    ageColumn,
  ],
});

export type CopyEngine = ResourceOf<typeof copyEngine>;
export type CopyEngineSpec = z.output<typeof spec>;
export type CopyEngineStatus = z.output<typeof status>;
