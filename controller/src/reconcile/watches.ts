// The watches of the whole process. Kinds that own the same type share one watch and one cache of it.
import type { Client } from '../kube/client.ts';
import type { FollowerOptions } from '../kube/follower.ts';
import { noteManaged } from '../kube/managed.ts';
import { apiVersionOf } from '../kube/paths.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import { stripBulk, Watcher } from '../kube/watcher.ts';
import { labels, managedBy } from './kind.ts';
import { resourceIndex, resourceIndexValue } from './ownership.ts';

export interface WatchesOptions extends Omit<FollowerOptions, 'labelSelector' | 'fieldSelector'> {
  client: Client;
  /** Empty or absent: the whole cluster. */
  namespaces?: readonly string[];
}

/** `own` carry our label; `all` are watched whole: custom resources; `foreign` are whole but slim. */
type Scope = 'own' | 'all' | 'foreign';

export class Watches {
  readonly #options: WatchesOptions;
  readonly #watchers = new Map<string, Watcher>();
  #started = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  /** Objects of a type that are labelled as ours. */
  own(type: ResourceType): Watcher {
    const { fieldManager } = this.#options.client;
    const transform = (object: KubeObject): KubeObject => {
      noteManaged(object, fieldManager);
      return stripBulk(object);
    };
    return this.#watcher(type, 'own', { labelSelector: `${labels.managedBy}=${managedBy}`, transform });
  }

  /** Every object of a type: for our own custom resources. */
  all(type: ResourceType): Watcher {
    return this.#watcher(type, 'all', {});
  }

  /** Every object of a type that others make, of which only what `keep` answers is cached. */
  foreign(type: ResourceType, keep: (object: KubeObject) => object): Watcher {
    const transform = (object: KubeObject): KubeObject => {
      const { apiVersion, kind, metadata } = object;
      const { name, namespace, uid, resourceVersion, ownerReferences } = metadata;
      const slim = { name, namespace, uid, resourceVersion, ownerReferences } as KubeObject['metadata'];
      return { apiVersion, kind, metadata: slim, ...keep(object) };
    };
    return this.#watcher(type, 'foreign', { transform });
  }

  start(): void {
    this.#started = true;
    for (const watcher of this.#watchers.values()) watcher.start();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#watchers.values()].map((watcher) => watcher.stop()));
  }

  /** Resolves when every watch has brought its whole collection once. */
  async synced(): Promise<void> {
    await Promise.all([...this.#watchers.values()].map((watcher) => watcher.synced));
  }

  /** Types not yet listed: why the process is not ready. */
  get missing(): string[] {
    return [...this.#watchers.values()].filter((watcher) => !watcher.isSynced).map((watcher) => watcher.type.plural);
  }

  #watcher(
    type: ResourceType,
    scope: Scope,
    own: { labelSelector?: string; transform?: (object: KubeObject) => KubeObject },
  ): Watcher {
    const id = `${scope} ${apiVersionOf(type)}/${type.plural}`;
    let watcher = this.#watchers.get(id);
    if (watcher) return watcher;
    watcher = new Watcher({ ...this.#options, ...own, type, indexes: { [resourceIndex]: resourceIndexValue } });
    this.#watchers.set(id, watcher);
    if (this.#started) watcher.start();
    return watcher;
  }
}

/** Of an object of others: how it stands. */
export function conditionsOnly(object: KubeObject): object {
  const { conditions } = (object as KubeObject & { status?: { conditions?: unknown } }).status ?? {};
  return conditions === undefined ? {} : { status: { conditions } };
}
