// Asks a Prometheus server instead of the pods: one query for a resource, whose answer is the signals of its pods.
// Rates are Prometheus' own: it scrapes more seldom than we look.
import { Agent, request } from 'undici';
import { z } from 'zod';
import type { Bucket } from './page.ts';
import type { PodSignals } from './signals.ts';

/** Rates reach so far back: at least two scrapes at usual intervals. */
const window = '2m';
/** A pod of which Prometheus heard nothing for longer says nothing of the present. */
const mostAgeSeconds = 90;
/** What is said of a pod may be so old, with the time of a look or two. */
export const lagMs = 120_000;
/** Names in answers by which the parts of the query are told apart. */
const labelOfSignal = 'quintet_signal';

export interface PrometheusOptions {
  /** Queries at once. Default 16. */
  concurrency?: number;
  /** For one query. Default 1 500 ms: a cycle waits for it. */
  timeoutMs?: number;
  /** Largest answer. Default 8 MiB. */
  maxBytes?: number;
}

export interface Question {
  /** Of the server, with a path where it has one. */
  url: string;
  namespace: string;
  /** Names of pods, and what their signals are kept under. */
  pods: ReadonlyMap<string, string>;
}

export class PrometheusError extends Error {
  override readonly name = 'PrometheusError';
}

const answer = z.object({
  status: z.literal('success'),
  data: z.object({
    resultType: z.literal('vector'),
    result: z.array(
      z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string().max(64)]) }),
    ),
  }),
});

export class Prometheus {
  readonly #concurrency: number;
  readonly #timeoutMs: number;
  readonly #agent: Agent;
  #isClosed = false;

  constructor(options: PrometheusOptions = {}) {
    this.#concurrency = options.concurrency ?? 16;
    this.#timeoutMs = options.timeoutMs ?? 1_500;
    this.#agent = new Agent({
      connections: this.#concurrency,
      connect: { timeout: this.#timeoutMs },
      maxResponseSize: options.maxBytes ?? 8 * 1024 * 1024,
    });
  }

  /** Signals of all pods that Prometheus knows lately; a question that fails is told to `onError`. Never throws. */
  async all(questions: readonly Question[], onError: (error: Error) => void): Promise<Map<string, PodSignals>> {
    const signals = new Map<string, PodSignals>();
    let next = 0;
    const work = async () => {
      for (let question = questions[next++]; question && !this.#isClosed; question = questions[next++]) {
        try {
          for (const [id, said] of await this.#ask(question)) signals.set(id, said);
        } catch (error) {
          onError(error instanceof Error ? error : new Error(String(error)));
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#concurrency, questions.length) }, work));
    return signals;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#agent.destroy();
  }

  async #ask({ url, namespace, pods }: Question): Promise<Map<string, PodSignals>> {
    if (pods.size === 0) return new Map();
    const { statusCode, body } = await request(`${url.replace(/\/+$/, '')}/api/v1/query`, {
      dispatcher: this.#agent,
      method: 'POST',
      signal: AbortSignal.timeout(this.#timeoutMs),
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams({ query: queryFor(namespace, [...pods.keys()]) }).toString(),
    });
    if (statusCode !== 200) {
      await body.dump({ limit: 4096 });
      throw new PrometheusError(`Prometheus answered ${statusCode}`);
    }
    const parsed = answer.safeParse(await body.json().catch(() => undefined));
    if (!parsed.success) throw new PrometheusError('this is no answer of Prometheus');
    return signalsOf(parsed.data.data.result, pods);
  }
}

/** Everything in one query: each part bears its name as a label. */
export function queryFor(namespace: string, pods: readonly string[]): string {
  const names = pods.map((name) => name.replaceAll('.', String.raw`\\.`)).join('|');
  const own = `namespace=${JSON.stringify(namespace)},pod=~"${names}"`;
  const sum = (inner: string, by = 'pod') => `sum by (${by}) (${inner})`;
  const rate = (metric: string, more = '') => sum(`rate(${metric}{${own}${more}}[${window}])`);
  const level = (metric: string) => sum(`${metric}{${own}}`);
  const parts: Record<string, string> = {
    age: `max by (pod) (time() - timestamp(quintet_requests_in_flight{${own}}))`,
    queueDepth: level('quintet_queue_depth'),
    concurrency: level('quintet_requests_in_flight'),
    requests: level('quintet_requests_total'),
    requestsPerSecond: rate('quintet_requests_total'),
    errorsPerSecond: rate('quintet_requests_total', ',status=~"5.."'),
    cpu: rate('process_cpu_seconds_total'),
    streams: level('quintet_streams_open'),
    cpuLimit: level('quintet_cpu_limit'),
    memory: level('process_resident_memory_bytes'),
    memoryLimit: level('quintet_memory_limit_bytes'),
    gpu: [`avg by (pod) (quintet_gpu_utilization{${own}})`, ...dcgm(namespace, names)].join(' or '),
    cacheHits: rate('quintet_cache_requests_total', ',source!="miss"'),
    cacheRequests: rate('quintet_cache_requests_total'),
    latency: sum(`increase(quintet_request_seconds_bucket{${own},route!~"/admin/.*"}[${window}])`, 'pod, le'),
  };
  return Object.entries(parts)
    .map(([name, part]) => `label_replace(${part}, "${labelOfSignal}", "${name}", "", "")`)
    .join(' or ');
}

/**
 * What dcgm-exporter says of the GPUs of pods: with labels of theirs, which Prometheus renames where it sets its own; of
 * partitioned GPUs it tells another metric.
 */
function dcgm(namespace: string, names: string): string[] {
  const labels = (prefix: string) => `${prefix}namespace=${JSON.stringify(namespace)},${prefix}pod=~"${names}"`;
  return ['DCGM_FI_DEV_GPU_UTIL{LABELS} / 100', 'DCGM_FI_PROF_GR_ENGINE_ACTIVE{LABELS}'].flatMap((metric) => {
    const renamed = metric.replace('LABELS', labels('exported_'));
    return [
      `avg by (pod) (${metric.replace('LABELS', labels(''))})`,
      `avg by (pod) (label_replace(${renamed}, "pod", "$1", "exported_pod", "(.*)"))`,
    ];
  });
}

type Series = z.infer<typeof answer>['data']['result'][number];

function signalsOf(result: readonly Series[], pods: ReadonlyMap<string, string>): Map<string, PodSignals> {
  const found = new Map<string, { values: Map<string, number>; buckets: Bucket[] }>();
  for (const { metric, value } of result) {
    const { pod = '', le, [labelOfSignal]: name = '' } = metric;
    const figure = numberOf(value[1]);
    if (!pods.has(pod)) continue;
    const known = found.get(pod) ?? { values: new Map<string, number>(), buckets: [] };
    found.set(pod, known);
    // What cannot be, a NaN or a negative, is unknown: an infinite or negative count makes its histogram unusable.
    if (name === 'latency') known.buckets.push({ le: numberOf(le) ?? Number.NaN, count: figure ?? Number.NaN });
    else if (figure !== undefined && Number.isFinite(figure) && figure >= 0) known.values.set(name, figure);
  }
  const signals = new Map<string, PodSignals>();
  for (const [pod, { values, buckets }] of found) {
    const id = pods.get(pod);
    const age = values.get('age');
    if (id === undefined || age === undefined || age > mostAgeSeconds) continue;
    signals.set(id, podSignals(values, buckets));
  }
  return signals;
}

/** As a pod's own page: an engine that has had nothing to count yet has had none. */
function podSignals(values: ReadonlyMap<string, number>, buckets: readonly Bucket[]): PodSignals {
  const of = (name: string) => values.get(name);
  const isMeasured = values.has('concurrency');
  const orNone = (name: string) => of(name) ?? (isMeasured ? 0 : undefined);
  // Without any request there is no rate of them; with some a rate takes two scrapes.
  const requests = orNone('requests');
  const rateOrNone = (name: string) => of(name) ?? (requests === 0 || values.has('requestsPerSecond') ? 0 : undefined);
  return {
    startedAt: undefined,
    queueDepth: orNone('queueDepth'),
    concurrency: of('concurrency'),
    requests,
    requestsPerSecond: rateOrNone('requestsPerSecond'),
    errorsPerSecond: rateOrNone('errorsPerSecond'),
    overloadsPerSecond: undefined,
    cpu: of('cpu'),
    cpuLimit: of('cpuLimit'),
    memory: of('memory'),
    memoryLimit: of('memoryLimit'),
    gpu: of('gpu'),
    cacheHits: of('cacheHits'),
    cacheRequests: of('cacheRequests'),
    // What only healing reads is read off the pods themselves.
    gpuTemperature: undefined,
    gpuErrors: undefined,
    batchShare: undefined,
    streams: orNone('streams'),
    latency: histogramOf(buckets),
  };
}

function histogramOf(buckets: readonly Bucket[]): Bucket[] | undefined {
  const sorted = [...buckets].sort((a, b) => a.le - b.le);
  const isWhole = sorted.every(({ le, count }) => !Number.isNaN(le) && Number.isFinite(count) && count >= 0);
  if (!isWhole) return undefined;
  // Extrapolated increases may differ by rounding: a cumulative histogram never falls.
  let most = 0;
  return sorted.map(({ le, count }) => ({ le, count: (most = Math.max(most, count)) }));
}

function numberOf(text: string | undefined): number | undefined {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === undefined || !/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return undefined;
  return Number(text);
}
