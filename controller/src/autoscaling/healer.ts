// Every half minute, as the leader: look at the pods of services that may be healed, and have what is to be done about them
// written to where their engines read it.
import { parseDuration } from '@quintet/crds';
import type { Served } from '../kinds/serving/engines.ts';
import { commandsOf, type Healing } from '../kinds/serving/healing.ts';
import type { ScalingSource } from '../kinds/serving/scaling.ts';
import { mainName } from '../kinds/serving/workload.ts';
import { pause } from '../kube/backoff.ts';
import { type Log, silentLog } from '../kube/log.ts';
import { keyOf } from '../kube/paths.ts';
import type { Store } from '../kube/store.ts';
import type { KubeObject } from '../kube/types.ts';
import type { Pod } from '../objects/types.ts';
import type { EventNote } from '../reconcile/events.ts';
import { type Anomalies, anomaliesOf } from './anomaly.ts';
import { commandOf, type Done, factorsOf, toldOf } from './healed.ts';
import { History } from './history.ts';
import { inTime, type Mark, marks, streaming } from './idlest.ts';
import type { HealingMetrics } from './metrics.ts';
import { resized } from './rules/coldness.ts';
import { diagnose, type HealingMemory, notDone } from './rules/index.ts';
import type { Remedy } from './rules/rule.ts';
import type { Scraper } from './scrape.ts';
import { nameOf, parsed, readyEngines, type ServicesOptions, servicesOf } from './services.ts';
import { aimsOf } from './settings.ts';
import type { PodSignals } from './signals.ts';
import { targetOf } from './targets.ts';

/** The memory of a matcher is its index, of which nothing can be given up. */
const withoutCaches: ReadonlySet<string> = new Set<Served['kind']>(['MatcherPool']);

export interface HealerOptions extends ServicesOptions {
  /** Where commands are put: a new leader finds those of its predecessor there. */
  configMaps: Store;
  scraper: Scraper;
  /** Has a pod end and another begin in its place. Throws where that is refused, by a PodDisruptionBudget for one. */
  replace: (pod: Pod) => Promise<void>;
  /** Has the pod that may go first known as such; left out: Kubernetes chooses. */
  mark?: (pods: readonly Mark[]) => Promise<void>;
  /** What the autoscaler has decided: whether there may be one pod more. */
  scaling?: ScalingSource;
  /** Something is to be told: reconcile this one. */
  onChange: (kind: string, key: string) => void;
  onEvent?: (resource: KubeObject, note: EventNote) => void;
  metrics?: HealingMetrics;
  log?: Log;
  /** Milliseconds between two looks. Default 30 000. */
  intervalMs?: number;
  /** The time that commands bear: engines carry out none that is older than they are. */
  now?: () => number;
  /** Where pods answer. Default 8080. */
  port?: number;
}

interface State {
  uid: string;
  memory: HealingMemory | undefined;
  anomalies: Anomalies | undefined;
  done: Done[];
  /** Until when there is one pod more. */
  grownUntil: number;
  told: Healing | undefined;
}

interface Ward {
  id: string;
  key: string;
  resource: Served;
  pods: Pod[];
}

const hourMs = 3_600_000;
/** For how long one pod more helps: a sick one is replaced meanwhile. */
const grownMs = 600_000;
/** Of pages that were lost: a few looks. */
const staleMs = 150_000;

export class Healer {
  readonly #options: HealerOptions;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #history = new History(staleMs);
  readonly #states = new Map<string, State>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: HealerOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#now = options.now ?? Date.now;
  }

  /** What is to be told of it; undefined: nothing was done since this leader leads. */
  of(kind: string, key: string, uid: string | undefined): Healing | undefined {
    const state = this.#states.get(`${kind} ${key}`);
    return state?.uid === uid ? state?.told : undefined;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#options.scraper.close();
    await this.#running;
  }

  /** One look at all services. */
  async look(): Promise<void> {
    const wards = this.#wards();
    const targets = wards.flatMap(({ pods }) => pods.flatMap((pod) => targetOf(pod, this.#options.port)));
    const pages = await this.#options.scraper.all(targets);
    if (this.#stop.signal.aborted) return;
    const signals = new Map<string, PodSignals>();
    const now = this.#now();
    for (const [id, page] of pages) if (!(page instanceof Error)) signals.set(id, this.#history.note(id, now, page));
    this.#history.keepOnly(new Set(targets.map(({ id }) => id)));
    await Promise.all(wards.map((ward) => this.#treat(ward, signals, now)));
    const looked = new Set(wards.map(({ id }) => id));
    this.#forget(looked);
    this.#endGrowth(looked, now);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await pause(this.#options.intervalMs ?? 30_000, signal);
      if (signal.aborted) return;
      await this.look().catch((error: unknown) => this.#log.error({ err: error }, 'a look of the healer failed'));
    }
  }

  /** Of whom no pod was looked at nothing is told, but who has none for a while is remembered: a sole pod that was replaced, above all. */
  #forget(looked: ReadonlySet<string>): void {
    const there = new Set<string>();
    for (const { definition, resources } of this.#options.kinds)
      for (const { metadata } of resources.values()) there.add(`${definition.kind} ${keyOf(metadata)}`);
    for (const id of this.#states.keys()) {
      if (looked.has(id)) continue;
      this.#options.metrics?.forget(nameOf(id));
      if (!there.has(id)) this.#states.delete(id);
    }
  }

  /** The pod more of what is not looked at any more, none being ready or by its spec, ends with its time as well. */
  #endGrowth(looked: ReadonlySet<string>, now: number): void {
    for (const [id, state] of this.#states) {
      if (looked.has(id) || state.grownUntil > now || state.told?.extra !== 1) continue;
      state.told = { ...state.told, extra: 0 };
      const [kind = '', key = ''] = id.split(' ');
      this.#options.onChange(kind, key);
    }
  }

  #wards(): Ward[] {
    const wards: Ward[] = [];
    for (const service of servicesOf(this.#options)) {
      const pods = readyEngines(service.pods);
      const resource = pods.length > 0 ? parsed(service) : undefined;
      if (!resource?.spec.healing || resource.spec.suspend || resource.spec.healing.mode === 'None') continue;
      wards.push({ id: service.id, key: service.key, resource, pods });
    }
    return wards;
  }

  async #treat(
    { id, key, resource, pods }: Ward,
    signals: ReadonlyMap<string, PodSignals>,
    now: number,
  ): Promise<void> {
    const { uid = '' } = resource.metadata;
    const known = this.#states.get(id);
    const state = known?.uid === uid ? known : this.#admit(resource, uid);
    this.#states.set(id, state);
    const patients = pods.flatMap(({ metadata }) => {
      const said = signals.get(metadata.uid ?? '');
      return said ? [{ name: metadata.name, signals: said }] : [];
    });
    const { namespace = '', name } = resource.metadata;
    state.anomalies = anomaliesOf(
      patients.map((patient) => patient.signals),
      state.anomalies,
      now,
    );
    this.#options.metrics?.note({ kind: resource.kind, namespace, name }, state.anomalies);
    const latencyP95 = slowestOf(resource);
    const seen = {
      pods: patients,
      unheard: pods.map((pod) => pod.metadata.name).filter((each) => !patients.some((one) => one.name === each)),
      ...(latencyP95 !== undefined && { latencyP95 }),
      mayGrow: this.#mayGrow(resource, key, state, now),
      hasCaches: !withoutCaches.has(resource.kind),
    };
    const earlier = state.memory;
    const { remedies, memory } = diagnose(seen, earlier);
    state.memory = memory;
    const before = state.done.length;
    state.done = state.done.filter(({ at }) => at > now - hourMs);
    let hasChanged = state.done.length !== before;
    for (const remedy of remedies) {
      if (await this.#apply(resource, pods, state, remedy, now)) hasChanged = true;
      else state.memory = notDone(state.memory, earlier, remedy);
    }
    const isOver = state.grownUntil <= now && (state.told?.extra !== 1 || (await this.#mayShrink(pods, signals)));
    const isGrown = !isOver;
    if (!hasChanged && isGrown === (state.told?.extra === 1)) return;
    state.told = toldOf(state.done, resource.spec.autoscaling !== undefined, isGrown);
    this.#options.onChange(resource.kind, key);
  }

  /** What a predecessor did counts in the budget. */
  #admit(resource: Served, uid: string): State {
    const key = `${resource.metadata.namespace ?? ''}/${mainName(resource)}`;
    const live = this.#options.configMaps.get(key);
    const isOwn = live?.metadata.ownerReferences?.some((owner) => owner.uid === uid);
    const done = (isOwn ? commandsOf(live) : []).map((command) => ({
      at: Date.parse(command.at),
      command,
      reason: 'before the leader changed',
    }));
    const memory = { cold: resized(factorsOf(resource, done)) };
    return { uid, memory, anomalies: undefined, done, grownUntil: 0, told: undefined };
  }

  /** Before the pod more ends: the idlest goes, and none while all carry streams. */
  async #mayShrink(pods: readonly Pod[], signals: ReadonlyMap<string, PodSignals>): Promise<boolean> {
    if (streaming(pods, signals) >= pods.length) return false;
    await inTime(this.#options.mark?.(marks(pods, signals, 1)), this.#stop.signal);
    return true;
  }

  #mayGrow({ kind, metadata, spec }: Served, key: string, { grownUntil }: State, now: number): boolean {
    const scaling = this.#options.scaling?.(kind, key, metadata.uid);
    if (!spec.autoscaling || !scaling?.replicas || scaling.yieldsTo || grownUntil > now) return false;
    return scaling.replicas < spec.autoscaling.maxReplicas;
  }

  /** @returns Whether it is done: the mode may say that it only is looked at, and the budget that it was enough. */
  async #apply(resource: Served, ward: readonly Pod[], state: State, remedy: Remedy, now: number): Promise<boolean> {
    const { mode = 'Act', maxActionsPerHour = 6 } = resource.spec.healing ?? {};
    const { namespace = '', name } = resource.metadata;
    const isSpent = state.done.length >= maxActionsPerHour;
    const refused = mode === 'Act' && !isSpent ? await this.#carryOut(ward, state, remedy, now) : undefined;
    const outcome = mode === 'Observe' ? 'Observed' : isSpent ? 'OverBudget' : refused ? 'Refused' : 'Done';
    const { action, pods, reason } = remedy;
    this.#options.metrics?.actions.inc({ kind: resource.kind, namespace, name, action, outcome });
    this.#log.info({ kind: resource.kind, namespace, name, action, pods, outcome }, reason);
    const notes: Record<typeof outcome, EventNote> = {
      Done: { type: 'Normal', reason: 'Healed', message: `${action}: ${reason}` },
      Observed: { type: 'Normal', reason: 'HealingObserved', message: `${action} would help: ${reason}` },
      OverBudget: {
        type: 'Warning',
        reason: 'HealingOverBudget',
        message: `${action} is not done: ${maxActionsPerHour} actions in an hour are enough; ${reason}`,
      },
      Refused: { type: 'Warning', reason: 'HealingRefused', message: `${action}: ${reason}, but ${refused?.message}` },
    };
    this.#options.onEvent?.(resource, notes[outcome]);
    if (outcome !== 'Done') return false;
    state.done.push({ at: now, command: commandOf(resource, remedy, now), reason });
    return true;
  }

  /** What engines do stands in the ConfigMap afterwards. @returns Why it could not be done. */
  async #carryOut(
    ward: readonly Pod[],
    state: State,
    { action, pods }: Remedy,
    now: number,
  ): Promise<Error | undefined> {
    if (action === 'growPool') state.grownUntil = now + grownMs;
    if (action !== 'replacePod') return undefined;
    try {
      for (const pod of ward) if (pods.includes(pod.metadata.name)) await this.#options.replace(pod);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}

/** Seconds that its answers are to stay under. */
function slowestOf({ spec }: Served): number | undefined {
  const { latencyP95 } = spec.objectives ?? {};
  if (latencyP95 !== undefined) return parseDuration(latencyP95);
  return spec.autoscaling && aimsOf(spec.autoscaling).find(({ type }) => type === 'LatencyP95')?.target;
}
