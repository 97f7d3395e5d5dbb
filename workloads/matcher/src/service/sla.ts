// How the service does: rolling windows of latency and errors against thresholds, and what is unusual for it.
export interface WindowFigures {
  readonly seconds: number;
  readonly requests: number;
  readonly errorRate: number;
  /** Of the requests that asked the cache: those with an image. */
  readonly lookups: number;
  readonly hitRate: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export type AlertLevel = 'Ok' | 'Warning' | 'Critical';

export interface Anomaly {
  readonly at: number;
  readonly metric: 'latency' | 'errors';
  readonly value: number;
  readonly expected: number;
  /** Standard deviations from what was usual. */
  readonly deviations: number;
}

/** Warning and critical; the hit rate alerts when it falls. */
export const thresholds = {
  cpu: [0.7, 0.9],
  memory: [0.75, 0.9],
  latencyP95: [1500, 2000],
  errorRate: [0.02, 0.05],
  hitRate: [0.6, 0.4],
} as const;

interface Bucket {
  second: number;
  requests: number;
  errors: number;
  lookups: number;
  hits: number;
  total: number;
  /** Counts by latency, a tenth of an octave wide. */
  readonly latencies: Uint32Array;
}

const windows = [60, 300, 3600] as const;
const interval = 10;
const keptBuckets = 3600 / interval;
const classes = 200;

export class ServiceLevels {
  readonly #now: () => number;
  readonly #buckets: Bucket[] = [];
  /** Of logarithms: latencies vary by factors. */
  readonly #latency = new Deviation(() => 0.05);
  readonly #errors = new Deviation((expected) => Math.max(0.05 * expected, 1e-3));
  readonly #anomalies: Anomaly[] = [];

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** @param hit Left out where the cache was not asked. */
  record(milliseconds: number, { error, hit }: { error: boolean; hit?: boolean | undefined }): void {
    const bucket = this.#bucket();
    bucket.requests++;
    bucket.total += milliseconds;
    if (error) bucket.errors++;
    if (hit !== undefined) bucket.lookups++;
    if (hit) bucket.hits++;
    const at = classOf(milliseconds);
    bucket.latencies[at] = (bucket.latencies[at] as number) + 1;
  }

  windows(): WindowFigures[] {
    const now = this.#now() / 1000;
    return windows.map((seconds) => {
      const buckets = this.#buckets.filter(({ second }) => second > now - seconds - interval);
      const latencies = new Uint32Array(classes);
      let [requests, errors, lookups, hits] = [0, 0, 0, 0];
      for (const bucket of buckets) {
        requests += bucket.requests;
        errors += bucket.errors;
        lookups += bucket.lookups;
        hits += bucket.hits;
        for (let i = 0; i < classes; i++) latencies[i] = (latencies[i] as number) + (bucket.latencies[i] as number);
      }
      const quantile = (q: number) => quantileOf(latencies, requests, q);
      return {
        seconds,
        requests,
        errorRate: requests === 0 ? 0 : errors / requests,
        lookups,
        hitRate: lookups === 0 ? 0 : hits / lookups,
        p50: quantile(0.5),
        p95: quantile(0.95),
        p99: quantile(0.99),
      };
    });
  }

  /** The last hundred, latest first. */
  anomalies(): readonly Anomaly[] {
    this.#bucket();
    return [...this.#anomalies].reverse();
  }

  /** Of the last minute, and of what the process uses (0..1 of its limits). */
  alerts(use: { cpu: number; memory: number }): Record<keyof typeof thresholds, AlertLevel> {
    const [minute] = this.windows() as [WindowFigures];
    return {
      cpu: levelOf(use.cpu, thresholds.cpu),
      memory: levelOf(use.memory, thresholds.memory),
      latencyP95: levelOf(minute.p95, thresholds.latencyP95),
      errorRate: levelOf(minute.errorRate, thresholds.errorRate),
      hitRate: minute.lookups > 0 ? levelOf(-minute.hitRate, [-thresholds.hitRate[0], -thresholds.hitRate[1]]) : 'Ok',
    };
  }

  #bucket(): Bucket {
    const second = Math.floor(this.#now() / 1000 / interval) * interval;
    const last = this.#buckets.at(-1);
    if (last?.second === second) return last;
    if (last) this.#judge(last);
    const bucket = {
      second,
      requests: 0,
      errors: 0,
      lookups: 0,
      hits: 0,
      total: 0,
      latencies: new Uint32Array(classes),
    };
    this.#buckets.push(bucket);
    if (this.#buckets.length > keptBuckets) this.#buckets.shift();
    return bucket;
  }

  /** A finished interval against those before it. */
  #judge({ second, requests, errors, total }: Bucket): void {
    if (requests === 0) return;
    const [mean, rate] = [total / requests, errors / requests];
    const slow = this.#latency.next(Math.log(Math.max(mean, 1e-3)));
    const failing = this.#errors.next(rate);
    const at = second * 1000;
    if (slow) this.#tell({ ...slow, at, metric: 'latency', value: mean, expected: Math.exp(slow.expected) });
    if (failing) this.#tell({ ...failing, at, metric: 'errors', value: rate });
  }

  #tell(anomaly: Anomaly): void {
    this.#anomalies.push(anomaly);
    if (this.#anomalies.length > 100) this.#anomalies.shift();
  }
}

/**
 * Tells values that lie more than two standard deviations above the last sixty, twice in a row. Of normal noise that is about one value in a
 * thousand, as the tests hold: 2.3 % squared, and as much again because mean and deviation are themselves of sixty values. At one value in ten seconds
 * that is a false alarm in some three hours.
 */
export class Deviation {
  readonly #values: number[] = [];
  /** Values that hardly vary would make a hair's breadth unusual: no deviation is taken for less. */
  readonly #least: (expected: number) => number;
  #above = 0;

  constructor(least: (expected: number) => number) {
    this.#least = least;
  }

  next(value: number): { expected: number; deviations: number } | undefined {
    const known = this.#values;
    const count = known.length;
    const expected = known.reduce((sum, each) => sum + each, 0) / Math.max(1, count);
    const variance = known.reduce((sum, each) => sum + (each - expected) ** 2, 0) / Math.max(1, count - 1);
    const deviation = Math.max(Math.sqrt(variance), this.#least(expected));
    const deviations = (value - expected) / deviation;
    const unusual = count >= 12 && deviations > 2;
    this.#above = unusual ? this.#above + 1 : 0;
    // What is unusual does not become usual at once: it is taken in at the limit.
    known.push(unusual ? expected + 2 * deviation : value);
    if (known.length > 60) known.shift();
    return this.#above >= 2 ? { expected, deviations } : undefined;
  }
}

function levelOf(value: number, [warning, critical]: readonly [number, number]): AlertLevel {
  return value >= critical ? 'Critical' : value >= warning ? 'Warning' : 'Ok';
}

function classOf(milliseconds: number): number {
  return Math.max(0, Math.min(classes - 1, Math.round(10 * Math.log2(Math.max(milliseconds, 0.01) / 0.01))));
}

function quantileOf(latencies: Uint32Array, count: number, quantile: number): number {
  if (count === 0) return 0;
  let below = 0;
  for (let i = 0; i < classes; i++) {
    below += latencies[i] as number;
    if (below >= quantile * count) return Number((0.01 * 2 ** (i / 10)).toPrecision(3));
  }
  return Number.POSITIVE_INFINITY;
}
