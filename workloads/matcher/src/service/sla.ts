// How the service does: rolling windows of latency and errors against thresholds, and what is unusual for it.
export interface WindowFigures {
  readonly seconds: number;
  readonly requests: number;
  readonly errorRate: number;
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
  readonly #latency = new Deviation();
  readonly #errors = new Deviation();
  readonly #anomalies: Anomaly[] = [];

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  record(milliseconds: number, { error, hit }: { error: boolean; hit: boolean }): void {
    const bucket = this.#bucket();
    bucket.requests++;
    bucket.total += milliseconds;
    if (error) bucket.errors++;
    if (hit) bucket.hits++;
    const at = classOf(milliseconds);
    bucket.latencies[at] = (bucket.latencies[at] as number) + 1;
  }

  windows(): WindowFigures[] {
    const now = this.#now() / 1000;
    return windows.map((seconds) => {
      const buckets = this.#buckets.filter(({ second }) => second > now - seconds - interval);
      const latencies = new Uint32Array(classes);
      let [requests, errors, hits] = [0, 0, 0];
      for (const bucket of buckets) {
        requests += bucket.requests;
        errors += bucket.errors;
        hits += bucket.hits;
        for (let i = 0; i < classes; i++) latencies[i] = (latencies[i] as number) + (bucket.latencies[i] as number);
      }
      const quantile = (q: number) => quantileOf(latencies, requests, q);
      return {
        seconds,
        requests,
        errorRate: requests === 0 ? 0 : errors / requests,
        hitRate: requests === 0 ? 0 : hits / requests,
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
    const busy = minute.requests > 0;
    return {
      cpu: levelOf(use.cpu, thresholds.cpu),
      memory: levelOf(use.memory, thresholds.memory),
      latencyP95: levelOf(minute.p95, thresholds.latencyP95),
      errorRate: levelOf(minute.errorRate, thresholds.errorRate),
      hitRate: busy ? levelOf(-minute.hitRate, [-thresholds.hitRate[0], -thresholds.hitRate[1]]) : 'Ok',
    };
  }

  #bucket(): Bucket {
    const second = Math.floor(this.#now() / 1000 / interval) * interval;
    const last = this.#buckets.at(-1);
    if (last?.second === second) return last;
    if (last) this.#judge(last);
    const bucket = { second, requests: 0, errors: 0, hits: 0, total: 0, latencies: new Uint32Array(classes) };
    this.#buckets.push(bucket);
    if (this.#buckets.length > keptBuckets) this.#buckets.shift();
    return bucket;
  }

  /** A finished interval against those before it. */
  #judge({ second, requests, errors, total }: Bucket): void {
    if (requests === 0) return;
    for (const [metric, value, deviation] of [
      ['latency', total / requests, this.#latency],
      ['errors', errors / requests, this.#errors],
    ] as const) {
      const found = deviation.next(value);
      if (!found) continue;
      this.#anomalies.push({ at: second * 1000, metric, value, ...found });
      if (this.#anomalies.length > 100) this.#anomalies.shift();
    }
  }
}

/**
 * Tells values that lie more than two standard deviations above the last sixty, twice in a row: once alone happens to
 * one in 44 values of normal noise, twice in a row to about one in 1 900 (2.3 % squared).
 */
export class Deviation {
  readonly #values: number[] = [];
  #above = 0;

  next(value: number): { expected: number; deviations: number } | undefined {
    const known = this.#values;
    const count = known.length;
    const expected = known.reduce((sum, each) => sum + each, 0) / Math.max(1, count);
    const variance = known.reduce((sum, each) => sum + (each - expected) ** 2, 0) / Math.max(1, count - 1);
    // Values that hardly vary would make a hair's breadth unusual: five per cent of the mean is the least deviation.
    const deviations = (value - expected) / Math.max(Math.sqrt(variance), 0.05 * Math.abs(expected), 1e-3);
    const unusual = count >= 12 && deviations > 2;
    this.#above = unusual ? this.#above + 1 : 0;
    // What is unusual does not become usual at once: it is taken in at the limit.
    known.push(unusual ? expected + 2 * Math.max(Math.sqrt(variance), 0.05 * Math.abs(expected), 1e-3) : value);
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
