// What the caches hold of one resource, as a kind sees it.
import { ownerIndex } from '../kube/store.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import type { Watcher } from '../kube/watcher.ts';
import type { Observed } from './kind.ts';
import { labelValue, resourceIndex, resourceIndexKey, resourceIndexValue } from './ownership.ts';

export class CachedObserved implements Observed {
  readonly now: Date;
  /** Key of the resource. */
  readonly key: string;
  readonly #namespace: string;
  readonly #uid: string;
  readonly #index: string;
  readonly #children: readonly Watcher[];
  readonly #observed: readonly Watcher[];
  readonly #dependents: readonly Watcher[];
  readonly failedMount: (pod: KubeObject) => string | undefined;

  constructor(
    kind: string,
    resource: KubeObject,
    now: Date,
    children: readonly Watcher[],
    observed: readonly Watcher[],
    dependents: readonly Watcher[],
    failedMount: (pod: KubeObject) => string | undefined = () => undefined,
  ) {
    this.failedMount = failedMount;
    const { namespace = '', name, uid = '' } = resource.metadata;
    this.now = now;
    this.key = `${namespace}/${name}`;
    this.#namespace = namespace;
    this.#uid = uid;
    this.#index = resourceIndexKey(kind, namespace, labelValue(name));
    this.#children = children;
    this.#observed = observed;
    this.#dependents = dependents;
  }

  list<T extends KubeObject>(type: ResourceType): readonly T[] {
    const child = find(this.#children, type);
    if (child) return child.store.by(ownerIndex, this.#uid) as readonly T[];
    const observed = find(this.#observed, type);
    if (observed) return observed.store.by(resourceIndex, this.#index) as readonly T[];
    throw new Error(`${type.plural} are neither children nor observed`);
  }

  get<T extends KubeObject>(type: ResourceType, name: string): T | undefined {
    const key = `${this.#namespace}/${name}`;
    const child = find(this.#children, type)?.store.get(key);
    if (child?.metadata.ownerReferences?.some(({ uid }) => uid === this.#uid)) return child as T;
    const observed = find(this.#observed, type)?.store.get(key);
    return observed && resourceIndexValue(observed) === this.#index ? (observed as T) : undefined;
  }

  dependents<T extends KubeObject>(type: ResourceType, { metadata }: KubeObject): readonly T[] {
    const watcher = find(this.#dependents, type);
    if (!watcher) throw new Error(`${type.plural} are not declared as dependents`);
    return watcher.store.by(ownerIndex, metadata.uid ?? '') as readonly T[];
  }
}

function find(watchers: readonly Watcher[], { group, plural }: ResourceType): Watcher | undefined {
  return watchers.find(({ type }) => type.plural === plural && type.group === group);
}
