// Reads what decisions need off a metrics page in Prometheus' text format. Pages come from pods: one that is malformed,
// huge or lying must cost nothing but its own pod's voice.

/** Totals of one pod at one moment; undefined where its page does not tell, or tells nonsense. */
export interface Figures {
  /** Of the process: differs after a restart, when counters begin anew. */
  startedAt: number | undefined;
  queueDepth: number | undefined;
  inFlight: number | undefined;
  requests: number | undefined;
  errors: number | undefined;
  /** Errors by which a pod says that it has too much to do, or that it ends. */
  overloads: number | undefined;
  cpuSeconds: number | undefined;
  cpuLimit: number | undefined;
  memory: number | undefined;
  memoryLimit: number | undefined;
  /** Share of time that its GPUs were busy, averaged, 0 to 1. */
  gpu: number | undefined;
  cacheHits: number | undefined;
  cacheRequests: number | undefined;
  /** Degrees Celsius of its hottest GPU, and memory errors that its GPUs could not correct. */
  gpuTemperature: number | undefined;
  gpuErrors: number | undefined;
  /** Of the items at once that the spec allows; undefined: it makes no batches. */
  batchShare: number | undefined;
  /** Connections and answers that last: WebSockets, event streams. */
  streams: number | undefined;
  /** Units used by tenants since the process started; left out: it counts none. */
  units?: ReadonlyMap<string, number>;
  /** Cumulative counts by upper bound in seconds, ascending; the last bound is infinite. */
  latency: readonly Bucket[];
}

export interface Bucket {
  le: number;
  count: number;
}

/** More lines than an engine ever writes. */
const maxLines = 50_000;

export class PageError extends Error {
  override readonly name = 'PageError';
}

/**
 * @param withUnits Whether those of tenants are read: who bills alone needs them.
 * @throws PageError where the page is not one, or a figure that decisions need is nonsense.
 */
export function readPage(text: string, withUnits = false): Figures {
  const found = new Map<string, Sample[]>();
  const seen = new Set<string>();
  let lines = 0;
  for (let start = 0; start < text.length; ) {
    if (++lines > maxLines) throw new PageError(`more than ${maxLines} lines`);
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    const sample = text.charCodeAt(start) === hash ? undefined : sampleOf(text, start, end);
    start = end + 1;
    if (!sample) continue;
    // A series told twice is a lie about one of the two.
    if (seen.has(sample.series)) throw new PageError(`${sample.series} stands twice`);
    seen.add(sample.series);
    const known = found.get(sample.name);
    if (known) known.push(sample);
    else found.set(sample.name, [sample]);
  }
  if (found.size === 0) throw new PageError('no metric of an engine');
  return figuresOf(found, withUnits);
}

interface Sample {
  name: string;
  series: string;
  labels: string;
  value: number;
}

const hash = 35;
const wanted = new Set([
  'quintet_queue_depth',
  'quintet_requests_in_flight',
  'quintet_requests_total',
  'quintet_errors_total',
  'quintet_request_seconds_bucket',
  'quintet_cpu_limit',
  'quintet_memory_limit_bytes',
  'quintet_gpu_utilization',
  'quintet_gpu_temperature_celsius',
  'quintet_gpu_uncorrected_errors',
  'quintet_batch_share',
  'quintet_streams_open',
  'quintet_cache_requests_total',
  'quintet_tenant_units_total',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'process_start_time_seconds',
]);

/** Undefined: a line that nobody here needs. */
function sampleOf(text: string, start: number, end: number): Sample | undefined {
  const first = text.charCodeAt(start);
  // Only "quintet_…" and "process_…" matter; the rest is skipped without a copy.
  if (first !== 0x71 && first !== 0x70) return undefined;
  let stop = start;
  while (stop < end && isNameCode(text.charCodeAt(stop))) stop += 1;
  const name = text.slice(start, stop);
  if (!wanted.has(name)) return undefined;
  let labels = '';
  let rest = stop;
  if (text.charCodeAt(stop) === 0x7b) {
    const close = closingBrace(text, stop + 1, end);
    if (close === -1) throw new PageError(`${name}: labels do not end`);
    labels = text.slice(stop + 1, close);
    rest = close + 1;
  }
  const [figure = '', , more] = text.slice(rest, end).trim().split(/\s+/);
  const value = numberOf(figure);
  if (value === undefined || more !== undefined) throw new PageError(`${name}: not a number`);
  return { name, series: `${name}{${labels}}`, labels, value };
}

const isNameCode = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) || code === 0x5f || (code >= 0x30 && code <= 0x3a) || (code >= 0x41 && code <= 0x5a);

/** A brace inside a quoted label value does not close. */
function closingBrace(text: string, from: number, end: number): number {
  let quoted = false;
  for (let i = from; i < end; i++) {
    const code = text.charCodeAt(i);
    if (quoted && code === 0x5c) i += 1;
    else if (code === 0x22) quoted = !quoted;
    else if (code === 0x7d && !quoted) return i;
  }
  return -1;
}

function numberOf(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text);
  if (/^\+?Inf$/i.test(text)) return Number.POSITIVE_INFINITY;
  if (/^-Inf$/i.test(text)) return Number.NEGATIVE_INFINITY;
  return /^NaN$/i.test(text) ? Number.NaN : undefined;
}

function figuresOf(found: ReadonlyMap<string, Sample[]>, withUnits: boolean): Figures {
  const of = (name: string, keep?: (labels: string) => boolean) => sum(found.get(name), keep);
  const requests = of('quintet_requests_total');
  const gpus = found.get('quintet_gpu_utilization');
  const busy = sum(gpus);
  const units = withUnits ? found.get('quintet_tenant_units_total') : undefined;
  return {
    startedAt: of('process_start_time_seconds'),
    // A pod that measures its requests and has no queue has nothing waiting.
    queueDepth: found.has('quintet_queue_depth') ? of('quintet_queue_depth') : none(found),
    inFlight: of('quintet_requests_in_flight'),
    requests: requests ?? none(found, 'quintet_requests_total'),
    errors: found.has('quintet_requests_total')
      ? of('quintet_requests_total', (labels) => /(^|,)\s*status="5\d\d"/.test(labels))
      : none(found),
    overloads:
      of('quintet_errors_total', (labels) => /(^|,)\s*code="(OVERLOADED|DEADLINE_\w+|DRAINING)"/.test(labels)) ??
      none(found, 'quintet_errors_total'),
    cpuSeconds: of('process_cpu_seconds_total'),
    cpuLimit: of('quintet_cpu_limit'),
    memory: of('process_resident_memory_bytes'),
    memoryLimit: of('quintet_memory_limit_bytes'),
    gpu: busy === undefined || !gpus ? undefined : Math.min(1, busy / gpus.length),
    cacheHits: found.has('quintet_cache_requests_total')
      ? of('quintet_cache_requests_total', (labels) => !/(^|,)\s*source="miss"/.test(labels))
      : undefined,
    cacheRequests: of('quintet_cache_requests_total'),
    gpuTemperature: hottest(found.get('quintet_gpu_temperature_celsius')),
    gpuErrors: of('quintet_gpu_uncorrected_errors'),
    batchShare: of('quintet_batch_share'),
    streams: of('quintet_streams_open'),
    ...(units && { units: unitsOf(units) }),
    latency: bucketsOf(found.get('quintet_request_seconds_bucket')),
  };
}

/** Each is a series of ours: more than that are nobody's. */
const mostTenants = 500;

function unitsOf(samples: readonly Sample[]): Map<string, number> {
  const units = new Map<string, number>();
  for (const { labels, value } of samples) {
    const tenant = /(?:^|,)\s*tenant="([^"\\]{1,128})"/.exec(labels)?.[1];
    if (tenant === undefined || !Number.isFinite(value) || value < 0 || units.size >= mostTenants) continue;
    // A copy: a part of the page would keep the whole of it alive.
    units.set(Buffer.from(tenant).toString(), value);
  }
  return units;
}

/** Zero for an engine that has had nothing to count yet; unknown where the page is not an engine's. */
function none(found: ReadonlyMap<string, Sample[]>, lacking?: string): number | undefined {
  if (lacking && found.has(lacking)) return undefined;
  return found.has('quintet_requests_in_flight') ? 0 : undefined;
}

/** Undefined where there is nothing, or anything that cannot be: a sum of nonsense is nonsense. */
function sum(samples: readonly Sample[] | undefined, keep?: (labels: string) => boolean): number | undefined {
  if (!samples) return undefined;
  let total = 0;
  for (const { labels, value } of samples) {
    if (!Number.isFinite(value) || value < 0) return undefined;
    if (!keep || keep(labels)) total += value;
  }
  return Number.isFinite(total) ? total : undefined;
}

function hottest(samples: readonly Sample[] | undefined): number | undefined {
  return sum(samples) === undefined ? undefined : Math.max(...(samples ?? []).map(({ value }) => value));
}

function bucketsOf(samples: readonly Sample[] | undefined): Bucket[] {
  const byBound = new Map<number, number>();
  for (const { labels, value } of samples ?? []) {
    // What operators do says nothing about the speed of answers.
    if (labels.includes('route="/admin/')) continue;
    const le = numberOf(/(?:^|,)\s*le="([^"]*)"/.exec(labels)?.[1] ?? '');
    if (le === undefined || Number.isNaN(le) || !Number.isFinite(value) || value < 0) return [];
    byBound.set(le, (byBound.get(le) ?? 0) + value);
  }
  const buckets = [...byBound].map(([le, count]) => ({ le, count })).sort((a, b) => a.le - b.le);
  const isCumulative = buckets.every(({ count }, i) => i === 0 || count >= (buckets[i - 1]?.count ?? 0));
  return isCumulative ? buckets : [];
}
