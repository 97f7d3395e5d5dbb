// A hit rate that falls out of its usual range: larger caches, where there is memory for them.
import type { PodSignals } from '../signals.ts';
import { type Look, memoryShare, type Patient, percent, type Remedy, type Seen } from './rule.ts';

export interface Cold {
  /** Usual hit rate: exponentially weighted mean and variance, from so many looks. */
  hits: { mean: number; variance: number; looks: number };
  /** Looks in a row in which it was out of its range. */
  cold: number;
  /** Of the caches' size as the spec says it. */
  factor: number;
}

/** Share of the memory limit below which there is room for larger caches. */
const roomBelow = 0.6;
/** Requests to caches a second from which a hit rate means something. */
const leastRequests = 1;
/** Looks from which a range is known. */
const usualLooks = 10;
/** Weight of the newest look. */
const weight = 0.1;
const coldLooks = 3;
/** A fall that statistics call unusual and nobody would notice is none. */
const leastFall = 0.1;
const growth = 1.5;
const mostFactor = 4;

const usual: Cold = { hits: { mean: 0, variance: 0, looks: 0 }, cold: 0, factor: 1 };

export function coldness({ pods, hasCaches = true }: Seen, memory: Cold = usual): Look<Cold> {
  if (!hasCaches) return { remedies: [], memory };
  const total = sum(pods, ({ cacheRequests }) => cacheRequests);
  if (total < leastRequests) return { remedies: [], memory };
  const rate = Math.min(1, sum(pods, ({ cacheHits }) => cacheHits) / total);
  const { mean, variance, looks } = memory.hits;
  const range = Math.max(leastFall, 2 * Math.sqrt(variance));
  if (looks < usualLooks || rate >= mean - range) {
    return { remedies: [], memory: { ...memory, cold: 0, hits: noted(memory.hits, rate) } };
  }
  // An unusual rate is not what is usual: the range stays as it was while it lasts.
  const cold = memory.cold + 1;
  const factor = Math.min(mostFactor, memory.factor * growth);
  const hasRoom = pods.every(({ signals }) => (memoryShare(signals) ?? 1) < roomBelow);
  if (cold < coldLooks || !hasRoom || factor <= memory.factor) return { remedies: [], memory: { ...memory, cold } };
  const reason = `${percent(rate)} of requests are answered from caches, usually ${percent(mean)}`;
  const remedy: Remedy = { action: 'resizeCache', pods: pods.map(({ name }) => name), factor, reason };
  // What then comes is a new normal, whether it helped or not.
  return { remedies: [remedy], memory: { ...memory, cold: 0, factor, hits: usual.hits } };
}

/** West's incremental form of an exponentially weighted variance; the first looks count alike. */
function noted({ mean, variance, looks }: Cold['hits'], rate: number): Cold['hits'] {
  const share = Math.max(weight, 1 / (looks + 1));
  const difference = rate - mean;
  return {
    mean: mean + share * difference,
    variance: (1 - share) * (variance + share * difference * difference),
    looks: looks + 1,
  };
}

const sum = (pods: readonly Patient[], of: (signals: PodSignals) => number | undefined): number =>
  pods.reduce((total, { signals }) => total + (of(signals) ?? 0), 0);
