// Blocks of everything that serves requests: replicas, autoscaling, caches, access, objectives, healing, rollouts, traffic.
import { z } from 'zod';
import { secretRef } from './common.ts';
import type { PrinterColumn } from './definition.ts';
import {
  bytes,
  decimal,
  duration,
  httpUrl,
  int,
  keyed,
  list,
  name,
  ordered,
  patterned,
  percentage,
  ruled,
  time,
} from './fields.ts';

export const replicas = () =>
  int(0, 1000).describe('Pods when nothing scales them; also what /scale sets. Ignored while autoscaling is set.');

/** What the autoscaler can aim at; each target is per pod, latencies and percentages are the whole's. */
const metricTypes = [
  'QueueDepth',
  'Concurrency',
  'RequestsPerSecond',
  'LatencyP95',
  'ErrorRate',
  'CPU',
  'Memory',
  'GPU',
] as const;

const scalingRules = z.object({
  stabilizationWindowSeconds: int(0, 3600).exactOptional().describe('How far back recommendations are looked at.'),
  selectPolicy: z.enum(['Max', 'Min', 'Disabled']).default('Max').describe('Which policy counts.'),
  policies: list(
    z.object({
      type: z.enum(['Pods', 'Percent']).describe('Unit of value.'),
      value: int(1, 10_000).describe('Largest change in the period.'),
      periodSeconds: int(1, 1800).describe('Period.'),
    }),
    4,
  )
    .exactOptional()
    .describe('Largest changes allowed.'),
  tolerance: decimal().exactOptional().describe('Change of the metric that is not acted on, such as "0.1".'),
});

export const autoscaling = () =>
  ruled(
    z.object({
      minReplicas: int(0, 1000).default(1).describe('Fewest pods; 0 allows scale to zero.'),
      maxReplicas: int(1, 1000).describe('Most pods.'),
      metrics: keyed(
        z.object({
          type: z.enum(metricTypes).describe('What is measured.'),
          target: patterned(
            '^(0*[1-9][0-9]*(\\.[0-9]+)?|0+\\.0*[1-9][0-9]*)(%|ms|s)?$',
            32,
            'must be a number above zero in quotes, a percentage or a duration, such as "4", 70% or 800ms',
          ).describe('Aim: a number ("4"), a percentage of the request or device (70%), or a duration (800ms).'),
        }),
        8,
        'type',
      )
        .min(1)
        .default([{ type: 'QueueDepth', target: '4' }])
        .describe('The metric that asks for most pods wins.'),
      behavior: z
        .object({
          scaleUp: scalingRules.exactOptional().describe('Growing.'),
          scaleDown: scalingRules.exactOptional().describe('Shrinking.'),
        })
        .exactOptional()
        .describe('As in the HorizontalPodAutoscaler, with its defaults.'),
      predictive: z
        .object({
          mode: z
            .enum(['WhenBetter', 'Observe', 'None'])
            .default('WhenBetter')
            .describe('WhenBetter acts while the forecast beats the naive one.'),
          horizon: duration().default('10m').describe('How far ahead.'),
        })
        .exactOptional()
        .describe('Scaling ahead of the load, from its own history.'),
      scaleToZero: z
        .object({ after: duration().default('10m').describe('Idle time before the last pod goes.') })
        .exactOptional()
        .describe('With minReplicas 0.'),
      source: z
        .object({ prometheusURL: httpUrl().exactOptional().describe('Prometheus to ask instead of the pods.') })
        .exactOptional()
        .describe('Where metrics come from.'),
    }),
    ordered('minReplicas', 'maxReplicas'),
    {
      cel: "self.metrics.all(metric, metric.type != 'LatencyP95' || metric.target.endsWith('s'))",
      holds: ({ metrics }) => metrics.every(({ type, target }) => type !== 'LatencyP95' || target.endsWith('s')),
      message: 'metrics: the target of LatencyP95 must be a duration such as 800ms',
      field: ['metrics'],
    },
    {
      cel: "self.metrics.all(metric, !(metric.type in ['CPU', 'Memory', 'GPU', 'ErrorRate']) || metric.target.endsWith('%'))",
      holds: ({ metrics }) =>
        metrics.every(
          ({ type, target }) => !['CPU', 'Memory', 'GPU', 'ErrorRate'].includes(type) || target.endsWith('%'),
        ),
      message: 'metrics: the target of CPU, Memory, GPU and ErrorRate must be a percentage such as 70%',
      field: ['metrics'],
    },
    {
      cel: "self.metrics.all(metric, !(metric.type in ['QueueDepth', 'Concurrency', 'RequestsPerSecond']) || metric.target.matches('^[0-9.]+$'))",
      holds: ({ metrics }) =>
        metrics.every(
          ({ type, target }) =>
            !['QueueDepth', 'Concurrency', 'RequestsPerSecond'].includes(type) || /^[0-9.]+$/.test(target),
        ),
      message:
        'metrics: the target of QueueDepth, Concurrency and RequestsPerSecond must be a plain number such as "4"',
      field: ['metrics'],
    },
    {
      cel: '!has(self.scaleToZero) || self.minReplicas == 0',
      holds: ({ scaleToZero, minReplicas }) => scaleToZero === undefined || minReplicas === 0,
      message: 'scaleToZero needs minReplicas: 0',
      field: ['scaleToZero'],
    },
  );

/** Where Redis, Postgres and the like are: a Secret that holds a URL. */
export const connection = () => z.object({ secretRef: secretRef().describe('Secret with the key url.') });

export const cache = () =>
  z.object({
    memory: z
      .object({
        maxEntries: int(0, 100_000_000).exactOptional().describe('Most entries.'),
        maxSize: bytes().exactOptional().describe('Most bytes, such as 256Mi.'),
      })
      .exactOptional()
      .describe('First tier, in the process (LRU).'),
    disk: z
      .object({ maxSize: bytes().default('1Gi').describe('Most bytes.') })
      .exactOptional()
      .describe('Second tier, on disk (LFU); survives restarts of the container.'),
    redis: connection().exactOptional().describe("Third tier, shared. Left out, the chart's own if there is one."),
    memcached: z
      .object({
        servers: list(
          patterned(
            '^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?:[0-9]{1,5}$',
            260,
            'must be a host and port, such as cache:11211',
          ),
          16,
        )
          .min(1)
          .describe('Host and port of each; keys are spread over them.'),
      })
      .exactOptional()
      .describe('Third tier instead of Redis; limits and what was purged are still shared through Redis.'),
    ttl: duration().default('1h').describe('Longest life of an entry.'),
    compression: z.enum(['Enabled', 'Disabled']).default('Enabled').describe('Compresses entries of the shared tier.'),
    encryption: z
      .object({ secretRef: secretRef().describe('Secret with a 32-byte key.') })
      .exactOptional()
      .describe('AES-GCM for the shared tier and the disk.'),
    prefetch: z.enum(['Enabled', 'Disabled']).default('Disabled').describe('Computes likely next requests while idle.'),
  });

export const auth = () =>
  z.object({
    secretRef: secretRef().describe(
      'Secret whose keys are clients and whose values are their bearer tokens, one a line, of 16 characters or more.',
    ),
  });

export const cors = () =>
  z.object({ origins: list(httpUrl(), 16).min(1).describe('Origins that browsers may call from.') });

export const rateLimits = () =>
  z.object({
    perClient: z
      .object({
        requests: int(1, 10_000_000).describe('Requests in the window.'),
        window: duration().default('1m').describe('Window.'),
        blockFor: duration().default('5m').describe('How long a client that goes on is blocked.'),
      })
      .exactOptional()
      .describe('For each token, or each address where there is none.'),
    maxConcurrent: int(1, 1_000_000)
      .exactOptional()
      .describe('Requests in work at once in each pod; more are answered 429.'),
    maxBodySize: bytes().exactOptional().describe('Largest request body.'),
  });

export const tenants = () =>
  keyed(
    z.object({
      name: name().describe('Tenant, as the token names it.'),
      requestsPerMinute: int(1, 1_000_000_000).exactOptional().describe('Requests a minute.'),
      tokensPerDay: int(1, 1_000_000_000_000_000).exactOptional().describe('Tokens a day.'),
      costPerMonth: decimal().exactOptional().describe('Money a month, in the currency of the price list.'),
      weight: int(1, 1000).default(1).describe('Share when tenants compete.'),
    }),
    64,
  );

export const objectives = () =>
  z.object({
    latencyP95: duration().exactOptional().describe('95th percentile of the answer time.'),
    availability: patterned('^(100|[0-9]{1,2}(\\.[0-9]{1,4})?)$', 16, 'must be percent in quotes, such as "99.9"')
      .exactOptional()
      .describe('Percent of requests answered without error, such as "99.9".'),
    cacheHitRate: percentage().exactOptional().describe('Share of answers from the cache.'),
  });

export const healing = () =>
  z.object({
    mode: z.enum(['Act', 'Observe', 'None']).default('Act').describe('Observe says what it would do.'),
    maxActionsPerHour: int(0, 60).default(6).describe('Budget of actions.'),
  });

const analysis = z.object({
  interval: duration().default('1m').describe('Time between judgements.'),
  minRequests: int(0, 1_000_000).default(20).describe('Fewest requests for a judgement.'),
  maxErrorRate: percentage().default('1%').describe('Above it the new revision is taken back.'),
  maxLatencyIncrease: percentage().default('20%').describe('As maxErrorRate, for the p95 against the old revision.'),
});

export const rollout = () =>
  ruled(
    z.object({
      strategy: z.enum(['Rolling', 'Canary', 'ABTest']).default('Rolling').describe('How a new revision comes in.'),
      canary: z
        .object({
          steps: list(
            z.object({
              weight: percentage().describe('Share of requests.'),
              pause: duration().default('2m').describe('Time at this share.'),
            }),
            10,
          )
            .min(1)
            .default([
              { weight: '10%', pause: '2m' },
              { weight: '50%', pause: '2m' },
            ])
            .describe('Steps to full weight.'),
          analysis: analysis.prefault({}).describe('When it is taken back.'),
        })
        .exactOptional()
        .describe('With strategy Canary; its defaults when left out.'),
      abTest: z
        .object({
          weight: percentage().default('50%').describe('Share of the new revision.'),
          duration: duration().default('24h').describe('Time until the better one is kept.'),
          header: patterned('^[A-Za-z0-9-]+$', 64, 'must be the name of an HTTP header')
            .exactOptional()
            .describe('Header that keeps a client on one side.'),
          analysis: analysis.prefault({}).describe('When it is taken back.'),
        })
        .exactOptional()
        .describe('With strategy ABTest; its defaults when left out.'),
    }),
    {
      cel: "!has(self.canary) || self.strategy == 'Canary'",
      holds: ({ canary, strategy }) => canary === undefined || strategy === 'Canary',
      message: 'canary needs strategy: Canary',
      field: ['canary'],
    },
    {
      cel: "!has(self.abTest) || self.strategy == 'ABTest'",
      holds: ({ abTest, strategy }) => abTest === undefined || strategy === 'ABTest',
      message: 'abTest needs strategy: ABTest',
      field: ['abTest'],
    },
  );

/** Requests gathered into batches; both bounds are adapted from measured latency. */
export const batching = (maxSize: number, largest: number, maxWait: string) =>
  ruled(
    z.object({
      maxSize: int(1, largest).default(maxSize).describe('Most requests in a batch.'),
      optimalSize: int(1, largest).exactOptional().describe('Size to start from; it is adapted from measured latency.'),
      maxWait: duration().default(maxWait).describe('Longest wait for a batch to fill.'),
    }),
    ordered('optimalSize', 'maxSize', true),
  );

/** The spec members that every service has besides its own. */
export const serviceMembers = () => ({
  autoscaling: autoscaling().exactOptional().describe('Own autoscaler. For an HPA or KEDA on /scale leave it out.'),
  cache: cache().exactOptional().describe('Cache tiers; the tenant is part of every key.'),
  auth: auth().exactOptional().describe('Bearer tokens. Left out, anyone in reach of the Service may call.'),
  cors: cors().exactOptional().describe('Calls from browsers.'),
  rateLimits: rateLimits().exactOptional().describe('Limits for each client.'),
  tenants: tenants().exactOptional().describe('Quotas.'),
  objectives: objectives().exactOptional().describe('What is aimed at, alerted on and judged by.'),
});

/** As `serviceMembers`, of kinds that are always services. */
export const steadyMembers = () => ({
  healing: healing().prefault({}).describe('Self-healing.'),
  rollout: rollout().prefault({}).describe('How changes come in.'),
});

export const trafficColumns = [
  { name: 'Replicas', type: 'integer', jsonPath: '.status.replicas', description: 'Pods.' },
  { name: 'RPS', type: 'string', jsonPath: '.status.traffic.requestsPerSecond', description: 'Requests a second.' },
  {
    name: 'P95',
    type: 'string',
    jsonPath: '.status.traffic.latencyP95',
    description: '95th percentile of the answer time.',
  },
  {
    name: 'Hit',
    type: 'string',
    jsonPath: '.status.traffic.cacheHitRate',
    description: 'Share of answers from the cache.',
  },
] as const satisfies PrinterColumn[];

/** The status members that every service has. */
export const serviceStatus = () => ({
  replicas: int(0, 100_000).exactOptional().describe('Pods, as /scale reports them.'),
  readyReplicas: int(0, 100_000).exactOptional().describe('Pods that serve.'),
  selector: z.string().max(1024).exactOptional().describe('Label selector, as /scale reports it.'),
  url: z.string().max(2048).exactOptional().describe('Address inside the cluster.'),
  traffic: z
    .object({
      requestsPerSecond: figure().describe('Requests a second.'),
      latencyP95: figure().describe('95th percentile.'),
      errorRate: figure().describe('Share of errors.'),
      cacheHitRate: figure().describe('Share of answers from the cache.'),
    })
    .exactOptional()
    .describe('Latest figures.'),
  autoscaling: z
    .object({
      desired: int(0, 100_000).exactOptional().describe('Pods asked for.'),
      reason: z.string().max(1024).exactOptional().describe('Why.'),
      lastScaleTime: time().exactOptional().describe('When it last changed.'),
      forecast: z
        .object({
          at: time().exactOptional().describe('Moment.'),
          replicas: int(0, 100_000).exactOptional().describe('Pods then.'),
          error: figure().describe('Measured error.'),
        })
        .exactOptional()
        .describe('Prediction.'),
      recommendation: z.string().max(1024).exactOptional().describe('Better requests, min or max.'),
    })
    .exactOptional()
    .describe('Last decision.'),
  healing: z
    .object({
      lastAction: z.string().max(1024).exactOptional().describe('What was done.'),
      lastActionTime: time().exactOptional().describe('When.'),
      actionsLastHour: int(0, 1000).exactOptional().describe('How many.'),
    })
    .exactOptional()
    .describe('Self-healing.'),
  rollout: z
    .object({
      revision: z.string().max(128).exactOptional().describe('Revision that serves.'),
      candidate: z.string().max(128).exactOptional().describe('Revision that comes in.'),
      weight: z.string().max(16).exactOptional().describe('Its share.'),
      message: z.string().max(1024).exactOptional().describe('Why it waits or was taken back.'),
    })
    .exactOptional()
    .describe('Revisions.'),
  model: z
    .object({
      name: z.string().max(253).exactOptional().describe('Model.'),
      revision: z.string().max(128).exactOptional().describe('Version.'),
      percent: int(0, 100).exactOptional().describe('How much of it is fetched.'),
    })
    .exactOptional()
    .describe('Model that is loaded.'),
  usage: z
    .object({
      gpuHours: figure().describe('GPU-hours.'),
      cpuHours: figure().describe('CPU-hours.'),
      cost: figure().describe('Price of both.'),
      countedUntil: time().exactOptional().describe('Until when these figures are counted.'),
    })
    .exactOptional()
    .describe('Cost since creation.'),
});

/** A figure in a status: text, never refused for its form. */
export const figure = () => z.string().max(64).exactOptional();
