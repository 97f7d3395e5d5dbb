// MatcherPool: image and profile matching for content protection, as a service over one durable index.
import { z } from 'zod';
import { gpu, gpuStatus, model, pod, resources, scheduling, secretRef, statusBase, suspend } from './common.ts';
import { ageColumn, defineKind, type ResourceOf, replicasScale, statusColumn } from './definition.ts';
import {
  bytes,
  decimal,
  duration,
  httpUrl,
  int,
  keyed,
  name,
  percentage,
  ruled,
  set,
  text,
  time,
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

const similarity = () => decimal();

const hashing = z.object({
  maxDistance: int(0, 255).default(31).describe('Largest Hamming distance of two PDQ hashes that match.'),
  minQuality: int(0, 100).default(50).describe('Images of less quality are not judged by their hash.'),
  variants: z.enum(['Dihedral', 'None']).default('Dihedral').describe('Dihedral finds turned and mirrored images.'),
  crops: toggle().default('Enabled').describe('Finds crops and overlays by local features, at level Accuracy.'),
});

const embedding = model().extend({
  precision: z
    .enum(['FP32', 'FP16', 'INT8'])
    .exactOptional()
    .describe('Variant of the model; left out, the level decides.'),
  minSimilarity: similarity().default('0.75').describe('Smallest cosine similarity of a match.'),
  imageSize: int(16, 4096).default(224).describe('Edge of the square input.'),
  mean: set3().exactOptional().describe('Mean of each channel; left out, that of ImageNet.'),
  standardDeviation: set3().exactOptional().describe('Standard deviation of each channel; left out, that of ImageNet.'),
  output: text(128).exactOptional().describe('Name of the output; left out, the first.'),
  instances: z
    .object({
      min: int(1, 64).default(1).describe('Fewest copies in each pod.'),
      max: int(1, 64).default(2).describe('Most copies in each pod.'),
    })
    .prefault({})
    .describe('Copies of the model, grown and shrunk under load.'),
});

const bank = z.object({
  name: name().describe('Name.'),
  kind: z.enum(['Positive', 'Negative']).default('Positive').describe('A negative bank suppresses matches of others.'),
  maxDistance: int(0, 255).exactOptional().describe('As hashing.maxDistance, for this bank.'),
  enabledRatio: percentage().default('100%').describe('Share of its items that is in force, decided by content.'),
  suppresses: set(name(), 32).exactOptional().describe('Negative: banks whose matches it suppresses; left out, all.'),
});

const exchange = z.object({
  imports: keyed(
    z.object({
      name: name().describe('Name; stands in the provenance of each item.'),
      url: httpUrl().describe('Address of the feed.'),
      bank: name().describe('Bank that the items go to.'),
      interval: duration().default('15m').describe('Time between fetches.'),
      secretRef: secretRef().exactOptional().describe('Secret with a bearer token.'),
    }),
    16,
  )
    .exactOptional()
    .describe('Feeds that are read; withdrawals in them are followed.'),
  export: toggle().default('Disabled').describe('Serves a feed of the own items.'),
  webhooks: keyed(
    z.object({
      name: name().describe('Name.'),
      url: httpUrl().describe('Address that is called on a match.'),
      secretRef: secretRef().describe('Secret with the key that signs the call (HMAC-SHA-256).'),
      retries: int(0, 100).default(10).describe('How often a failed call is tried again.'),
      banks: set(name(), 32).exactOptional().describe('Banks that it is for; left out, all.'),
    }),
    16,
  )
    .exactOptional()
    .describe('Calls on a match.'),
});

const spec = ruled(
  z.object({
    level: z
      .enum(['Speed', 'Balanced', 'Accuracy', 'Memory'])
      .default('Balanced')
      .describe('What a request gets that does not say otherwise.'),
    hashing: hashing.prefault({}).describe('Perceptual hashes.'),
    embedding: embedding.exactOptional().describe('ONNX image embedding; adds what hashes cannot see.'),
    profiles: z
      .object({
        weight: percentage().default('30%').describe('Share of the profile in a verdict on both.'),
        minSimilarity: similarity().default('0.85').describe('Smallest similarity of a match by profile alone.'),
        phonetic: toggle().default('Enabled').describe('Compares names by sound too.'),
      })
      .prefault({})
      .describe('Names, aliases and attributes.'),
    banks: keyed(bank, 32).exactOptional().describe('Collections of items; left out, one called default.'),
    exchange: exchange.exactOptional().describe('Feeds and webhooks.'),
    index: z
      .object({
        capacity: int(1, 1_000_000_000).default(1_000_000).describe('Items that memory is planned for.'),
        shards: int(1, 256)
          .default(1)
          .describe('Parts over which items are spread by their number; each needs a pod at least, two to lose one.'),
        missingShard: z
          .enum(['Refuse', 'Degrade'])
          .default('Refuse')
          .describe(
            'While no pod answers for a shard: queries are refused with 503, or the verdict names what is missing.',
          ),
        postgres: connection().exactOptional().describe("Postgres of record. Left out, the chart's own."),
        snapshot: z
          .object({
            storageClassName: name().exactOptional().describe("StorageClass; left out, the cluster's default."),
            storage: bytes().default('10Gi').describe('Size.'),
          })
          .exactOptional()
          .describe(
            'A volume for each pod that keeps its snapshot over restarts of its container; left out, scratch space. Both go with the pod.',
          ),
        refresh: duration()
          .default('500ms')
          .describe('Time between looks for changes; a change is everywhere within 2s.'),
      })
      .prefault({})
      .describe('The items.'),
    quarantine: z
      .object({
        itemsPerMinute: int(1, 1_000_000)
          .default(1000)
          .describe('Registrations of one client above which they wait for a person.'),
      })
      .exactOptional()
      .describe('Holds back a flood of new items.'),
    images: z
      .object({
        maxSize: bytes().default('20Mi').describe('Largest file.'),
        maxPixels: int(1, 1_000_000_000).default(50_000_000).describe('Most pixels after decoding.'),
      })
      .prefault({})
      .describe('What is accepted.'),
    batching: batching(32, 1024, '50ms').prefault({ optimalSize: 16 }).describe('Batches of the embedding.'),
    replicas: replicas().default(1),
    ...serviceMembers(),
    ...steadyMembers(),
    suspend: suspend(),
    resources: resources('1', '2Gi'),
    gpu: gpu().prefault({}).describe('GPUs of each pod; used by embedding.'),
    scheduling: scheduling().prefault({}).describe('Where pods run.'),
    pod: pod().exactOptional().describe('The few fields of a pod that people need.'),
  }),
  {
    cel: '!has(self.embedding) || self.embedding.instances.min <= self.embedding.instances.max',
    holds: ({ embedding: mounted }) => mounted === undefined || mounted.instances.min <= mounted.instances.max,
    message: 'embedding.instances.min must not exceed embedding.instances.max',
    field: ['embedding', 'instances', 'min'],
  },
  {
    cel: 'has(self.autoscaling) ? self.autoscaling.minReplicas == 0 || self.index.shards <= self.autoscaling.minReplicas : self.replicas == 0 || self.index.shards <= self.replicas',
    holds: ({ autoscaling, index, replicas: pods }) => {
      const fewest = autoscaling === undefined ? pods : autoscaling.minReplicas;
      return fewest === 0 || index.shards <= fewest;
    },
    message: 'index.shards must not exceed replicas (or autoscaling.minReplicas): each shard needs a pod',
    field: ['index', 'shards'],
  },
);

const status = z.object({
  ...statusBase(),
  ...serviceStatus(),
  index: z
    .object({
      items: z.int().min(0).exactOptional().describe('Items in force.'),
      disabled: z.int().min(0).exactOptional().describe('Items that are disabled.'),
      quarantined: z.int().min(0).exactOptional().describe('Items that wait for a person.'),
      age: z.string().max(64).exactOptional().describe('How far the slowest replica is behind, at most.'),
      position: z.int().min(0).exactOptional().describe('Last change of the record that every replica has read.'),
      snapshotTime: time().exactOptional().describe('When the last snapshot was written.'),
    })
    .exactOptional()
    .describe('The items.'),
  gpu: gpuStatus().exactOptional().describe('GPUs.'),
});

const [replicasColumn, ...figures] = trafficColumns;

export const matcherPool = defineKind({
  kind: 'MatcherPool',
  plural: 'matcherpools',
  shortNames: ['mp', 'matcher'],
  description:
    'Image and profile matching for content protection: hashes, embeddings and names over one durable index.',
  spec,
  status,
  scale: replicasScale,
  printerColumns: [
    statusColumn,
    replicasColumn,
    { name: 'Items', type: 'integer', jsonPath: '.status.index.items', description: 'Items in force.' },
    ...figures,
    ageColumn,
  ],
});

export type MatcherPool = ResourceOf<typeof matcherPool>;
export type MatcherPoolSpec = z.output<typeof spec>;
export type MatcherPoolStatus = z.output<typeof status>;

/** One number for each of the three colour channels. */
function set3() {
  return z.array(decimal()).length(3).meta({ 'x-kubernetes-list-type': 'atomic' });
}
