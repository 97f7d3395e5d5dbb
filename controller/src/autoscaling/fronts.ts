// The activators as the autoscaler sees them: which are there, on which port they stand in for which Service, what waits
// in them, and whether the Service's endpoints name them.
import type { Served } from '../kinds/serving/engines.ts';
import { activatorSliceName, mainName } from '../kinds/serving/workload.ts';
import type { Store } from '../kube/store.ts';
import { type EndpointSlice, type Front, frontOf, labelOfService, readyEndpoints } from '../objects/endpointslice.ts';
import { labelValue, resourceIndex, resourceIndexKey } from '../reconcile/ownership.ts';
import type { Queues } from './queues.ts';
import type { Voice } from './zero.ts';

/** Of the activators' listeners: one port for each Service. */
const firstPort = 20_000;
const lastPort = 29_999;

export interface FrontsOptions {
  /** The activators' Service: NAMESPACE/NAME. */
  activator: string;
  /** Slices of that Service. */
  activators: Store;
  /** Slices of the Services of resources, by resource. */
  slices: Store;
  queues: Pick<Queues, 'follow' | 'of' | 'close'>;
}

export interface FrontSeen {
  /** What the slice is to name when the activators stand in. */
  front: Front;
  isFronted: boolean;
  readyEndpoints: number;
  waiting: number;
  voices: Voice[];
}

export class Fronts {
  readonly #options: FrontsOptions;
  #listed: ReadonlySet<string> = new Set();
  #taken = new Set<number>();
  /** Of Services whose slice is not there yet. */
  readonly #given = new Map<string, number>();

  constructor(options: FrontsOptions) {
    this.#options = options;
  }

  /** Looks anew at which activators there are. */
  refresh(): void {
    const { activators, activator, slices, queues } = this.#options;
    this.#listed = new Set(
      ([...activators.values()] as EndpointSlice[]).flatMap(readyEndpoints).flatMap(({ addresses }) => addresses),
    );
    queues.follow(this.#listed);
    this.#taken = new Set(this.#given.values());
    for (const slice of slices.values() as Iterable<EndpointSlice>) {
      const front = frontOf(slice);
      if (front?.activator !== activator) continue;
      this.#taken.add(front.port);
      this.#given.delete(`${slice.metadata.namespace ?? ''}/${slice.metadata.labels?.[labelOfService] ?? ''}`);
    }
  }

  /** NAMESPACE/NAME of the resource's Service. */
  serviceOf(resource: Served): string {
    return `${resource.metadata.namespace ?? ''}/${mainName(resource)}`;
  }

  /** @returns undefined for what neither may scale to zero nor has activators in its way. */
  of(resource: Served): FrontSeen | undefined {
    const { activator, slices, queues } = this.#options;
    const { namespace = '', name } = resource.metadata;
    const slice = slices.get(`${namespace}/${activatorSliceName(resource)}`) as EndpointSlice | undefined;
    const live = frontOf(slice);
    const mine = live?.activator === activator ? live : undefined;
    if (!mine && resource.spec.autoscaling?.minReplicas !== 0) return undefined;
    const service = this.serviceOf(resource);
    const port = mine?.port ?? this.#portFor(service);
    const heard = queues.of(service).filter(({ address }) => this.#listed.has(address));
    // Who has not said that it listens gets no traffic; who is not heard keeps what it has, for it may be our own network.
    const addresses = heard.flatMap(({ address, instance, queue }) => {
      const listens = instance === undefined ? (mine?.addresses.includes(address) ?? false) : queue?.port === port;
      return listens ? [address] : [];
    });
    const index = resourceIndexKey(resource.kind, namespace, labelValue(name));
    const own = (slices.by(resourceIndex, index) as readonly EndpointSlice[]).filter((each) => !frontOf(each));
    return {
      front: { activator, port, addresses: addresses.sort() },
      isFronted: mine?.addresses.some((address) => this.#listed.has(address)) ?? false,
      readyEndpoints: own.reduce((sum, each) => sum + readyEndpoints(each).length, 0),
      waiting: heard.reduce((sum, { queue }) => sum + (queue?.waiting ?? 0), 0),
      voices: heard.map(({ address, instance, queue }) => ({
        id: instance ?? address,
        said: queue && { busy: queue.waiting + queue.inFlight > 0, total: queue.total },
      })),
    };
  }

  async close(): Promise<void> {
    await this.#options.queues.close();
  }

  #portFor(service: string): number {
    const known = this.#given.get(service);
    if (known !== undefined) return known;
    let port = firstPort;
    while (this.#taken.has(port) && port < lastPort) port += 1;
    this.#taken.add(port);
    this.#given.set(service, port);
    return port;
  }
}
