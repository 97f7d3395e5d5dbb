// Predictive prefetch: learns what a tenant asks for after what, fetches ahead, measures how often it was right, and stops while it is poor.
import { LRUCache } from 'lru-cache';
import { counter, gauge, type Registry } from '../metrics.ts';

export interface PrefetchOptions<Request> {
  name: string;
  /** Identity of a request within its tenant. */
  keyOf: (request: Request) => string;
  /** Does the work ahead; its result is expected in the cache. */
  fetch: (tenant: string, request: Request, signal: AbortSignal) => Promise<unknown>;
  /** Share of predictions that must come true; 0.5 when left out. */
  minPrecision?: number;
  /** Predictions over which precision is measured; 50 when left out. */
  window?: number;
  /** Requests of the same tenant within which a prediction must come true; 10 when left out. */
  horizon?: number;
  /** Least share of past successions that makes a prediction; 0.6 when left out. */
  minConfidence?: number;
  /** Fetches at a time; 2 when left out. Beyond it none is begun. */
  concurrency?: number;
  /** Requests remembered, over all tenants; 10 000 when left out. */
  maxKeys?: number;
  /** Bytes of a request, and how many the remembered requests may have together; unbounded when left out. */
  sizeOf?: (request: Request) => number;
  maxSize?: number;
  registry?: Registry;
}

export interface Prefetcher<Request> {
  /** Tells of a request that was made. May begin a fetch; never waits for it and never throws. */
  observe: (tenant: string, request: Request) => void;
  /** Share of the last predictions that came true; undefined before the first was judged. */
  readonly precision: number | undefined;
  /** False while precision is poor: predictions are still judged, but nothing is fetched. */
  readonly active: boolean;
  /** Resolves when the fetches under way have ended. */
  settled: () => Promise<void>;
  close: () => void;
}

interface Successors<Request> {
  total: number;
  next: Map<string, { request: Request; count: number }>;
}

/** Successors remembered of one request. */
const fanOut = 8;

export function prefetcher<Request>(options: PrefetchOptions<Request>): Prefetcher<Request> {
  const {
    minPrecision = 0.5,
    window = 50,
    horizon = 10,
    minConfidence = 0.6,
    concurrency = 2,
    maxKeys = 10_000,
  } = options;
  const { sizeOf, maxSize } = options;
  const model = new LRUCache<string, Successors<Request>>({
    max: maxKeys,
    ...(sizeOf && maxSize !== undefined
      ? {
          maxSize,
          sizeCalculation: ({ next }) => [...next.values()].reduce((sum, { request }) => sum + sizeOf(request), 1),
        }
      : {}),
  });
  const tenants = new LRUCache<string, { last: string; open: Map<string, number>; count: number }>({ max: 1000 });
  const verdicts: boolean[] = [];
  const running = new Set<Promise<unknown>>();
  const closing = new AbortController();
  const outcomes =
    options.registry &&
    counter(options.registry, 'quintet_prefetch_predictions_total', 'Judged predictions.', ['prefetch', 'came_true']);
  const share =
    options.registry &&
    gauge(options.registry, 'quintet_prefetch_precision', 'Share of the last predictions that came true.', [
      'prefetch',
    ]);
  const activity =
    options.registry &&
    gauge(options.registry, 'quintet_prefetch_active', '1 while predictions are fetched.', ['prefetch']);

  const precision = () => (verdicts.length === 0 ? undefined : verdicts.filter(Boolean).length / verdicts.length);
  // Judged on at least a fifth of the window, so that one unlucky start does not end it.
  const active = () => verdicts.length < window / 5 || (precision() ?? 1) >= minPrecision;
  const judge = (cameTrue: boolean) => {
    verdicts.push(cameTrue);
    if (verdicts.length > window) verdicts.shift();
    outcomes?.inc({ prefetch: options.name, came_true: String(cameTrue) });
    share?.set({ prefetch: options.name }, precision() ?? 0);
    activity?.set({ prefetch: options.name }, active() ? 1 : 0);
  };

  const learn = (from: string, key: string, request: Request) => {
    const before = model.get(from);
    // Another object, as the size of one that is put again is not taken again.
    const known: Successors<Request> = { total: (before?.total ?? 0) + 1, next: before?.next ?? new Map() };
    const successor = known.next.get(key);
    if (successor) successor.count += 1;
    else if (known.next.size < fanOut) known.next.set(key, { request, count: 1 });
    else forgetRarest(known);
    model.set(from, known);
  };

  const predict = (from: string): Request | undefined => {
    const known = model.get(from);
    if (!known || known.total < 2) return undefined;
    const [likeliest] = [...known.next.values()].sort((a, b) => b.count - a.count);
    return likeliest && likeliest.count / known.total >= minConfidence ? likeliest.request : undefined;
  };

  const begin = (tenant: string, request: Request) => {
    if (!active() || closing.signal.aborted || running.size >= concurrency) return;
    const work = Promise.resolve()
      .then(() => options.fetch(tenant, request, closing.signal))
      .catch(() => undefined)
      .finally(() => running.delete(work));
    running.add(work);
  };

  return {
    observe: (tenant, request) => {
      const key = options.keyOf(request);
      const seen = tenants.get(tenant) ?? { last: '', open: new Map<string, number>(), count: 0 };
      tenants.set(tenant, seen);
      seen.count += 1;
      if (seen.open.delete(key)) judge(true);
      for (const [predicted, at] of seen.open) {
        if (seen.count - at < horizon) break;
        seen.open.delete(predicted);
        judge(false);
      }
      // The tenant is part of what is learned: nobody's habits show in another's cache.
      if (seen.last !== '' && seen.last !== key) learn(`${tenant}\0${seen.last}`, key, request);
      seen.last = key;
      const next = predict(`${tenant}\0${key}`);
      if (next === undefined || seen.open.has(options.keyOf(next))) return;
      seen.open.set(options.keyOf(next), seen.count);
      begin(tenant, next);
    },
    get precision() {
      return precision();
    },
    get active() {
      return active();
    },
    settled: async () => {
      await Promise.all(running);
    },
    close: () => closing.abort(),
  };
}

function forgetRarest<Request>(known: Successors<Request>): void {
  let rarest: string | undefined;
  for (const [key, { count }] of known.next)
    if (rarest === undefined || count < (known.next.get(rarest)?.count ?? 0)) rarest = key;
  if (rarest !== undefined) known.next.delete(rarest);
}
