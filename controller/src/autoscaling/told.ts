// What is told of a decision: the count, whether it follows what is measured, and what holds it back.
import type { Scaling } from '../kinds/serving/scaling.ts';
import type { Decision } from './decide.ts';

/** What holds the count closer than the spec does. */
export interface Holds {
  more?: Hold;
  fewer?: Hold;
}

export interface Hold {
  reason: string;
  message: string;
  /** It bounds the count itself: what was wanted is told beside. */
  isRoom?: boolean;
}

export function scalingOf(
  { desired, wish, active, reason, message, limited }: Decision,
  current: number,
  now: number,
  before: Scaling | undefined,
  holds: Holds,
): Scaling {
  const hold = limited === 'TooManyReplicas' ? holds.more : limited === 'TooFewReplicas' ? holds.fewer : undefined;
  const changed = desired !== current || before?.replicas === undefined;
  return {
    replicas: desired,
    active: {
      status: active ? 'True' : 'False',
      reason,
      message: active ? 'the count follows spec.autoscaling.metrics' : message,
    },
    // Only what holds the count back is told apart: the rest turns with every breath of the load.
    limited: isHeldBack.has(limited)
      ? { status: 'True', ...(hold ? told(hold, wish, desired) : { reason: limited, message: limits[limited] }) }
      : { status: 'False', reason: 'DesiredWithinRange', message: limits.DesiredWithinRange },
    reason: changed || !before ? message : before.reason,
    lastScaleTime: desired === current ? before?.lastScaleTime : new Date(now),
    ...(before?.forecast && { forecast: before.forecast }),
  };
}

const told = ({ reason, message, isRoom }: Hold, wish: number, desired: number) => ({
  reason,
  message: isRoom ? `${message}; asked for ${wish} pods, placed ${desired}` : message,
});

const isHeldBack: ReadonlySet<string> = new Set([
  'TooManyReplicas',
  'TooFewReplicas',
  'ScaleUpLimit',
  'ScaleDownLimit',
]);

export const limits: Record<Decision['limited'], string> = {
  DesiredWithinRange: 'the count is within its bounds',
  TooManyReplicas: 'maxReplicas holds the count down',
  TooFewReplicas: 'minReplicas holds the count up',
  ScaleUpLimit: 'behavior.scaleUp lets it grow no faster',
  ScaleDownLimit: 'behavior.scaleDown lets it shrink no faster',
  ScaleUpStabilized: 'behavior.scaleUp.stabilizationWindowSeconds waits for the load to last',
  ScaleDownStabilized: 'behavior.scaleDown.stabilizationWindowSeconds waits before it shrinks',
};

export function yielding(rival: NonNullable<Scaling['yieldsTo']>, before: Scaling | undefined): Scaling {
  const aim = rival.target === 'Deployment' ? 'the Deployment' : 'this resource';
  const message = `HorizontalPodAutoscaler ${rival.name} aims at ${aim}: delete it, or remove spec.autoscaling`;
  return {
    replicas: undefined,
    yieldsTo: rival,
    active: { status: 'False', reason: 'AnotherAutoscaler', message },
    limited: { status: 'False', reason: 'AnotherAutoscaler', message: 'the other autoscaler sets the count' },
    reason: message,
    lastScaleTime: before?.lastScaleTime,
  };
}
