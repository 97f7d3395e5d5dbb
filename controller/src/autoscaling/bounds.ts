// Between how many pods a decision may choose: what the spec says, and what the cluster and open streams leave of it.
import { gpuWait } from '../kinds/gpu.ts';
import type { Pod } from '../objects/types.ts';
import type { Room } from './capacity.ts';
import { streaming } from './idlest.ts';
import type { Autoscaling } from './settings.ts';
import type { PodSignals } from './signals.ts';
import type { Hold, Holds } from './told.ts';

export interface Placed {
  pods: readonly Pod[];
  /** By uid of the pod; missing: not heard. */
  signals: ReadonlyMap<string, PodSignals>;
  /** Why the cluster takes no more pods of the Deployment: a quota that is used up, for one. */
  refused?: string;
  /** How many pods find GPUs and quota; left out: that is not known, and bounds nothing. */
  room?: Room;
}

interface Bounds {
  min: number;
  max: number;
  holds: Holds;
}

interface Narrowed {
  most: number;
  hold: Hold;
}

/** As the spec says it, or closer: no more pods than find a place, no fewer than carry what lasts. */
export function boundsOf({ minReplicas, maxReplicas }: Autoscaling, current: number, seen: Placed): Bounds {
  const least = Math.max(1, minReplicas);
  const max = Math.max(least, maxReplicas);
  const pods = seen.pods.filter(counts);
  const narrow = narrowed(seen, current, max);
  const streams = streaming(pods, seen.signals);
  const carried = Math.min(streams, current, max);
  return {
    min: Math.max(least, carried),
    max: Math.max(least, Math.min(max, narrow?.most ?? max)),
    holds: {
      ...(narrow && { more: narrow.hold }),
      ...(carried > least && { fewer: { reason: 'OpenStreams', message: `${streams} pods carry open streams` } }),
    },
  };
}

/** What runs is never taken away for want of a place. */
function narrowed({ pods, refused, room }: Placed, current: number, max: number): Narrowed | undefined {
  // While one pod waits no more are asked for, whatever is said to be free.
  const waits = gpuWait(pods)?.trouble.message;
  if (waits !== undefined) {
    const message = `no more pods while one waits for a GPU: ${waits}`;
    return { most: current, hold: { reason: 'InsufficientGPU', message } };
  }
  if (refused !== undefined) {
    const message = `no more pods while one is refused: ${refused}`;
    return { most: current, hold: { reason: 'PodsRefused', message } };
  }
  const most = Math.max(current, room?.most ?? max);
  return room && most < max ? { most, hold: { reason: room.reason, message: room.message, isRoom: true } } : undefined;
}

/** Pods that end or have ended are no part of it. */
export const counts = ({ metadata, status }: Pod): boolean =>
  !metadata.deletionTimestamp && status?.phase !== 'Failed' && status?.phase !== 'Succeeded';
