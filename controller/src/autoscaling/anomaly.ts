// Figures of a whole service that are more than two standard deviations off what is usual of it: for alerts, whether there is
// a remedy or not.
import { memoryShare } from './rules/rule.ts';
import { noted, type Usual, unknown } from './rules/usual.ts';
import { mergeBuckets, type PodSignals, quantile } from './signals.ts';

export const figures = ['LatencyP95', 'ErrorRate', 'RequestsPerSecond', 'HitRate', 'Memory'] as const;
export type Figure = (typeof figures)[number];

export interface Watched {
  usual: Usual;
  /** Looks in a row in which it was unusual. */
  off: number;
  /** Standard deviations from the mean; undefined: what is usual is not known yet, or what is now is not. */
  sigmas: number | undefined;
}

export type Anomalies = ReadonlyMap<Figure, Watched>;

/** Standard deviations from which a figure is unusual. */
const unusualAbove = 2;
/** Weight of the newest look: half is forgotten after 17 minutes. */
const weight = 0.02;
/** Looks from which it is known what is usual: ten minutes. */
const usualLooks = 20;
/** Twenty minutes of it are a new normal, which is learnt from its beginning. */
const newNormalLooks = 40;
/** Answers and requests a second below which a share of them says nothing. */
const leastAnswers = 20;
const leastRate = 0.2;
/** Caches begin empty: so long after its start the hit rate of a pod says nothing of the service. */
const coldMs = 600_000;

/** What statistics call unusual and nobody would notice is not: the least fall or rise, from the mean. */
const leastChange: Record<Figure, (mean: number) => number> = {
  LatencyP95: (mean) => Math.max(0.01, 0.3 * mean),
  ErrorRate: () => 0.02,
  RequestsPerSecond: (mean) => Math.max(1, 0.3 * mean),
  HitRate: () => 0.1,
  Memory: () => 0.1,
};

/** One look at all pods that were heard. A figure that is not known now has no deviation; what is usual of it is not forgotten. */
export function anomaliesOf(pods: readonly PodSignals[], before: Anomalies = new Map(), at = Date.now()): Anomalies {
  const now = new Map<Figure, Watched>();
  for (const [figure, { usual, off }] of before) now.set(figure, { usual, off, sigmas: undefined });
  for (const [figure, value] of figuresOf(pods, at)) now.set(figure, watched(figure, value, before.get(figure)));
  return now;
}

function watched(figure: Figure, value: number, before: Watched | undefined): Watched {
  const { usual, off } = before ?? { usual: unknown, off: 0 };
  if (usual.looks < usualLooks) return { usual: noted(usual, value, weight), off: 0, sigmas: undefined };
  const deviation = Math.max(Math.sqrt(usual.variance), leastChange[figure](usual.mean) / unusualAbove);
  const sigmas = (value - usual.mean) / deviation;
  if (Math.abs(sigmas) <= unusualAbove) return { usual: noted(usual, value, weight), off: 0, sigmas };
  // What is unusual does not become usual by lasting a while.
  return off + 1 < newNormalLooks ? { usual, off: off + 1, sigmas } : { usual: unknown, off: 0, sigmas: undefined };
}

function figuresOf(pods: readonly PodSignals[], at: number): [Figure, number][] {
  const sum = (of: (signals: PodSignals) => number | undefined) => pods.reduce((all, each) => all + (of(each) ?? 0), 0);
  const latency = mergeBuckets(pods.map((each) => each.latency ?? []));
  const requests = sum(({ requestsPerSecond }) => requestsPerSecond);
  const asked = sum(({ cacheRequests }) => cacheRequests);
  const shares = pods.map(memoryShare).filter((share) => share !== undefined);
  const p95 = (latency.at(-1)?.count ?? 0) >= leastAnswers ? quantile(0.95, latency) : undefined;
  const isCold = pods.some(({ startedAt = 0 }) => at - startedAt * 1000 < coldMs);
  const isRated = pods.some(({ requestsPerSecond }) => requestsPerSecond !== undefined);
  const found: [Figure, number | undefined][] = [
    ['LatencyP95', p95],
    ['RequestsPerSecond', isRated ? requests : undefined],
    ['ErrorRate', requests >= leastRate ? sum(({ errorsPerSecond }) => errorsPerSecond) / requests : undefined],
    ['HitRate', asked >= leastRate && !isCold ? sum(({ cacheHits }) => cacheHits) / asked : undefined],
    ['Memory', shares.length > 0 ? Math.max(...shares) : undefined],
  ];
  return found.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as [Figure, number]]));
}
