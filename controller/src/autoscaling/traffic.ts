// From what pods did lately to the figures of a service that its status tells, and whether they are worth a write of it.
import type { Told } from '../kinds/serving/told.ts';
import { errorRateOf, latencyOf } from './readings.ts';
import { mergeBuckets, type PodSignals } from './signals.ts';

type Traffic = NonNullable<Told['traffic']>;

export interface Measured {
  traffic: Traffic;
  /** Of the stretch that the figures are made from. */
  seconds: number;
  requests: number;
  errors: number;
  /** Whose time was measured. */
  answers: number;
  cacheRequests: number;
}

/** A status is written anew for a change of more than that, whatever chance may do. */
const leastChange = 0.1;
/** Points. */
const leastErrors = 0.01;
const leastHits = 0.05;
/** Answers from which their 95th percentile says something. */
const leastAnswers = 20;
/** Of the standard deviation that chance alone makes of a steady load. */
const beyondChance = 3.5;
/** Of the logarithm of a 95th percentile, times the root of the answers: as latencies are spread. */
const latencyChance = 7;
/** A change of one look may be chance, or a burst. */
const lastingLooks = 2;
const betweenWritesMs = 300_000;
/** So long nobody asks where hardly anybody did, and it is told: a request a minute is no news each time. */
const quietMs = 1_800_000;

/** @param pods Those that are ready and were heard. Undefined while the rate of one is not known. */
export function measuredOf(pods: readonly PodSignals[]): Measured | undefined {
  const rates = pods.flatMap(({ requestsPerSecond }) => requestsPerSecond ?? []);
  if (rates.length === 0 || rates.length < pods.length) return undefined;
  const states = pods.map((signals) => ({ ready: true, signals }));
  const rate = sum(rates);
  const seconds = Math.max(...pods.map((pod) => pod.seconds ?? 0));
  const latency = latencyOf(states);
  const asked = sum(pods.flatMap(({ cacheRequests }) => cacheRequests ?? []));
  const hits = sum(pods.flatMap(({ cacheHits }) => cacheHits ?? []));
  const errors = errorRateOf(states) ?? 0;
  return {
    seconds,
    requests: rate * seconds,
    errors: errors * rate * seconds,
    answers: mergeBuckets(pods.map((pod) => pod.latency ?? [])).at(-1)?.count ?? 0,
    cacheRequests: asked * seconds,
    traffic: {
      requestsPerSecond: digits(rate),
      ...(rate > 0 && latency !== undefined && { latencyP95: `${digits(1000 * latency)}ms` }),
      ...(rate > 0 && { errorRate: `${digits(100 * errors)}%` }),
      ...(asked > 0 && { cacheHitRate: `${Math.round((100 * hits) / asked)}%` }),
    },
  };
}

/** Whether the figures that were told are wrong by more than chance makes of a steady load. */
export function differs(before: Traffic, now: Measured): boolean {
  const was = Number.parseFloat(before.requestsPerSecond ?? '0');
  const { requests, seconds, answers, cacheRequests, traffic } = now;
  // Whom nobody asked somebody asks now.
  if (was === 0 || requests === 0) return was === 0 ? requests > 0 : was * seconds > beyondChance ** 2;
  const rate = requests / seconds;
  const chance = (beyondChance * Math.sqrt(requests + was * seconds)) / seconds;
  if (Math.abs(rate - was) > Math.max(leastChange * Math.max(rate, was), chance)) return true;
  if (isOther(before.errorRate, traffic.errorRate, requests, leastErrors)) return true;
  if (isOther(before.cacheHitRate, traffic.cacheHitRate, cacheRequests, leastHits)) return true;
  if (answers < leastAnswers || traffic.latencyP95 === undefined) return false;
  const slowest = Number.parseFloat(before.latencyP95 ?? '0');
  const ratio = Math.abs(Math.log(Number.parseFloat(traffic.latencyP95) / slowest));
  return ratio > Math.max(leastChange, latencyChance / Math.sqrt(answers));
}

/** Of shares of so many. */
function isOther(before: string | undefined, now: string | undefined, count: number, least: number): boolean {
  if (now === undefined) return false;
  const [was, is] = [Number.parseFloat(before ?? '0') / 100, Number.parseFloat(now) / 100];
  // As if there had been one more of each: none of a few is no promise of none.
  const variance = [was, is]
    .map((share) => (share * count + 1) / (count + 2))
    .reduce((total, share) => total + (share * (1 - share)) / count, 0);
  return Math.abs(is - was) > Math.max(least, beyondChance * Math.sqrt(variance));
}

/** What is told of the traffic of one service, from look to look. */
export class TrafficNews {
  told: Traffic | undefined;
  #off = 0;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #askedAt: number | undefined;

  /** @param told By a leader before this one. */
  constructor(told: Traffic | undefined) {
    this.told = told;
  }

  /** @returns Whether it is to be told now, which `told` then is. */
  note(now: Measured, at: number): boolean {
    if (now.requests > 0) this.#askedAt = at;
    this.#askedAt ??= at;
    const isQuiet = at - this.#askedAt >= quietMs && this.told?.requestsPerSecond !== '0';
    this.#off = this.told && (isQuiet || differs(this.told, now)) ? this.#off + 1 : 0;
    const isNews = this.told === undefined || this.#off >= lastingLooks;
    if (!isNews || at - this.#writtenAt < betweenWritesMs) return false;
    [this.told, this.#off, this.#writtenAt] = [now.traffic, 0, at];
    return true;
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Three digits at most, and no more than two after the point. */
const digits = (value: number): string =>
  String(value >= 100 ? Math.round(value) : value >= 10 ? Number(value.toFixed(1)) : Number(value.toFixed(2)));
