// CompressionService: context compression for language models, as a service.
import { z } from 'zod';
import { gpu, gpuStatus, model, pod, resources, scheduling, statusBase, suspend } from './common.ts';
import { ageColumn, defineKind, type ResourceOf, replicasScale, statusColumn } from './definition.ts';
import {
  bytes,
  dataName,
  decimal,
  duration,
  httpUrl,
  int,
  keyed,
  list,
  name,
  objectName,
  ruled,
  set,
  text,
  toggle,
} from './fields.ts';
import {
  batching,
  connection,
  replicas,
  serviceMembers,
  serviceStatus,
  steadyMembers,
  trafficColumns,
} from './serving.ts';

const strategies = [
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
const contentTypes = ['Prose', 'Code', 'JSON', 'Logs', 'Markdown', 'Scientific', 'Legal', 'Tabular'] as const;

const compression = z.object({
  defaultRatio: int(1, 64).default(8).describe('Ratio of a request that states none: 8 keeps an eighth of the tokens.'),
  maxRatio: int(1, 64).default(32).describe('Largest ratio a request may ask for.'),
  strategy: z
    .enum(strategies)
    .default('Auto')
    .describe('Strategy of a request that states none; Auto goes by content.'),
  strategies: keyed(
    z.object({
      contentType: z.enum(contentTypes).describe('Type of content.'),
      strategy: z.enum(strategies).describe('Strategy for it.'),
    }),
    8,
    'contentType',
  )
    .exactOptional()
    .describe('Strategies for types of content, instead of those that Auto has learned.'),
  tokenizer: z
    .enum(['o200k_base', 'cl100k_base', 'p50k_base', 'r50k_base'])
    .default('o200k_base')
    .describe('Tokenizer of the counts.'),
  fidelity: z
    .enum(['Measure', 'Sample', 'None'])
    .default('Measure')
    .describe('Measures what was kept, in each answer or in one of twenty.'),
  feedback: toggle().default('Enabled').describe('Learns strategies from measured fidelity.'),
  latencyBudget: duration()
    .exactOptional()
    .describe('After it a request gets its text back unchanged, with the reason.'),
  maxInputTokens: int(1, 10_000_000).default(200_000).describe('Longest text; longer ones are refused.'),
  plugins: keyed(
    z.object({
      name: name().describe('Name of the strategy that it adds.'),
      configMap: z
        .object({
          name: objectName().describe('ConfigMap.'),
          key: dataName().default('index.js').describe('Key of its JavaScript module.'),
        })
        .describe('Where its code is. Who may write it may run code in the pods.'),
    }),
    16,
  )
    .exactOptional()
    .describe('Strategies of your own.'),
});

const conversations = z.object({
  protectedRoles: set(z.enum(['System', 'User', 'Assistant', 'Tool']), 4)
    .default(['System'])
    .describe('Roles whose messages are kept as they are.'),
  keepLast: int(0, 1000).default(2).describe('Latest messages that are kept as they are.'),
  policies: list(
    ruled(
      z.object({
        role: z
          .enum(['System', 'User', 'Assistant', 'Tool'])
          .exactOptional()
          .describe('Role that it is for; left out, any.'),
        tool: text(128).exactOptional().describe('Tool whose results it is for.'),
        tag: text(128).exactOptional().describe('Tag that it is for.'),
        ratio: int(1, 64).exactOptional().describe('Ratio.'),
        strategy: z.enum(strategies).exactOptional().describe('Strategy; Frequency counts as Auto in messages.'),
        protect: z.boolean().default(false).describe('Kept as it is.'),
      }),
      {
        cel: '!self.protect || !has(self.ratio)',
        holds: ({ protect, ratio }) => !protect || ratio === undefined,
        message: 'ratio has no effect with protect: true',
        field: ['ratio'],
      },
    ),
    32,
  )
    .exactOptional()
    .describe('The first that fits a message counts; protected roles come before.'),
});

const originals = z.object({
  mode: z.enum(['Kept', 'Dropped']).default('Kept').describe('Kept ones come back by the marker in the answer.'),
  retention: duration().default('24h').describe('How long.'),
  redis: connection().exactOptional().describe("Redis that holds them. Left out, the cache's."),
  postgres: connection().exactOptional().describe('Postgres that holds them, instead of Redis.'),
});

const jobs = z.object({
  priorities: set(z.enum(['High', 'Normal', 'Low']), 3)
    .min(1)
    .default(['High', 'Normal', 'Low'])
    .describe('Priorities, most urgent first.'),
  retention: duration().default('24h').describe('How long a result is kept.'),
  maxQueued: int(1, 10_000_000)
    .default(10_000)
    .describe('Most jobs that wait; more are answered 503. With auth a tenant gets half.'),
  redis: connection().exactOptional().describe("Redis that holds the queue. Left out, the chart's own."),
});

const regions = ruled(
  z.object({
    strategy: z.enum(['Latency', 'Capacity', 'Geography']).default('Latency').describe('How a peer is chosen.'),
    region: name().exactOptional().describe('Name of this region.'),
    peers: keyed(
      z.object({
        name: name().describe('Name of the region.'),
        url: httpUrl().describe('Address of its service.'),
        weight: int(0, 1000).default(1).describe('Share among equals; 0 only takes over.'),
      }),
      16,
    )
      .min(1)
      .describe('Other regions.'),
    healthCheck: z
      .object({
        interval: duration().default('10s').describe('Time between checks.'),
        timeout: duration().default('2s').describe('Time a check may take.'),
        failures: int(1, 100).default(3).describe('Failures in a row that take a peer out.'),
      })
      .prefault({})
      .describe('When a peer counts as down.'),
  }),
  {
    cel: "self.strategy != 'Geography' || has(self.region)",
    holds: ({ strategy, region }) => strategy !== 'Geography' || region !== undefined,
    message: 'region is required when strategy is Geography',
    field: ['region'],
  },
);

const spec = ruled(
  z.object({
    compression: compression.prefault({}).describe('What a request gets that does not say otherwise.'),
    model: model()
      .extend({ threshold: decimal().default('0').describe('Words that score less go even where the rate has room.') })
      .exactOptional()
      .describe('ONNX token classifier for the strategy Model, tokenizer.json beside it.'),
    embedding: model()
      .exactOptional()
      .describe('ONNX sentence embedding, tokenizer.json beside it; adds similarity to fidelity.'),
    conversations: conversations.prefault({}).describe('Lists of messages.'),
    originals: originals.prefault({}).describe('The texts that were compressed.'),
    batching: batching(32, 1024, '20ms').prefault({}).describe('Batches of the model.'),
    jobs: jobs.prefault({}).describe('Asynchronous requests.'),
    streaming: z
      .object({
        maxConnections: int(1, 1_000_000).default(10_000).describe('Most open connections in each pod.'),
        maxMessageSize: bytes().default('1Mi').describe('Largest chunk.'),
      })
      .prefault({})
      .describe('WebSocket.'),
    regions: regions.exactOptional().describe('Other regions that take over.'),
    replicas: replicas().default(1),
    ...serviceMembers(),
    ...steadyMembers(),
    suspend: suspend(),
    resources: resources('1', '1Gi'),
    gpu: gpu().prefault({}).describe('GPUs of each pod; used by model and embedding.'),
    scheduling: scheduling().prefault({}).describe('Where pods run.'),
    pod: pod().exactOptional().describe('The few fields of a pod that people need.'),
  }),
  {
    cel: "self.compression.strategy != 'Model' || has(self.model)",
    holds: ({ compression: { strategy }, model: mounted }) => strategy !== 'Model' || mounted !== undefined,
    message: 'model is required when compression.strategy is Model',
    field: ['model'],
  },
  {
    cel: 'self.compression.defaultRatio <= self.compression.maxRatio',
    holds: ({ compression: { defaultRatio, maxRatio } }) => defaultRatio <= maxRatio,
    message: 'compression.defaultRatio must not exceed compression.maxRatio',
    field: ['compression', 'defaultRatio'],
  },
);

const status = z.object({ ...statusBase(), ...serviceStatus(), gpu: gpuStatus().exactOptional().describe('GPUs.') });

export const compressionService = defineKind({
  kind: 'CompressionService',
  plural: 'compressionservices',
  shortNames: ['cmp', 'compression'],
  description: 'Context compression for language models: fewer tokens, what was kept measured and returned.',
  spec,
  status,
  scale: replicasScale,
  printerColumns: [statusColumn, ...trafficColumns, ageColumn],
});

export type CompressionService = ResourceOf<typeof compressionService>;
export type CompressionServiceSpec = z.output<typeof spec>;
export type CompressionServiceStatus = z.output<typeof status>;
