// A hit rate that falls out of its usual range: larger caches, where there is memory for them. A pod that is new, began anew
// or was cleared is cold as a matter of course: with each of them the range is learnt anew.
import type { PodSignals } from '../signals.ts';
import type { Pressed } from './pressure.ts';
import { type Look, memoryShare, type Patient, percent, type Seen } from './rule.ts';
import { noted, type Usual, unknown } from './usual.ts';

export interface Cold {
  /** Usual hit rate: exponentially weighted mean and variance, from so many looks. */
  hits: Usual;
  /** Looks in a row in which it was out of its range. */
  cold: number;
  /** By name; those that are gone are given up when a new one comes. */
  pods: ReadonlyMap<string, CachePod>;
  /** Looks until caches may grow after memory ran out. */
  held: number;
}

interface CachePod {
  /** Of its process; undefined: not known. */
  startedAt: number | undefined;
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
/** An hour. */
const heldLooks = 120;

const usual: Cold = { hits: unknown, cold: 0, pods: new Map(), held: 0 };

/** What a predecessor has made of caches. */
export const resized = (factors: ReadonlyMap<string, number>): Cold => ({
  ...usual,
  pods: new Map([...factors].map(([name, factor]) => [name, { startedAt: undefined, factor }])),
});

/** @param pressed What was found of memory at this look: caches do not grow while and soon after it runs out. */
export function coldness(
  { pods, hasCaches = true }: Seen,
  before: Cold = usual,
  pressed: Look<Pressed> = { remedies: [], memory: new Map() },
): Look<Cold> {
  if (!hasCaches) return { remedies: [], memory: before };
  const memory = afterClearing(followed(pods, before), pressed);
  const total = sum(pods, ({ cacheRequests }) => cacheRequests);
  if (total < leastRequests) return { remedies: [], memory };
  const rate = Math.min(1, sum(pods, ({ cacheHits }) => cacheHits) / total);
  const { mean, variance, looks } = memory.hits;
  const range = Math.max(leastFall, 2 * Math.sqrt(variance));
  if (looks < usualLooks || rate >= mean - range) {
    return { remedies: [], memory: { ...memory, cold: 0, hits: noted(memory.hits, rate, weight) } };
  }
  // An unusual rate is not what is usual: the range stays as it was while it lasts.
  const cold = memory.cold + 1;
  const hasRoom = pods.every(({ signals }) => (memoryShare(signals) ?? 1) < roomBelow);
  const { factor, names } = larger(pods, memory);
  if (cold < coldLooks || !hasRoom || memory.held > 0 || names.length === 0) {
    return { remedies: [], memory: { ...memory, cold } };
  }
  const reason = `${percent(rate)} of requests are answered from caches, usually ${percent(mean)}`;
  // What then comes is a new normal, whether it helped or not.
  return {
    remedies: [{ action: 'resizeCache', pods: names, factor, reason }],
    memory: { ...sized(memory, names, factor), cold: 0, hits: unknown },
  };
}

/** With a process that was not there before the range begins anew, and its caches are those of the spec. */
function followed(pods: readonly Patient[], memory: Cold): Cold {
  const isKnown = ({ name, signals: { startedAt } }: Patient): boolean => {
    const known = memory.pods.get(name);
    return known !== undefined && (known.startedAt === undefined || known.startedAt === startedAt);
  };
  const now = new Map(
    pods.map((pod) => {
      const factor = isKnown(pod) ? (memory.pods.get(pod.name)?.factor ?? 1) : 1;
      return [pod.name, { startedAt: pod.signals.startedAt, factor }] as const;
    }),
  );
  // Who is not heard for a look is not new at the next.
  if (pods.every(isKnown))
    return { ...memory, pods: new Map([...memory.pods, ...now]), held: Math.max(0, memory.held - 1) };
  return { hits: unknown, cold: 0, pods: now, held: Math.max(0, memory.held - 1) };
}

function afterClearing(memory: Cold, { remedies, memory: pressed }: Look<Pressed>): Cold {
  if (pressed.size === 0) return memory;
  const cleared = remedies.filter(({ action }) => action === 'clearCache');
  const smaller = cleared.reduce((kept, { pods, factor = 1 }) => sized(kept, pods, factor), memory);
  return { ...smaller, hits: unknown, cold: 0, held: heldLooks };
}

const sized = (memory: Cold, names: readonly string[], factor: number): Cold => {
  const changed = names.map((name) => [name, { startedAt: memory.pods.get(name)?.startedAt, factor }] as const);
  return { ...memory, pods: new Map([...memory.pods, ...changed]) };
};

/** One step from the largest of them; what was made smaller for want of memory grows only where all were. */
function larger(pods: readonly Patient[], memory: Cold): { factor: number; names: string[] } {
  const factors = new Map(pods.map(({ name }) => [name, memory.pods.get(name)?.factor ?? 1]));
  const largest = Math.max(...factors.values());
  const factor = Math.min(mostFactor, largest * growth);
  const names = [...factors].filter(([, own]) => own < factor && (own >= 1 || largest < 1)).map(([name]) => name);
  return { factor, names };
}

const sum = (pods: readonly Patient[], of: (signals: PodSignals) => number | undefined): number =>
  pods.reduce((total, { signals }) => total + (of(signals) ?? 0), 0);
