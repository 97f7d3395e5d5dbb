// What the cluster has to place GPU pods on: nodes, what others' pods hold of them, and quotas. Read now and then, and
// only while a scaled resource asks for GPUs; our own pods are known from the cache.
import { pause } from '../kube/backoff.ts';
import type { Client, ListOptions } from '../kube/client.ts';
import { ApiError } from '../kube/errors.ts';
import { type Log, silentLog } from '../kube/log.ts';
import type { Store } from '../kube/store.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import { types } from '../objects/types.ts';
import { labels, managedBy } from '../reconcile/kind.ts';
import { type Ask, type Cluster, type Quota, type Room, roomFor } from './capacity.ts';
import {
  deviceNode,
  type Held,
  hold,
  type Node,
  type Occupant,
  type Offer,
  plainQuota,
  type ResourceQuota,
} from './devices.ts';

interface PlacesOptions {
  client: Pick<Client, 'list'>;
  /** Of our own pods. */
  pods: Store;
  /** Those of this installation, which then sees no nodes; empty: the whole cluster. */
  namespaces?: readonly string[];
  log?: Log;
}

interface Look {
  at: number;
  /** Left out: they cannot be seen. */
  nodes?: readonly Offer[];
  /** What pods hold that are not ours. */
  foreign?: Held;
  quotas: readonly Quota[];
  counted: ReadonlyMap<string, number>;
}

const lookEveryMs = 30_000;
/** What is older says nothing: then nothing is bounded by it. */
const staleMs = 120_000;
/** The first look may hold up a decision for so long. */
const firstLookMs = 2_000;

export class Places {
  readonly #options: PlacesOptions;
  readonly #log: Log;
  #asks = new Map<string, Ask>();
  #look: Look | undefined;
  #cluster: Cluster | undefined;
  #triedAt = Number.NEGATIVE_INFINITY;
  /** Types that this installation may not list: asked for no more. */
  readonly #forbidden = new Set<ResourceType>();

  constructor(options: PlacesOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
  }

  /** Begins a cycle: who asks for GPUs, and what there is of them. */
  async see(asks: readonly Ask[], now: number, signal: AbortSignal): Promise<void> {
    this.#asks = new Map(asks.map((ask) => [ask.id, ask]));
    if (asks.length === 0) {
      this.#look = this.#cluster = undefined;
      this.#triedAt = Number.NEGATIVE_INFINITY;
      return;
    }
    if (now - this.#triedAt >= lookEveryMs) {
      this.#triedAt = now;
      const looking = this.#lookAround(now).catch((error: unknown) =>
        this.#log.warn({ err: error }, 'free GPUs and quotas are not known'),
      );
      if (!this.#look) await Promise.race([looking, pause(firstLookMs, signal)]);
    }
    this.#cluster = this.#look && now - this.#look.at < staleMs ? this.#clusterOf(this.#look) : undefined;
  }

  /** Undefined: nothing is known that bounds it. */
  room(id: string): Room | undefined {
    const ask = this.#asks.get(id);
    return ask && this.#cluster && roomFor(ask, this.#asks.values(), this.#cluster);
  }

  /** What was granted is free no more. */
  grant(id: string, wanted: number): void {
    const ask = this.#asks.get(id);
    if (ask) this.#asks.set(id, { ...ask, wanted });
  }

  #clusterOf({ nodes, foreign = new Map(), quotas, counted }: Look): Cluster {
    if (!nodes) return { quotas, counted };
    const held: Held = new Map([...foreign].map(([name, amounts]) => [name, { ...amounts }]));
    for (const pod of this.#options.pods.values() as Iterable<Occupant>) hold(held, pod);
    return { quotas, counted, nodes: nodes.map((node) => ({ ...node, held: held.get(node.name) ?? {} })) };
  }

  async #lookAround(at: number): Promise<void> {
    const asks = [...this.#asks.values()];
    const counted = new Map(asks.map(({ id, exist }) => [id, exist] as const));
    const { namespaces = [] } = this.#options;
    const isNamespaced = namespaces.length > 0;
    const scopes = isNamespaced ? namespaces : [undefined];
    const quotas: Quota[] = [];
    for (const namespace of scopes)
      await this.#list<ResourceQuota>(types.resourceQuota, { namespace }, (quota) => quotas.push(...plainQuota(quota)));
    const offers = isNamespaced || !asks.some(({ device }) => device) ? undefined : await this.#offers();
    this.#look = { at, ...offers, quotas, counted };
  }

  async #offers(): Promise<Pick<Look, 'nodes' | 'foreign'> | undefined> {
    const nodes: Offer[] = [];
    const foreign: Held = new Map();
    const isSeen = await this.#list<Node>(types.node, {}, (node) => nodes.push(...deviceNode(node)));
    if (!isSeen) return undefined;
    const others = {
      labelSelector: `${labels.managedBy}!=${managedBy}`,
      fieldSelector: 'spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed',
    };
    if (nodes.length > 0) await this.#list<Occupant>(types.pod, others, (pod) => hold(foreign, pod));
    return { nodes, foreign };
  }

  /** Of large lists nothing is kept but what `take` keeps. @returns Whether they may be seen. */
  async #list<T extends KubeObject>(
    type: ResourceType,
    options: ListOptions,
    take: (object: T) => void,
  ): Promise<boolean> {
    if (this.#forbidden.has(type)) return false;
    try {
      await this.#options.client.list<T>(type, options, (page) => {
        for (const object of page) take(object);
      });
      return true;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 403) throw error;
      this.#forbidden.add(type);
      this.#log.warn({ err: error }, `${type.plural} may not be listed: what they leave room for is not counted`);
      return false;
    }
  }
}
