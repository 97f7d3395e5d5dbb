// One scaled resource from cycle to cycle: its memory, its forecast, and what is told of it.
import { parseDuration } from '@quintet/crds';
import { gpuWait, isReady } from '../kinds/gpu.ts';
import type { Served } from '../kinds/serving/engines.ts';
import type { Scaling } from '../kinds/serving/scaling.ts';
import type { Pod } from '../objects/types.ts';
import { type Decision, decide, type Memory } from './decide.ts';
import { Forecaster } from './forecast.ts';
import { type PodState, readingOf } from './readings.ts';
import { type Reading, replicasFor } from './replicas.ts';
import { type Autoscaling, aimsOf, behaviorOf, quantityOf } from './settings.ts';
import type { PodSignals } from './signals.ts';

export interface Seen {
  /** Milliseconds. */
  now: number;
  resource: Served;
  /** Pods that the Deployment asks for; undefined: there is none yet. */
  live: number | undefined;
  pods: readonly Pod[];
  /** By uid of the pod; missing: not heard. */
  signals: ReadonlyMap<string, PodSignals>;
  /** Name of another autoscaler that aims at the same pods. */
  rival: NonNullable<Scaling['yieldsTo']> | undefined;
}

export interface Outcome {
  scaling: Scaling;
  /** Whether it must be told: nothing is written while nothing changed. */
  changed: boolean;
  /** By how many pods the count changed. */
  by: number;
  ratios: ReadonlyMap<string, number>;
  forecast: { replicas: number; error: number } | undefined;
}

export class ScaledResource {
  scaling: Scaling | undefined;
  #memory: Memory | undefined;
  #forecaster: Forecaster | undefined;
  #lead = 0;

  /** Undefined: there is nothing to scale yet. */
  update(seen: Seen): Outcome | undefined {
    const spec = seen.resource.spec.autoscaling;
    if (!spec || seen.live === undefined) return undefined;
    if (seen.rival) return this.#tell(yielding(seen.rival, this.scaling), 0);
    const current = this.scaling?.replicas ?? seen.live;
    if (this.scaling?.yieldsTo || (current === 0 && seen.live === 0)) this.#memory = undefined;
    const readings = readingsOf(seen, spec);
    const ahead = this.#foresee(spec, seen, readings, current);
    // More pods than GPUs would only wait: while one waits, no more are asked for.
    const waits = gpuWait(seen.pods)?.trouble.message;
    const decision = decide({
      now: seen.now,
      current,
      ...boundsOf(spec, current, waits !== undefined),
      behavior: behaviorOf(spec),
      readings,
      forecast: ahead?.isBetter === true && spec.predictive?.mode === 'WhenBetter' ? ahead.value : undefined,
      memory: this.#memory,
    });
    this.#memory = decision.memory;
    const scaling = scalingOf(decision, current, seen.now, this.scaling, waits);
    const forecast = ahead && { replicas: Math.ceil(ahead.value), error: ahead.error };
    if (forecast) scaling.forecast = { at: new Date(seen.now + this.#lead * 1000), ...forecast };
    return { ...this.#tell(scaling, decision.desired - current), ratios: ratiosOf(readings, current), forecast };
  }

  #foresee(
    { predictive }: Autoscaling,
    { now, pods }: Seen,
    readings: readonly (Reading & { name: string })[],
    current: number,
  ) {
    if (!predictive || predictive.mode === 'None') {
      this.#forecaster = undefined;
      return undefined;
    }
    // As early as a pod must be asked for to serve in time, no earlier: that would only cost.
    this.#lead = Math.min(parseDuration(predictive.horizon), startSeconds(pods) + decisionSeconds);
    this.#forecaster ??= new Forecaster({ leadSeconds: this.#lead });
    this.#forecaster.aim(this.#lead);
    const demand = demandOf(readings, current);
    if (demand !== undefined) this.#forecaster.observe(now, demand);
    return this.#forecaster.forecast();
  }

  #tell(scaling: Scaling, by: number): Outcome {
    const before = this.scaling;
    const changed =
      !before ||
      before.replicas !== scaling.replicas ||
      before.active.reason !== scaling.active.reason ||
      before.limited.reason !== scaling.limited.reason ||
      before.yieldsTo?.name !== scaling.yieldsTo?.name;
    if (changed) this.scaling = scaling;
    return { scaling: this.scaling ?? scaling, changed, by, ratios: new Map(), forecast: undefined };
  }
}

/** After the start of a pod, in which its first readiness is awaited: the HPA's initial readiness delay. */
const firstReadinessMs = 30_000;

/** Not begun, or never ready: as the HPA, pods that were ready and are not any more count with what they say, for their load is real. */
function isStarting(pod: Pod): boolean {
  if (isReady(pod)) return false;
  const { phase, startTime, conditions } = pod.status ?? {};
  const changed = Date.parse(conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? '');
  return phase !== 'Running' || !(changed > Date.parse(startTime ?? '') + firstReadinessMs);
}

const nothing = { up: 0, down: 0 };
/** From a change of the load to a Deployment that asks for more, amply. */
const decisionSeconds = 15;
/** Where no pod has told yet. */
const usualStartSeconds = 30;

/** From the making of a pod until it serves: the least of all, for a container that was started anew says nothing. */
function startSeconds(pods: readonly Pod[]): number {
  const times = pods.filter(isReady).flatMap(({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime;
    const seconds = (Date.parse(ready ?? '') - Date.parse(metadata.creationTimestamp ?? '')) / 1000;
    return Number.isFinite(seconds) && seconds >= 0 ? [seconds] : [];
  });
  return times.length > 0 ? Math.min(...times) : usualStartSeconds;
}

function readingsOf({ resource, pods, signals }: Seen, spec: Autoscaling): (Reading & { name: string })[] {
  const { requests = {} } = resource.spec.resources ?? {};
  const asked = { cpu: quantityOf(requests.cpu), memory: quantityOf(requests.memory) };
  const states = pods
    .filter(counts)
    .map((pod): PodState => ({ ready: !isStarting(pod), signals: signals.get(pod.metadata.uid ?? '') }));
  return aimsOf(spec).map((aim) => readingOf(aim, states, asked));
}

function boundsOf({ minReplicas, maxReplicas }: Autoscaling, current: number, isFull: boolean) {
  const min = Math.max(1, minReplicas);
  return { min, max: isFull ? Math.max(min, Math.min(maxReplicas, current)) : maxReplicas };
}

/** Measured value over its target, by metric. */
function ratiosOf(readings: readonly (Reading & { name: string })[], current: number): Map<string, number> {
  return new Map(
    readings.flatMap((each) => {
      const value = replicasFor(each, current, nothing)?.value;
      return value === undefined ? [] : [[each.name, value / each.target] as const];
    }),
  );
}

/** Pods that the load of this moment needs, not rounded: load is what readings add up to. */
function demandOf(readings: readonly Reading[], current: number): number | undefined {
  const demands = readings.flatMap((reading) => {
    const value = replicasFor(reading, current, nothing)?.value;
    if (value === undefined) return [];
    const pods = reading.of === 'Whole' ? reading.readyPods : reading.pods.filter(({ ready }) => ready).length;
    return [(value / reading.target) * pods];
  });
  return demands.length > 0 ? Math.max(...demands) : undefined;
}

/** Pods that end or have ended are no part of it. */
const counts = ({ metadata, status }: Pod): boolean =>
  !metadata.deletionTimestamp && status?.phase !== 'Failed' && status?.phase !== 'Succeeded';

function scalingOf(
  { desired, active, reason, message, limited }: Decision,
  current: number,
  now: number,
  before: Scaling | undefined,
  waits: string | undefined,
): Scaling {
  const limit = waits !== undefined && limited === 'TooManyReplicas' ? 'InsufficientGPU' : limited;
  const changed = desired !== current || before?.replicas === undefined;
  return {
    replicas: desired,
    active: {
      status: active ? 'True' : 'False',
      reason,
      message: active ? 'the count follows spec.autoscaling.metrics' : message,
    },
    // Only what holds the count back is told apart: the rest turns with every breath of the load.
    limited: isHeldBack.has(limit)
      ? {
          status: 'True',
          reason: limit,
          message: limit === 'InsufficientGPU' ? `no more pods while one waits for a GPU: ${waits}` : limits[limit],
        }
      : { status: 'False', reason: 'DesiredWithinRange', message: limits.DesiredWithinRange },
    reason: changed || !before ? message : before.reason,
    lastScaleTime: desired === current ? before?.lastScaleTime : new Date(now),
    ...(before?.forecast && { forecast: before.forecast }),
  };
}

const isHeldBack: ReadonlySet<string> = new Set([
  'TooManyReplicas',
  'TooFewReplicas',
  'ScaleUpLimit',
  'ScaleDownLimit',
  'InsufficientGPU',
]);

const limits: Record<Decision['limited'], string> = {
  DesiredWithinRange: 'the count is within its bounds',
  TooManyReplicas: 'maxReplicas holds the count down',
  TooFewReplicas: 'minReplicas holds the count up, and one pod always stays',
  ScaleUpLimit: 'behavior.scaleUp lets it grow no faster',
  ScaleDownLimit: 'behavior.scaleDown lets it shrink no faster',
  ScaleUpStabilized: 'behavior.scaleUp.stabilizationWindowSeconds waits for the load to last',
  ScaleDownStabilized: 'behavior.scaleDown.stabilizationWindowSeconds waits before it shrinks',
};

function yielding(rival: NonNullable<Scaling['yieldsTo']>, before: Scaling | undefined): Scaling {
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
