// Every few seconds, as the leader: scrape the pods of every scaled resource, decide, and have what changed reconciled.
// The reconcile alone writes the count, so no two writers ever differ about it.
import type { Served } from '../kinds/serving/engines.ts';
import { learntIn } from '../kinds/serving/forecast.ts';
import type { Scaling } from '../kinds/serving/scaling.ts';
import { forecastName, mainName } from '../kinds/serving/workload.ts';
import { pause } from '../kube/backoff.ts';
import { type Log, silentLog } from '../kube/log.ts';
import type { Store } from '../kube/store.ts';
import type { KubeObject } from '../kube/types.ts';
import type { Deployment } from '../objects/deployment.ts';
import type { ObjectCondition, Pod } from '../objects/types.ts';
import type { EventNote } from '../reconcile/events.ts';
import { Account } from './account.ts';
import { noPrices, type Prices } from './bill.ts';
import { counts } from './bounds.ts';
import type { Ask } from './capacity.ts';
import { askOf } from './devices.ts';
import type { Fronts } from './fronts.ts';
import { History } from './history.ts';
import { inTime, type Mark, marks } from './idlest.ts';
import type { ScalingMetrics } from './metrics.ts';
import type { Places } from './places.ts';
import { lagMs, type Prometheus, type Question } from './prometheus.ts';
import { type Outcome, ScaledResource } from './resource.ts';
import { rivalOf, rivalsOf } from './rivals.ts';
import type { Scraper, Target } from './scrape.ts';
import { nameOf, parsed, type Service, type ServicesOptions, serviceOf, servicesOf } from './services.ts';
import type { PodSignals } from './signals.ts';
import { targetOf } from './targets.ts';

export interface AutoscalerOptions extends ServicesOptions {
  deployments: Store;
  rivals: Store;
  /** Where a former leader has left what its forecasts had learnt; left out: nowhere. */
  configMaps?: Store;
  scraper: Scraper;
  prometheus: Prometheus;
  /** Server to ask for resources that name none; left out: their pods themselves are asked. */
  prometheusURL?: string | undefined;
  /** Left out: there are no activators, and nothing scales to zero. */
  fronts?: Fronts;
  /** Left out: free GPUs and quotas are not counted. */
  places?: Places;
  /** Has the pods that may go first known as such; left out: Kubernetes chooses. */
  mark?: (pods: readonly Mark[]) => Promise<void>;
  /** The count or its reason changed: reconcile this one. */
  onChange: (kind: string, key: string) => void;
  onEvent?: (resource: KubeObject, note: EventNote) => void;
  prices?: Prices;
  metrics?: ScalingMetrics;
  log?: Log;
  /** Milliseconds between the starts of two cycles. Default 2 000. */
  intervalMs?: number;
  now?: () => number;
  /** Where pods answer. Default 8080. */
  port?: number;
}

interface State {
  uid: string;
  scaled: ScaledResource;
  account: Account;
  /** What was decided before, while the pods that are to go are being marked. */
  unmarked?: { scaling: Scaling | undefined } | undefined;
}

interface Candidate {
  id: string;
  key: string;
  resource: Served;
  pods: readonly Pod[];
}

export class Autoscaler {
  readonly #options: AutoscalerOptions;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #history = new History();
  readonly #states = new Map<string, State>();
  /** What may have no pods, by its Service. */
  readonly #sleepers = new Map<string, Service>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #lastCycle: number | undefined;

  constructor(options: AutoscalerOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#now = options.now ?? Date.now;
  }

  /** What was decided last, for the reconcile. */
  of(kind: string, key: string, uid: string | undefined): Scaling | undefined {
    const state = this.#states.get(`${kind} ${key}`);
    if (!state || state.uid !== uid) return undefined;
    const { account, scaled, unmarked } = state;
    // Whoever reconciles meanwhile must not shrink it before Kubernetes knows which pods may go.
    const scaling = unmarked ? unmarked.scaling : scaled.scaling;
    return scaling && { ...scaling, ...account.told };
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    // A cycle must not wait for pods that do not answer: the lease is given up after it.
    await Promise.all([this.#options.scraper.close(), this.#options.prometheus.close(), this.#options.fronts?.close()]);
    await this.#running;
  }

  /** Requests wait for this Service: a pod is asked for now, not at the next look. */
  wake(service: string): void {
    const sleeper = this.#sleepers.get(service);
    if (!sleeper || this.#stop.signal.aborted) return;
    const { id, key, definition } = sleeper;
    if (this.#states.get(id)?.scaled.scaling?.replicas !== 0) return;
    const stored = this.#options.kinds.find((each) => each.definition === definition)?.resources.get(key);
    const found = stored && serviceOf(definition, stored, this.#options);
    const candidate = found && candidateOf(found);
    if (candidate) this.#attempt(candidate, this.#now(), new Map(), rivalsOf(this.#options.rivals));
  }

  /** One round over all scaled resources. */
  async cycle(): Promise<void> {
    this.#options.fronts?.refresh();
    const candidates = this.#candidates();
    const targets: Target[] = [];
    const questions: Question[] = [];
    for (const candidate of candidates) {
      const question = this.#questionOf(candidate);
      if (question) questions.push(question);
      else targets.push(...candidate.pods.flatMap((pod) => targetOf(pod, this.#options.port)));
    }
    const onError = (error: Error) => {
      this.#options.metrics?.failures.inc();
      this.#log.warn({ err: error }, 'Prometheus was not heard');
    };
    const [told, signals] = await Promise.all([
      this.#options.prometheus.all(questions, onError),
      this.#scrape(targets),
      this.#options.places?.see(this.#asks(candidates), this.#now(), this.#stop.signal),
    ]);
    for (const [id, said] of told) signals.set(id, said);
    if (this.#stop.signal.aborted) return;
    const rivals = rivalsOf(this.#options.rivals);
    const now = this.#now();
    const seconds = this.#lastCycle === undefined ? 0 : Math.min(60, Math.max(0, (now - this.#lastCycle) / 1000));
    this.#lastCycle = now;
    for (const candidate of candidates) {
      this.#attempt(candidate, now, signals, rivals);
      this.#account(candidate, { signals, seconds, now });
    }
    this.#forget(candidates);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const start = performance.now();
      await this.cycle().catch((error: unknown) => this.#log.error({ err: error }, 'a cycle of the autoscaler failed'));
      const tookMs = performance.now() - start;
      this.#options.metrics?.cycleSeconds.observe(tookMs / 1000);
      // Reconciles share this process: at least half of the time is theirs.
      await pause(Math.max((this.#options.intervalMs ?? 2_000) - tookMs, tookMs), signal);
    }
  }

  #candidates(): Candidate[] {
    const found: Candidate[] = [];
    this.#sleepers.clear();
    for (const service of servicesOf(this.#options)) {
      const candidate = candidateOf(service);
      if (!candidate) continue;
      found.push(candidate);
      const { resource } = candidate;
      const sleeper = resource.spec.autoscaling?.minReplicas === 0 && this.#options.fronts?.serviceOf(resource);
      if (sleeper) this.#sleepers.set(sleeper, service);
    }
    return found;
  }

  /** Who asks for GPUs, beginning from what was decided last or runs. */
  #asks(candidates: readonly Candidate[]): Ask[] {
    return candidates.flatMap(({ id, resource, pods }) => {
      const wanted = this.#states.get(id)?.scaled.scaling?.replicas ?? pods.filter(counts).length;
      return askOf(id, resource, pods, wanted) ?? [];
    });
  }

  #attempt(
    candidate: Candidate,
    ...rest: [number, ReadonlyMap<string, PodSignals>, ReadonlyMap<string, string>]
  ): void {
    try {
      this.#update(candidate, ...rest);
    } catch (error) {
      this.#log.warn({ err: error, key: candidate.key, kind: candidate.resource.kind }, 'no decision on its scale');
    }
  }

  #urlFor({ spec }: Served): string | undefined {
    return spec.autoscaling?.source?.prometheusURL ?? this.#options.prometheusURL;
  }

  /** For what is measured by way of Prometheus. */
  #questionOf({ resource, pods }: Candidate): Question | undefined {
    const url = this.#urlFor(resource);
    if (!url) return undefined;
    const running = pods.filter((pod) => targetOf(pod).length > 0);
    const named = running.map(({ metadata }) => [metadata.name, metadata.uid ?? ''] as const);
    return { url, namespace: resource.metadata.namespace ?? '', pods: new Map(named) };
  }

  async #scrape(targets: readonly Target[]): Promise<Map<string, PodSignals>> {
    const answers = await this.#options.scraper.all(targets);
    const at = this.#now();
    const signals = new Map<string, PodSignals>();
    for (const [id, answer] of answers) {
      if (answer instanceof Error) this.#options.metrics?.failures.inc();
      else signals.set(id, this.#history.note(id, at, answer));
    }
    this.#history.keepOnly(new Set(targets.map(({ id }) => id)));
    return signals;
  }

  #update(
    { id, key, resource, pods }: Candidate,
    now: number,
    signals: ReadonlyMap<string, PodSignals>,
    rivals: ReadonlyMap<string, string>,
  ): void {
    const { namespace = '' } = resource.metadata;
    const deployment = this.#options.deployments.get(`${namespace}/${mainName(resource)}`) as Deployment | undefined;
    const state = this.#stateOf(id, resource, now);
    const front = this.#options.fronts?.of(resource);
    const refused = deployment?.status?.conditions?.find(isRefusal)?.message;
    const room = this.#options.places?.room(id);
    const before = state.scaled.scaling;
    const outcome = state.scaled.update({
      now,
      resource,
      live: deployment && (deployment.spec.replicas ?? 1),
      pods,
      signals,
      rival: rivalOf(resource, rivals),
      ...(front && { front }),
      ...(this.#urlFor(resource) && { lagMs }),
      ...(refused !== undefined && { refused }),
      ...(room && { room }),
    });
    const granted = outcome?.scaling.replicas;
    if (granted !== undefined) this.#options.places?.grant(id, granted);
    if (outcome) this.#report({ id, key, resource, pods }, outcome, { state, before, signals });
  }

  /** Before the ReplicaSet is told to choose. */
  async #marked(chosen: readonly Mark[], state: State, before: Scaling | undefined): Promise<void> {
    const unmarked = { scaling: before };
    state.unmarked = unmarked;
    await inTime(this.#options.mark?.(chosen), this.#stop.signal);
    if (state.unmarked === unmarked) state.unmarked = undefined;
  }

  /** A namesake of what was deleted begins anew. */
  #stateOf(id: string, resource: Served, now: number): State {
    const { namespace = '', uid = '' } = resource.metadata;
    const known = this.#states.get(id);
    if (known?.uid === uid) return known;
    const left = this.#options.configMaps?.get(`${namespace}/${forecastName(resource)}`);
    const scaled = new ScaledResource(learntIn(left, uid));
    const account = new Account(this.#options.prices ?? noPrices, resource, now);
    const state: State = { uid, scaled, account };
    this.#states.set(id, state);
    return state;
  }

  #report(
    { key, resource, pods }: Candidate,
    { scaling, changed, by, ratios, forecast }: Outcome,
    { state, before, signals }: { state: State; before: Scaling | undefined; signals: ReadonlyMap<string, PodSignals> },
  ): void {
    const { namespace = '', name } = resource.metadata;
    this.#options.metrics?.note({ kind: resource.kind, namespace, name }, { scaling, by, ratios, forecast });
    if (by !== 0) {
      const direction = by > 0 ? 'Up' : 'Down';
      const message = `from ${(scaling.replicas ?? 0) - by} to ${scaling.replicas} pods: ${scaling.reason}`;
      this.#log.info({ key, kind: resource.kind, replicas: scaling.replicas, by }, scaling.reason);
      this.#options.onEvent?.(resource, { type: 'Normal', reason: `Scaled${direction}`, message });
    }
    if (!changed) return;
    const tell = () => this.#options.onChange(resource.kind, key);
    const chosen = by < 0 && scaling.replicas ? marks(pods, signals, -by) : [];
    if (chosen.length === 0) tell();
    else void this.#marked(chosen, state, before).then(tell);
  }

  #account(
    { id, key, resource, pods }: Candidate,
    stretch: { signals: ReadonlyMap<string, PodSignals>; seconds: number; now: number },
  ): void {
    const { account, scaled } = this.#states.get(id) ?? {};
    const { metrics } = this.#options;
    try {
      const seen = { ...stretch, resource, pods, scaling: scaled?.scaling, metrics };
      if (account?.add(seen, () => scaled?.learnt)) this.#options.onChange(resource.kind, key);
    } catch (error) {
      this.#log.warn({ err: error, key, kind: resource.kind }, 'its use is not accounted for');
    }
  }

  /** Who is scaled no more leaves nothing behind. */
  #forget(candidates: readonly Candidate[]): void {
    const ids = new Set(candidates.map(({ id }) => id));
    for (const id of this.#states.keys()) {
      if (ids.has(id)) continue;
      this.#states.delete(id);
      this.#options.metrics?.forget(nameOf(id));
    }
  }
}

/** A quota, or whatever else refuses its pods. */
const isRefusal = ({ type, status }: ObjectCondition): boolean => type === 'ReplicaFailure' && status === 'True';

/** Undefined for what is not scaled by us. */
function candidateOf(service: Service): Candidate | undefined {
  const { spec } = service.stored as KubeObject & { spec?: { autoscaling?: unknown; suspend?: boolean } };
  const resource = spec?.autoscaling && !spec.suspend ? parsed(service) : undefined;
  return resource && { id: service.id, key: service.key, resource, pods: service.pods };
}
