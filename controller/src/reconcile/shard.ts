// The part of the cluster that this controller answers for, by a label on namespaces: with selectors that never meet,
// several controllers share one cluster and none writes where another does.
import type { KubeObject, ResourceType } from '../kube/types.ts';
import { Watcher, type WatcherOptions } from '../kube/watcher.ts';

const namespaces: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};

export class Shard {
  readonly #watcher: Watcher;

  /** @param selector Label selector as in `kubectl get namespaces --selector`. */
  constructor(selector: string, options: Omit<WatcherOptions, 'type' | 'labelSelector' | 'transform' | 'namespaces'>) {
    this.#watcher = new Watcher({ ...options, type: namespaces, labelSelector: selector, transform: nameOnly });
  }

  /** Resolves when the namespaces of this shard are known. */
  get synced(): Promise<void> {
    return this.#watcher.synced;
  }

  get isSynced(): boolean {
    return this.#watcher.isSynced;
  }

  has(namespace: string): boolean {
    return this.#watcher.store.get(`/${namespace}`) !== undefined;
  }

  /** Calls for every namespace that joins this shard. */
  onJoin(handler: (namespace: string) => void): void {
    this.#watcher.onChange(({ metadata }, change) => {
      if (change === 'added') handler(metadata.name);
    });
  }

  start(): void {
    this.#watcher.start();
  }

  stop(): Promise<void> {
    return this.#watcher.stop();
  }
}

/** Whether it is there is all that is asked. */
function nameOnly({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, uid, resourceVersion } = metadata;
  return { apiVersion, kind, metadata: { name, ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) } };
}
