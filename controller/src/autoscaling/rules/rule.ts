// What every rule of healing sees, and what it may ask for.
import type { PodSignals } from '../signals.ts';

/** What engines carry out themselves; see the runtime's `remedies`. */
export type EngineAction = 'clearCache' | 'resizeCache' | 'resizeBatch';
/** What the platform does. */
type PlatformAction = 'growPool' | 'replacePod';
export type Action = EngineAction | PlatformAction;

export interface Remedy {
  action: Action;
  /** Names of the pods that it is meant for. */
  pods: string[];
  /** Of `clearCache` and `resizeCache` times what the spec says, of `resizeBatch` the share of it. */
  factor?: number;
  reason: string;
}

export interface Patient {
  name: string;
  signals: PodSignals;
}

export interface Seen {
  pods: readonly Patient[];
  /** Names of pods that serve and were not heard. */
  unheard?: readonly string[];
  /** 95th percentile in seconds that the service is to stay under; left out: there is none. */
  latencyP95?: number;
  /** Whether there may be one pod more. */
  mayGrow?: boolean;
  /** Whether its engines have caches to clear. */
  hasCaches?: boolean;
}

/** One look: pure, with what is to be remembered until the next. */
export interface Look<M> {
  remedies: Remedy[];
  memory: M;
}

export function memoryShare({ memory, memoryLimit }: PodSignals): number | undefined {
  return memory === undefined || !memoryLimit || !Number.isFinite(memoryLimit) ? undefined : memory / memoryLimit;
}

/** Who is not heard for a look is not well again. */
export const kept = (known: ReadonlyMap<string, number>, unheard: readonly string[]): Map<string, number> =>
  new Map([...known].filter(([name]) => unheard.includes(name)));

export const percent = (share: number): string => `${Math.round(share * 100)} %`;
