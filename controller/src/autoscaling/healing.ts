// What is done about a service that is unwell, as pure rules with hysteresis and a budget: memory that runs out → clear the
// caches of that pod; a hit rate that falls out of its usual range → larger caches, where there is memory for them.
import type { PodSignals } from './signals.ts';

/** As engines carry them out; see the runtime's `actions`. */
export type Action = 'clearCache' | 'resizeCache';

export interface Remedy {
  action: Action;
  /** Names of the pods that it is meant for. */
  pods: string[];
  /** Of `resizeCache`: by how much more than the spec says. */
  factor?: number;
  reason: string;
}

export interface Patient {
  name: string;
  signals: PodSignals;
}

export interface HealingMemory {
  /** Looks in a row in which a pod had too little memory; below zero: treated, and not well yet. */
  pressed: ReadonlyMap<string, number>;
  /** Usual hit rate: exponentially weighted mean and variance, from so many looks. */
  hits: { mean: number; variance: number; looks: number };
  /** Looks in a row in which it was out of its range. */
  cold: number;
  /** Of the caches' size as the spec says it. */
  factor: number;
}

export interface Diagnosis {
  remedies: Remedy[];
  memory: HealingMemory;
}

/** Shares of the memory limit: treated above, well again below, and room for larger caches below. */
const pressedAbove = 0.9;
const wellBelow = 0.8;
const roomBelow = 0.6;
const pressedLooks = 2;
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

const healthy: HealingMemory = {
  pressed: new Map(),
  hits: { mean: 0, variance: 0, looks: 0 },
  cold: 0,
  factor: 1,
};

/** One look at the pods that were heard. */
export function diagnose(pods: readonly Patient[], memory: HealingMemory = healthy): Diagnosis {
  const pressure = pressureOf(pods, memory.pressed);
  const coldness = coldnessOf(pods, memory);
  return {
    remedies: [...pressure.remedies, ...coldness.remedies],
    memory: { ...coldness.memory, pressed: pressure.pressed },
  };
}

function pressureOf(pods: readonly Patient[], before: HealingMemory['pressed']) {
  const pressed = new Map<string, number>();
  const remedies: Remedy[] = [];
  for (const { name, signals } of pods) {
    const share = memoryShare(signals);
    const looks = before.get(name) ?? 0;
    if (share === undefined) {
      if (looks !== 0) pressed.set(name, looks);
    } else if (looks < 0) {
      // Treated: once, until it was well. What clearing does not cure is no cache.
      if (share >= wellBelow) pressed.set(name, looks);
    } else if (share > pressedAbove) {
      const isDue = looks + 1 >= pressedLooks;
      pressed.set(name, isDue ? -1 : looks + 1);
      const reason = `pod ${name} uses ${percent(share)} of its memory`;
      if (isDue) remedies.push({ action: 'clearCache', pods: [name], reason });
    }
  }
  return { pressed, remedies };
}

function coldnessOf(pods: readonly Patient[], memory: HealingMemory): { remedies: Remedy[]; memory: HealingMemory } {
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
  return { remedies: [remedy], memory: { ...memory, cold: 0, factor, hits: healthy.hits } };
}

/** West's incremental form of an exponentially weighted variance; the first looks count alike. */
function noted({ mean, variance, looks }: HealingMemory['hits'], rate: number): HealingMemory['hits'] {
  const share = Math.max(weight, 1 / (looks + 1));
  const difference = rate - mean;
  return {
    mean: mean + share * difference,
    variance: (1 - share) * (variance + share * difference * difference),
    looks: looks + 1,
  };
}

function memoryShare({ memory, memoryLimit }: PodSignals): number | undefined {
  return memory === undefined || !memoryLimit || !Number.isFinite(memoryLimit) ? undefined : memory / memoryLimit;
}

const sum = (pods: readonly Patient[], of: (signals: PodSignals) => number | undefined): number =>
  pods.reduce((total, { signals }) => total + (of(signals) ?? 0), 0);
const percent = (share: number): string => `${Math.round(share * 100)} %`;
