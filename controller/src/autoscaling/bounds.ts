// Between how many pods a decision may choose: what the spec says, and what the cluster and open streams leave of it.
import { gpuWait } from '../kinds/gpu.ts';
import type { Pod } from '../objects/types.ts';
import { streaming } from './idlest.ts';
import type { Autoscaling } from './settings.ts';
import type { PodSignals } from './signals.ts';
import type { Holds } from './told.ts';

export interface Placed {
  pods: readonly Pod[];
  /** By uid of the pod; missing: not heard. */
  signals: ReadonlyMap<string, PodSignals>;
  /** Why the cluster takes no more pods of the Deployment: a quota that is used up, for one. */
  refused?: string;
}

interface Bounds {
  min: number;
  max: number;
  holds: Holds;
}

/** As the spec says it, or closer: no more pods than find a place, no fewer than carry what lasts. */
export function boundsOf({ minReplicas, maxReplicas }: Autoscaling, current: number, seen: Placed): Bounds {
  const least = Math.max(1, minReplicas);
  const max = Math.max(least, maxReplicas);
  const pods = seen.pods.filter(counts);
  const full = noPlace(seen);
  const streams = streaming(pods, seen.signals);
  const carried = Math.min(streams, current, max);
  return {
    min: Math.max(least, carried),
    max: full ? Math.max(least, Math.min(max, current)) : max,
    holds: {
      ...(full && { more: full }),
      ...(carried > least && { fewer: { reason: 'OpenStreams', message: `${streams} pods carry open streams` } }),
    },
  };
}

/** More pods than GPUs or a quota has room for would only wait: while one waits, no more are asked for. */
function noPlace({ pods, refused }: Placed): Holds['more'] {
  const waits = gpuWait(pods)?.trouble.message;
  if (waits !== undefined)
    return { reason: 'InsufficientGPU', message: `no more pods while one waits for a GPU: ${waits}` };
  return refused === undefined
    ? undefined
    : { reason: 'PodsRefused', message: `no more pods while one is refused: ${refused}` };
}

/** Pods that end or have ended are no part of it. */
export const counts = ({ metadata, status }: Pod): boolean =>
  !metadata.deletionTimestamp && status?.phase !== 'Failed' && status?.phase !== 'Succeeded';
