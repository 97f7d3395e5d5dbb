// Every half minute, as the leader: hear the pods of all services, and have their status tell what they do and what they hold.
import { compressionService, copyEngine, matcherPool } from '@quintet/crds';
import { type PodIndex, readIndexPage } from '../kinds/matcherpool/page.ts';
import { indexOf } from '../kinds/matcherpool/status.ts';
import type { Served } from '../kinds/serving/engines.ts';
import type { Told } from '../kinds/serving/told.ts';
import { pause } from '../kube/backoff.ts';
import { type Log, silentLog } from '../kube/log.ts';
import type { KubeObject } from '../kube/types.ts';
import { types } from '../objects/types.ts';
import type { Watches } from '../reconcile/watches.ts';
import { History } from './history.ts';
import { type Figures, readPage } from './page.ts';
import { PageScraper, type ScrapeOptions } from './scrape.ts';
import { parsed, readyEngines, type Service, type ServicesOptions, servicesOf } from './services.ts';
import type { PodSignals } from './signals.ts';
import { targetOf } from './targets.ts';
import { measuredOf, TrafficNews } from './traffic.ts';

export interface TellerOptions extends ServicesOptions {
  /** Something is to be told: reconcile this one. */
  onChange: (kind: string, key: string) => void;
  log?: Log;
  /** Milliseconds between two looks. Default 30 000. */
  intervalMs?: number;
  now?: () => number;
  /** Where pods answer. Default 8080. */
  port?: number;
  scrape?: ScrapeOptions;
}

interface Page {
  figures: Figures;
  index: PodIndex | undefined;
}

interface State {
  uid: string;
  told: Told;
  news: TrafficNews;
  /** Looks in a row in which a ready pod was not heard. */
  partial: number;
}

/** Half the traffic is no news because a page was lost; a pod that is silent for five minutes serves nobody. */
const mostPartial = 10;
/** Milliseconds between two reconciles, at most, where one look has news of many. */
const apartMs = 100;

/** Of the kinds whose columns show traffic. */
export function tellerOf({
  watches,
  ...options
}: Omit<TellerOptions, 'kinds' | 'pods'> & { watches: Watches }): Teller {
  const kinds = [compressionService, matcherPool, copyEngine].map((definition) => {
    const { group, version, plural, kind } = definition;
    return { definition, resources: watches.all({ group, version, plural, kind, namespaced: true }).store };
  });
  return new Teller({ ...options, kinds, pods: watches.own(types.pod).store });
}

export class Teller {
  readonly #options: TellerOptions;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #scraper: PageScraper<Page>;
  readonly #history = new History();
  readonly #states = new Map<string, State>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: TellerOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#now = options.now ?? Date.now;
    const read = (text: string): Page => ({ figures: readPage(text), index: readIndexPage(text) });
    this.#scraper = new PageScraper(read, options.scrape);
  }

  /** For the reconcile. */
  of(kind: string, key: string, uid: string | undefined): Told | undefined {
    const known = this.#states.get(`${kind} ${key}`);
    return known?.uid === uid ? known?.told : undefined;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#scraper.close();
    await this.#running;
  }

  /**
   * One look at all services.
   * @param spreadMs Over which those that have news are reconciled.
   */
  async look(spreadMs = 0): Promise<void> {
    const services = [...servicesOf(this.#options)]
      .map((service) => ({ ...service, pods: readyEngines(service.pods) }))
      .filter(({ pods }) => pods.length > 0);
    const targets = services.flatMap(({ pods }) => pods.flatMap((pod) => targetOf(pod, this.#options.port)));
    const pages = await this.#scraper.all(targets);
    if (this.#stop.signal.aborted) return;
    const now = this.#now();
    const heard = new Map<string, { signals: PodSignals; index: PodIndex | undefined }>();
    for (const [id, page] of pages) {
      if (page instanceof Error) continue;
      heard.set(id, { signals: this.#history.note(id, now, page.figures), index: page.index });
    }
    this.#history.keepOnly(new Set(targets.map(({ id }) => id)));
    const changed = services.filter((service) => this.#hear(service, heard, now));
    this.#forget(services);
    const gap = Math.min(apartMs, spreadMs / changed.length);
    for (const { definition, key } of changed) {
      if (this.#stop.signal.aborted) return;
      this.#options.onChange(definition.kind, key);
      if (gap > 0) await pause(gap, this.#stop.signal);
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const intervalMs = this.#options.intervalMs ?? 30_000;
      await pause(intervalMs, signal);
      if (signal.aborted) return;
      await this.look(intervalMs / 2).catch((error: unknown) =>
        this.#log.error({ err: error }, 'a look of the teller failed'),
      );
    }
  }

  /** @returns Whether there is something to tell. */
  #hear(
    service: Service,
    heard: ReadonlyMap<string, { signals: PodSignals; index: PodIndex | undefined }>,
    now: number,
  ): boolean {
    const { id, definition, stored, pods } = service;
    const said = pods.flatMap(({ metadata }) => heard.get(metadata.uid ?? '') ?? []);
    if (said.length === 0) return false;
    const state = this.#stateOf(id, stored);
    state.partial = said.length < pods.length ? state.partial + 1 : 0;
    const isTrusted = state.partial === 0 || state.partial > mostPartial;
    const measured = isTrusted ? measuredOf(said.map(({ signals }) => signals)) : undefined;
    const isNews = measured !== undefined && state.news.note(measured, now);
    const indexes = said.flatMap((each) => each.index ?? []);
    const index = definition.kind === 'MatcherPool' ? shardsOf(service, indexes) : undefined;
    const before = state.told;
    const traffic = state.news.told;
    state.told = { ...before, ...(traffic && { traffic }), ...(index && { index }) };
    return isNews || (index !== undefined && JSON.stringify(index) !== JSON.stringify(before.index));
  }

  #stateOf(id: string, resource: KubeObject): State {
    const { uid = '' } = resource.metadata;
    const known = this.#states.get(id);
    if (known?.uid === uid) return known;
    const told = toldBefore(resource);
    const state: State = { uid, told, news: new TrafficNews(told.traffic), partial: 0 };
    this.#states.set(id, state);
    return state;
  }

  #forget(services: readonly Service[]): void {
    const ids = new Set(services.map(({ id }) => id));
    for (const id of this.#states.keys()) if (!ids.has(id)) this.#states.delete(id);
  }
}

/** By a leader before this one. */
function toldBefore({ status: { traffic, index } = {} }: KubeObject & { status?: Told }): Told {
  return { ...(traffic && { traffic }), ...(index && { index }) };
}

function shardsOf(service: Service, pods: readonly PodIndex[]): Told['index'] {
  const resource = parsed(service) as Extract<Served, { kind: 'MatcherPool' }> | undefined;
  return resource && indexOf(pods, resource.spec.index.shards);
}
