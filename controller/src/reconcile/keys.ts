// Which resource an event is about: the one whose child it tells of, whose labels the object bears, or for whose child
// others have made it.
import { apiVersionOf, keyOf } from '../kube/paths.ts';
import { controllerOf } from '../kube/store.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import type { Watcher } from '../kube/watcher.ts';
import { labels } from './kind.ts';
import { labelValue } from './ownership.ts';

export class Keys {
  readonly #type: ResourceType;
  /** Keys of resources whose name is too long for a label, by that label. */
  readonly #longNames = new Map<string, string>();

  /** @param type Of the resources. */
  constructor(type: ResourceType) {
    this.#type = type;
  }

  /** Notes that a resource is there, or not any more. */
  note({ metadata }: KubeObject, isGone: boolean): void {
    const label = labelValue(metadata.name);
    if (label === metadata.name) return;
    const id = `${metadata.namespace ?? ''}/${label}`;
    if (isGone) this.#longNames.delete(id);
    else this.#longNames.set(id, keyOf(metadata));
  }

  ofChild(child: KubeObject): string | undefined {
    const owner = controllerOf(child);
    if (owner?.kind !== this.#type.kind || owner.apiVersion !== apiVersionOf(this.#type)) return undefined;
    return `${child.metadata.namespace ?? ''}/${owner.name}`;
  }

  ofObserved({ metadata }: KubeObject): string | undefined {
    const name = metadata.labels?.[labels.name];
    if (metadata.labels?.[labels.kind] !== this.#type.kind || name === undefined) return undefined;
    const id = `${metadata.namespace ?? ''}/${name}`;
    return this.#longNames.get(id) ?? id;
  }

  /** @param children Where it may have its owner. */
  ofDependent(object: KubeObject, children: readonly Watcher[]): string | undefined {
    const owner = controllerOf(object);
    if (!owner) return undefined;
    const own = children.find(({ type }) => type.kind === owner.kind && apiVersionOf(type) === owner.apiVersion);
    const child = own?.store.get(`${object.metadata.namespace ?? ''}/${owner.name}`);
    return child?.metadata.uid === owner.uid ? this.ofChild(child) : undefined;
  }
}
