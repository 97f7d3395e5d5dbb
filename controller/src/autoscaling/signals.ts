// From two moments of a pod to what happened between them, and from many pods to the figures of the whole.
import type { Bucket, Figures } from './page.ts';

export interface Moment {
  /** Milliseconds. */
  at: number;
  figures: Figures;
}

/** One pod over a stretch of time; undefined where it is not known. */
export interface PodSignals {
  /** Of the process, in seconds: differs after a restart. */
  startedAt: number | undefined;
  /** Over which rates are; left out: not known. */
  seconds?: number;
  queueDepth: number | undefined;
  concurrency: number | undefined;
  /** Since the process started. */
  requests: number | undefined;
  requestsPerSecond: number | undefined;
  errorsPerSecond: number | undefined;
  /** Of these errors those that tell of too much load rather than of a fault. */
  overloadsPerSecond: number | undefined;
  /** CPUs in use, and those that the cgroup allows. */
  cpu: number | undefined;
  cpuLimit: number | undefined;
  /** Bytes. */
  memory: number | undefined;
  memoryLimit: number | undefined;
  /** Share of time that its GPUs were busy, 0 to 1. */
  gpu: number | undefined;
  cacheHits: number | undefined;
  cacheRequests: number | undefined;
  gpuTemperature: number | undefined;
  gpuErrors: number | undefined;
  batchShare: number | undefined;
  streams: number | undefined;
  /** Units a second by tenant. */
  units?: ReadonlyMap<string, number>;
  /** Requests by upper bound within the stretch; undefined: not known. */
  latency: readonly Bucket[] | undefined;
}

/** @param then The earlier moment; undefined for a pod seen for the first time: it has levels, but no rates yet. */
export function signalsOf(now: Moment, then: Moment | undefined, before: Moment | undefined): PodSignals {
  const { figures } = now;
  const since = then && restarted(now, then) ? { at: (figures.startedAt ?? 0) * 1000, figures: zero(figures) } : then;
  const seconds = since ? (now.at - since.at) / 1000 : 0;
  const rate = (name: CounterName): number | undefined => {
    const gained = since && gain(figures[name], since.figures[name]);
    return gained === undefined || seconds <= 0 ? undefined : finite(gained / seconds);
  };
  return {
    startedAt: figures.startedAt,
    ...(seconds > 0 && { seconds }),
    queueDepth: level(figures.queueDepth, before?.figures.queueDepth),
    concurrency: level(figures.inFlight, before?.figures.inFlight),
    requests: figures.requests,
    requestsPerSecond: rate('requests'),
    errorsPerSecond: rate('errors'),
    overloadsPerSecond: rate('overloads'),
    cpu: rate('cpuSeconds'),
    cpuLimit: figures.cpuLimit,
    memory: figures.memory,
    memoryLimit: figures.memoryLimit,
    gpu: figures.gpu,
    cacheHits: rate('cacheHits'),
    cacheRequests: rate('cacheRequests'),
    gpuTemperature: figures.gpuTemperature,
    gpuErrors: figures.gpuErrors,
    batchShare: figures.batchShare,
    streams: figures.streams,
    ...(since && figures.units && seconds > 0 && { units: unitRates(figures.units, since.figures.units, seconds) }),
    latency: since && bucketGain(figures.latency, since.figures.latency),
  };
}

type CounterName = 'requests' | 'errors' | 'overloads' | 'cpuSeconds' | 'cacheHits' | 'cacheRequests';

/** Levels jump from moment to moment: the mean of the last two is acted on. */
function level(now: number | undefined, before: number | undefined): number | undefined {
  return now === undefined || before === undefined ? now : (now + before) / 2;
}

/** By the process's own word; its start in the future is no word at all. */
function restarted(now: Moment, then: Moment): boolean {
  const [a, b] = [now.figures.startedAt, then.figures.startedAt];
  return a !== undefined && b !== undefined && a - b > 0.5 && a * 1000 < now.at;
}

/** Of what a page says in good faith every rate is. */
const finite = (rate: number): number | undefined => (Number.isFinite(rate) ? rate : undefined);

/** A counter that goes back without a restart lies: unknown, not a rate. */
function gain(now: number | undefined, then: number | undefined): number | undefined {
  return now === undefined || then === undefined || now < then ? undefined : now - then;
}

/** Who is new has used nothing before. */
function unitRates(
  now: ReadonlyMap<string, number>,
  then: ReadonlyMap<string, number> | undefined,
  seconds: number,
): Map<string, number> {
  const rates = new Map<string, number>();
  for (const [tenant, units] of now) {
    const gained = units - (then?.get(tenant) ?? 0);
    const rate = finite(gained / seconds);
    if (rate !== undefined && rate > 0) rates.set(tenant, rate);
  }
  return rates;
}

const zero = (figures: Figures): Figures => ({
  ...figures,
  units: new Map(),
  requests: 0,
  errors: 0,
  overloads: 0,
  cpuSeconds: 0,
  cacheHits: 0,
  cacheRequests: 0,
  latency: [],
});

function bucketGain(now: readonly Bucket[], then: readonly Bucket[]): Bucket[] | undefined {
  const earlier = new Map(then.map(({ le, count }) => [le, count]));
  const gained = now.map(({ le, count }) => ({ le, count: count - (earlier.get(le) ?? 0) }));
  return gained.some(({ count }) => count < 0) ? undefined : gained;
}

/** Counts of several pods, bound by bound; a pod with other bounds is left out rather than mixed in. */
export function mergeBuckets(pods: readonly (readonly Bucket[])[]): Bucket[] {
  const bounds = (buckets: readonly Bucket[]) => buckets.map(({ le }) => le).join();
  const filled = pods.filter((buckets) => buckets.length > 0);
  const kinds = new Map<string, number>();
  for (const buckets of filled) kinds.set(bounds(buckets), (kinds.get(bounds(buckets)) ?? 0) + 1);
  const common = [...kinds].sort((a, b) => b[1] - a[1])[0]?.[0];
  const merged = new Map<number, number>();
  for (const buckets of filled.filter((each) => bounds(each) === common))
    for (const { le, count } of buckets) merged.set(le, (merged.get(le) ?? 0) + count);
  return [...merged].map(([le, count]) => ({ le, count })).sort((a, b) => a.le - b.le);
}

/**
 * Quantile of a histogram by linear interpolation within a bucket, as Prometheus' histogram_quantile.
 * @returns Undefined without a request; the highest finite bound where it lies above all of them.
 */
export function quantile(q: number, buckets: readonly Bucket[]): number | undefined {
  const total = buckets.at(-1)?.count ?? 0;
  if (!(total > 0)) return undefined;
  const rank = q * total;
  const i = buckets.findIndex(({ count }) => count >= rank);
  const bucket = buckets[i];
  const below = buckets[i - 1];
  if (!bucket) return undefined;
  if (!Number.isFinite(bucket.le)) return below?.le;
  const from = below?.le ?? 0;
  const inside = bucket.count - (below?.count ?? 0);
  return inside <= 0 ? bucket.le : from + ((bucket.le - from) * (rank - (below?.count ?? 0))) / inside;
}
