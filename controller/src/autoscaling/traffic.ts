// From what pods did lately to the figures of a service that its status tells.
import type { Told } from '../kinds/serving/told.ts';
import { errorRateOf, latencyOf } from './readings.ts';
import type { PodSignals } from './signals.ts';

type Traffic = NonNullable<Told['traffic']>;

/** A status is written anew for a change of more than that. */
const noticed = 0.1;

/** @param pods Those that are ready and were heard. Undefined while no rate is known. */
export function trafficOf(pods: readonly PodSignals[]): Traffic | undefined {
  const rates = pods.flatMap(({ requestsPerSecond }) => requestsPerSecond ?? []);
  if (rates.length === 0) return undefined;
  const states = pods.map((signals) => ({ ready: true, signals }));
  const requests = sum(rates);
  const seconds = latencyOf(states);
  const asked = sum(pods.flatMap(({ cacheRequests }) => cacheRequests ?? []));
  const hits = sum(pods.flatMap(({ cacheHits }) => cacheHits ?? []));
  return {
    requestsPerSecond: digits(requests),
    ...(requests > 0 && seconds !== undefined && { latencyP95: `${digits(1000 * seconds)}ms` }),
    ...(requests > 0 && { errorRate: `${digits(100 * (errorRateOf(states) ?? 0))}%` }),
    ...(asked > 0 && { cacheHitRate: `${Math.round((100 * hits) / asked)}%` }),
  };
}

/** Whether it is worth a write of the status. */
export function differs(before: Traffic | undefined, now: Traffic | undefined): boolean {
  const names = ['requestsPerSecond', 'latencyP95', 'errorRate', 'cacheHitRate'] as const;
  return names.some((name) => {
    const [was, is] = [before?.[name], now?.[name]];
    if (was === undefined || is === undefined) return was !== is;
    const [a, b] = [Number.parseFloat(was), Number.parseFloat(is)];
    return Math.abs(a - b) > noticed * Math.max(a, b);
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Three digits at most, and no more than two after the point. */
const digits = (value: number): string =>
  String(value >= 100 ? Math.round(value) : value >= 10 ? Number(value.toFixed(1)) : Number(value.toFixed(2)));
