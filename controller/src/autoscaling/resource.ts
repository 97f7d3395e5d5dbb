// One scaled resource from cycle to cycle: its memory, its forecast, and what is told of it.
import { isDeepStrictEqual } from 'node:util';
import { parseDuration } from '@quintet/crds';
import { isReady } from '../kinds/gpu.ts';
import type { Served } from '../kinds/serving/engines.ts';
import type { Scaling } from '../kinds/serving/scaling.ts';
import type { Pod } from '../objects/types.ts';
import { boundsOf, counts, type Placed } from './bounds.ts';
import { type Decision, decide, type Memory } from './decide.ts';
import { Forecaster } from './forecast.ts';
import type { FrontSeen } from './fronts.ts';
import { Patience } from './patience.ts';
import { type PodState, readingOf } from './readings.ts';
import { type Reading, replicasFor } from './replicas.ts';
import { type Autoscaling, aimsOf, behaviorOf, quantityOf } from './settings.ts';
import { limits, scalingOf, yielding } from './told.ts';
import { decideZero, type Voice, type ZeroDecision, type ZeroMemory } from './zero.ts';

export interface Seen extends Placed {
  /** Milliseconds. */
  now: number;
  resource: Served;
  /** Pods that the Deployment asks for; undefined: there is none yet. */
  live: number | undefined;
  /** Name of another autoscaler that aims at the same pods. */
  rival: NonNullable<Scaling['yieldsTo']> | undefined;
  /** Activators; left out: there are none for it. */
  front?: FrontSeen;
  /** Milliseconds that what is said of pods may be old. */
  lagMs?: number;
}

export interface Outcome {
  scaling: Scaling;
  /** Whether it must be told: nothing is written while nothing changed. */
  changed: boolean;
  /** By how many pods the count changed. */
  by: number;
  ratios: ReadonlyMap<string, number>;
  /** And whether it is acted on. */
  forecast: { replicas: number; error: number; isFollowed: boolean } | undefined;
}

export class ScaledResource {
  scaling: Scaling | undefined;
  #memory: Memory | undefined;
  #zero: ZeroMemory | undefined;
  readonly #patience = new Patience();
  readonly #learnt: string | undefined;
  #yielded: { at: number; live: number; asked: number; isAsleep: boolean } | undefined;
  #forecaster: Forecaster | undefined;
  #lead = 0;

  /** @param learnt What the forecast of a former leader had learnt. */
  constructor(learnt?: string) {
    this.#learnt = learnt;
  }

  /** What the forecast has learnt, for the next leader. */
  get learnt(): string | undefined {
    return this.#forecaster?.learnt;
  }

  /** Undefined: there is nothing to scale yet. */
  update(seen: Seen): Outcome | undefined {
    const spec = seen.resource.spec.autoscaling;
    if (!spec || seen.live === undefined) return undefined;
    if (seen.rival) return this.#tell(this.#yield(seen, seen.rival, seen.live), 0);
    this.#yielded = undefined;
    const current = this.scaling?.replicas ?? seen.live;
    if (this.scaling?.yieldsTo || (current === 0 && seen.live === 0)) this.#memory = undefined;
    const zero = this.#mayBeZero(spec, seen, current);
    if (zero && (zero.least === 0 || current === 0)) return this.#sleepOrWake(zero, seen, current);
    return this.#followLoad(spec, seen, current, zero);
  }

  #followLoad(spec: Autoscaling, seen: Seen, current: number, zero: ZeroDecision | undefined): Outcome {
    const readings = readingsOf(seen, spec);
    const ahead = this.#foresee(spec, seen, readings, current);
    const isFollowed = ahead?.isBetter === true && spec.predictive?.mode === 'WhenBetter';
    const { holds, ...bounds } = boundsOf(spec, current, seen);
    const decided = decide({
      now: seen.now,
      current,
      ...bounds,
      behavior: behaviorOf(spec),
      readings,
      forecast: isFollowed ? ahead.value : undefined,
      memory: this.#memory,
    });
    const decision = atLeast(zero, seen.front?.waiting ?? 0, decided, seen.now);
    this.#memory = decision.memory;
    const scaling = scalingOf(decision, current, seen.now, this.scaling, holds);
    scaling.active = this.#patience.active(scaling.active, this.scaling, seen);
    if (decision.desired === current) scaling.limited = this.#patience.limited(scaling.limited, this.scaling, seen.now);
    const front = frontFor(zero, seen.front);
    if (front) scaling.front = front;
    const forecast = ahead && { replicas: Math.ceil(ahead.value), error: ahead.error };
    if (forecast) scaling.forecast = { at: new Date(seen.now + this.#lead * 1000), ...forecast };
    return {
      ...this.#tell(scaling, decision.desired - current),
      ratios: ratiosOf(readings, current),
      forecast: forecast && { ...forecast, isFollowed },
    };
  }

  #mayBeZero(spec: Autoscaling, seen: Seen, current: number): ZeroDecision | undefined {
    const { front } = seen;
    if (!front || spec.minReplicas > 0) {
      this.#zero = undefined;
      return undefined;
    }
    const decision = decideZero({
      now: seen.now,
      afterMs: Math.max(parseDuration(spec.scaleToZero?.after ?? usualIdleness) * 1000, seen.lagMs ?? 0),
      current,
      readyEndpoints: front.readyEndpoints,
      voices: [...podVoices(seen), ...front.voices],
      hasActivator: front.front.addresses.length > 0,
      isFronted: front.isFronted,
      waiting: front.waiting,
      perPod: perPodOf(spec),
      most: boundsOf(spec, current, seen).max,
      memory: this.#zero,
    });
    this.#zero = decision.memory;
    return decision;
  }

  /** Between no pods and some the load says nothing: what waits does. */
  #sleepOrWake(zero: ZeroDecision, seen: Seen, current: number): Outcome {
    const desired = zero.least;
    const before = this.scaling;
    // Nothing is measured without pods, and nothing is what was asked.
    if (desired === 0) this.#forecaster?.observe(seen.now, 0);
    this.#memory = undefined;
    const message = zero.reason ?? before?.reason ?? 'nothing is asked';
    const scaling: Scaling = {
      replicas: desired,
      active:
        desired === 0
          ? { status: 'True', reason: 'ScaledToZero', message: 'activators hold requests until a pod serves' }
          : { status: 'True', reason: 'Waking', message: 'requests wait for the first pod' },
      limited: { status: 'False', reason: 'DesiredWithinRange', message: limits.DesiredWithinRange },
      reason: message,
      lastScaleTime: desired === current ? before?.lastScaleTime : new Date(seen.now),
    };
    const front = frontFor(zero, seen.front);
    if (front) scaling.front = front;
    return this.#tell(scaling, desired - current);
  }

  /**
   * An autoscaler at /scale begins from spec.replicas, which nobody has kept: until it has written there once, or had the
   * time to, what runs stays. One does nothing where there are no pods: what we had put to sleep we wake first, and the
   * activators stay until a pod serves.
   */
  #yield(seen: Seen, rival: NonNullable<Scaling['yieldsTo']>, live: number): Scaling {
    const asked = seen.resource.spec.replicas;
    const isAsleep = live === 0 && (this.scaling?.replicas === 0 || seen.front?.isFronted === true);
    this.#yielded ??= { at: seen.now, live, asked, isAsleep };
    if (live > 0) this.#yielded.isAsleep = false;
    const { at, live: held, asked: first } = this.#yielded;
    const holds = rival.target === 'Resource' && asked === first && held > asked && seen.now - at < handOverMs;
    const front = frontFor(undefined, seen.front);
    const woken = rival.target === 'Resource' ? Math.max(1, asked) : 1;
    return {
      ...yielding(rival, this.scaling),
      ...(holds && { replicas: held }),
      ...(this.#yielded.isAsleep && { replicas: woken }),
      ...(front && { front }),
    };
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
    this.#forecaster ??= new Forecaster({ leadSeconds: this.#lead, learnt: this.#learnt });
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
      before.yieldsTo?.name !== scaling.yieldsTo?.name ||
      !isDeepStrictEqual(before.front, scaling.front);
    if (changed) this.scaling = scaling;
    return { scaling: this.scaling ?? scaling, changed, by, ratios: new Map(), forecast: undefined };
  }
}

/** An HPA looks every 15 s; one that is just made has much to list first. */
const handOverMs = 120_000;
/** Without a block `scaleToZero`: its default. */
const usualIdleness = '10m';

function podVoices({ pods, signals }: Seen): Voice[] {
  return pods
    .filter((pod) => counts(pod) && isReady(pod))
    .map(({ metadata: { uid = '' } }) => {
      const said = signals.get(uid);
      if (said?.requests === undefined) return { id: uid, said: undefined };
      const busy = (said.queueDepth ?? 0) > 0 || (said.concurrency ?? 0) > 0;
      return { id: uid, said: { busy, total: said.requests } };
    });
}

/** Requests that wait for one pod are as good as requests in its work or queue. */
function perPodOf(spec: Autoscaling): number {
  const aims = aimsOf(spec).filter(({ type }) => type === 'Concurrency' || type === 'QueueDepth');
  return aims.length > 0 ? Math.min(...aims.map(({ target }) => target)) : Number.POSITIVE_INFINITY;
}

function atLeast(zero: ZeroDecision | undefined, waiting: number, decision: Decision, now: number): Decision {
  if (!zero || decision.desired >= zero.least) return decision;
  const { least } = zero;
  // What was wanted for those who wait is not given up before the window for shrinking is over.
  const recommendations = [...decision.memory.recommendations, { at: now, replicas: least }];
  return {
    ...decision,
    desired: least,
    message: `${waiting} requests wait for pods to start`,
    memory: { ...decision.memory, recommendations },
  };
}

/** Activators stay as long as nobody else would take the requests, whatever the spec says by now. */
function frontFor(zero: ZeroDecision | undefined, seen: FrontSeen | undefined): Scaling['front'] {
  if (!seen) return undefined;
  const standsIn = zero ? zero.front : seen.isFronted && seen.readyEndpoints === 0;
  if (!zero && !standsIn) return undefined;
  return { ...seen.front, addresses: standsIn ? seen.front.addresses : [] };
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
