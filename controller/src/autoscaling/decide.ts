// How many pods, from what was measured and what was decided before: pure, and exactly as the HorizontalPodAutoscaler
// v2 does it (horizontal.go of kube-controller-manager): largest metric, stabilisation, rates, bounds.
import { type Reading, replicasFor } from './replicas.ts';

export interface ScalingPolicy {
  type: 'Pods' | 'Percent';
  value: number;
  periodSeconds: number;
}

export interface ScalingRules {
  stabilizationWindowSeconds: number;
  selectPolicy: 'Max' | 'Min' | 'Disabled';
  policies: readonly ScalingPolicy[];
  tolerance: number;
}

export interface Behavior {
  scaleUp: ScalingRules;
  scaleDown: ScalingRules;
}

/** The HPA's defaults. */
export const defaultBehavior: Behavior = {
  scaleUp: {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Percent', value: 100, periodSeconds: 15 },
      { type: 'Pods', value: 4, periodSeconds: 15 },
    ],
    tolerance: 0.1,
  },
  scaleDown: {
    stabilizationWindowSeconds: 300,
    selectPolicy: 'Max',
    policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
    tolerance: 0.1,
  },
};

interface Dated {
  /** Milliseconds. */
  at: number;
}

/** What a decision leaves for the next one; bounded by the longest window and period. */
export interface Memory {
  recommendations: readonly (Dated & { replicas: number })[];
  /** Changes made: above zero grown, below shrunk. */
  changes: readonly (Dated & { by: number })[];
}

export interface Input {
  /** Milliseconds of a clock that does not go back. */
  now: number;
  /** Pods asked for at present. */
  current: number;
  min: number;
  max: number;
  behavior: Behavior;
  readings: readonly (Reading & { name: string })[];
  /** Pods that a trusted forecast asks for: it can only ask for more. */
  forecast?: number | undefined;
  memory: Memory | undefined;
}

export interface Decision {
  desired: number;
  /** Before rates and bounds. */
  wish: number;
  /** False: nothing usable was measured, and the count stays. */
  active: boolean;
  reason: 'ValidMetricFound' | 'FailedGetMetrics';
  message: string;
  limited:
    | 'DesiredWithinRange'
    | 'TooManyReplicas'
    | 'TooFewReplicas'
    | 'ScaleUpLimit'
    | 'ScaleDownLimit'
    | 'ScaleUpStabilized'
    | 'ScaleDownStabilized';
  memory: Memory;
}

export function decide(input: Input): Decision {
  const { current, min, behavior, readings } = input;
  const max = Math.max(min, input.max);
  const memory: Memory = input.memory ?? { recommendations: [{ at: input.now, replicas: current }], changes: [] };
  const bounds = { ...input, max, memory };
  if (current < min) return settle(bounds, min, true, `fewer pods than minReplicas ${min}`, 'TooFewReplicas');
  if (current > max) return settle(bounds, max, true, `more pods than maxReplicas ${max}`, 'TooManyReplicas');

  const tolerance = { up: behavior.scaleUp.tolerance, down: behavior.scaleDown.tolerance };
  const proposals = readings.map((reading) => ({ ...reading, proposal: replicasFor(reading, current, tolerance) }));
  const silent = proposals.filter(({ proposal }) => proposal === undefined);
  const heard = proposals.filter(({ proposal }) => proposal !== undefined);
  const largest = heard.reduce<(typeof heard)[number] | undefined>(
    (best, each) => ((each.proposal?.replicas ?? 0) > (best?.proposal?.replicas ?? -1) ? each : best),
    undefined,
  );
  const measured = largest?.proposal?.replicas;
  if (measured === undefined || (silent.length > 0 && measured < current)) {
    const names = silent.map(({ name }) => name).join(', ') || 'no metric';
    return settle(bounds, current, false, `unknown: ${names}; ${current} pods stay until it is measured again`);
  }
  const { name, target, proposal } = largest as NonNullable<typeof largest>;
  const said = `${name} ${short(proposal?.value ?? 0)} against target ${short(target)}`;
  const foreseen = foreseenBy(input);
  if (foreseen > measured) return settle(bounds, foreseen, true, `the forecast asks for ${foreseen}; ${said}`);
  return settle(bounds, measured, true, said);
}

/** As a metric it grows nothing within the tolerance: a pod for the noise of a day ago would only come and go. */
function foreseenBy({ forecast = 0, current, behavior }: Input): number {
  if (!Number.isFinite(forecast)) return 0;
  const asked = Math.ceil(forecast);
  return forecast > current * (1 + behavior.scaleUp.tolerance) ? asked : Math.min(asked, current);
}

type Bounds = Input & { memory: Memory };

function settle(
  bounds: Bounds,
  wish: number,
  active: boolean,
  message: string,
  limited?: Decision['limited'],
): Decision {
  const { now, current, behavior, memory } = bounds;
  const calm = active && !limited ? stabilized(bounds, wish) : { replicas: wish, limited };
  const rated = active && !limited ? withinRates(bounds, calm.replicas) : { replicas: wish, limited };
  const desired = rated.replicas;
  const windows = Math.max(behavior.scaleUp.stabilizationWindowSeconds, behavior.scaleDown.stabilizationWindowSeconds);
  const periods = Math.max(
    0,
    ...[...behavior.scaleUp.policies, ...behavior.scaleDown.policies].map(({ periodSeconds }) => periodSeconds),
  );
  const recommendations = memory.recommendations.filter(({ at }) => at > now - windows * 1000);
  const changes = memory.changes.filter(({ at }) => at > now - periods * 1000);
  return {
    desired,
    wish: calm.replicas,
    active,
    reason: active ? 'ValidMetricFound' : 'FailedGetMetrics',
    message,
    limited: rated.limited ?? calm.limited ?? 'DesiredWithinRange',
    memory: {
      // A wish nobody measured must not be remembered as one.
      recommendations: active ? [...recommendations, { at: now, replicas: wish }] : recommendations,
      changes: desired === current ? changes : [...changes, { at: now, by: desired - current }],
    },
  };
}

/** Grows by the least, shrinks by the most that was recommended within the window. */
function stabilized(
  { now, current, behavior, memory }: Bounds,
  wish: number,
): { replicas: number; limited?: Decision['limited'] } {
  const within = (seconds: number) => memory.recommendations.filter(({ at }) => at > now - seconds * 1000);
  const least = within(behavior.scaleUp.stabilizationWindowSeconds).map(({ replicas }) => replicas);
  const most = within(behavior.scaleDown.stabilizationWindowSeconds).map(({ replicas }) => replicas);
  const up = Math.min(wish, ...least);
  const down = Math.max(wish, ...most);
  const replicas = current < up ? up : current > down ? down : current;
  if (replicas === wish) return { replicas };
  return { replicas, limited: wish > current ? 'ScaleUpStabilized' : 'ScaleDownStabilized' };
}

function withinRates(
  { now, current, min, max, behavior, memory }: Bounds,
  wish: number,
): { replicas: number; limited?: Decision['limited'] } {
  const changed = (seconds: number) =>
    memory.changes.filter(({ at }) => at > now - seconds * 1000).reduce((sum, { by }) => sum + by, 0);
  if (wish > current) {
    const limit = Math.max(current, upLimit(behavior.scaleUp, current, changed));
    if (wish > limit && limit < max) return { replicas: limit, limited: 'ScaleUpLimit' };
    return wish > max ? { replicas: max, limited: 'TooManyReplicas' } : { replicas: wish };
  }
  if (wish < current) {
    const limit = Math.min(current, downLimit(behavior.scaleDown, current, changed));
    if (wish < limit && limit > min) return { replicas: limit, limited: 'ScaleDownLimit' };
    return wish < min ? { replicas: min, limited: 'TooFewReplicas' } : { replicas: wish };
  }
  return { replicas: wish };
}

function upLimit({ selectPolicy, policies }: ScalingRules, current: number, changed: (seconds: number) => number) {
  if (selectPolicy === 'Disabled') return current;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const start = current - changed(periodSeconds);
    return type === 'Pods' ? start + value : Math.ceil(start * (1 + value / 100));
  });
  if (limits.length === 0) return Number.POSITIVE_INFINITY;
  return selectPolicy === 'Min' ? Math.min(...limits) : Math.max(...limits);
}

function downLimit({ selectPolicy, policies }: ScalingRules, current: number, changed: (seconds: number) => number) {
  if (selectPolicy === 'Disabled') return current;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const start = current - changed(periodSeconds);
    return type === 'Pods' ? start - value : Math.trunc(start * (1 - value / 100));
  });
  if (limits.length === 0) return Number.NEGATIVE_INFINITY;
  return selectPolicy === 'Min' ? Math.max(...limits) : Math.min(...limits);
}

const short = (value: number): string => String(Number(value.toPrecision(4)));
