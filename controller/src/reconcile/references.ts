// Objects that a resource names without owning them (a claim, a Secret): who is to be told when one comes or goes.
import type { KubeObject } from '../kube/types.ts';
import type { Watcher } from '../kube/watcher.ts';
import type { Kind } from './kind.ts';
import type { Watches } from './watches.ts';

export class References<R extends KubeObject> {
  readonly watchers: readonly Watcher[];
  readonly #kind: Kind<R>;
  /** Keys of resources by the object they name. */
  readonly #named = new Map<string, Set<string>>();
  readonly #byResource = new Map<string, readonly string[]>();

  constructor(kind: Kind<R>, watches: Watches, enqueue: (key: string) => void) {
    this.#kind = kind;
    this.watchers = (kind.references?.types ?? []).map((type) => watches.referenced(type));
    for (const watcher of this.watchers) {
      const { kind: referenced } = watcher.type;
      watcher.onChange((object) => {
        const { namespace = '', name } = object.metadata;
        for (const key of this.#named.get(`${referenced}/${namespace}/${name}`) ?? []) enqueue(key);
      });
    }
  }

  /** Remembers what a resource names now. */
  note(key: string, resource: R): void {
    if (!this.#kind.references) return;
    const namespace = resource.metadata.namespace ?? '';
    const ids = this.#kind.references.of(resource).map(({ type, name }) => `${type.kind}/${namespace}/${name}`);
    const before = this.#byResource.get(key) ?? [];
    if (before.length === ids.length && before.every((id, i) => id === ids[i])) return;
    this.forget(key);
    this.#byResource.set(key, ids);
    for (const id of ids) {
      const keys = this.#named.get(id);
      if (keys) keys.add(key);
      else this.#named.set(id, new Set([key]));
    }
  }

  forget(key: string): void {
    for (const id of this.#byResource.get(key) ?? []) {
      const keys = this.#named.get(id);
      keys?.delete(key);
      if (keys?.size === 0) this.#named.delete(id);
    }
    this.#byResource.delete(key);
  }
}
