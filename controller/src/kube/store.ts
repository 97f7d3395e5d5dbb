// The local copy of a watched collection, and the rules by which newer news replaces older.
import { keyOf } from './paths.ts';
import type { KubeObject, OwnerReference } from './types.ts';

/** What readers may do with a cache. Objects are shared: never change one. */
export interface Store<T extends KubeObject = KubeObject> {
  readonly size: number;
  get(key: string): T | undefined;
  values(): IterableIterator<T>;
  /** The objects for which the index function gives `value`. */
  by(index: string, value: string): readonly T[];
}

/** Says under which value an object is found in one index; undefined: not at all. */
export type IndexFunction = (object: KubeObject) => string | undefined;

/** Index by the uid of the controlling owner. */
export const ownerIndex = 'owner';

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}

/** Resource versions grow; they are compared as the decimal numbers that they are. */
export function isNewer(version: string | undefined, than: string | undefined): boolean {
  if (than === undefined) return true;
  if (version === undefined) return false;
  return version.length === than.length ? version > than : version.length > than.length;
}

/** The objects of each value: most have one, which needs no map of its own. */
type Found<T> = Map<string, T | Map<string, T>>;

export class Cache<T extends KubeObject = KubeObject> implements Store<T> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, { valueOf: IndexFunction; found: Found<T> }>();

  constructor(indexes: Record<string, IndexFunction> = {}) {
    const all = { [ownerIndex]: (object: KubeObject) => controllerOf(object)?.uid, ...indexes };
    for (const [name, valueOf] of Object.entries(all)) this.#indexes.set(name, { valueOf, found: new Map() });
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  by(index: string, value: string): readonly T[] {
    const entry = this.#indexes.get(index);
    if (!entry) throw new Error(`no index "${index}"`);
    const found = entry.found.get(value);
    if (found === undefined) return [];
    return found instanceof Map ? [...found.values()] : [found];
  }

  /**
   * Stores the object unless what is stored is as new (with `force`: unless it is the same version).
   * Answers what it replaced; false when it changed nothing.
   */
  put(object: T, force = false): { previous: T | undefined } | false {
    const key = keyOf(object.metadata);
    const previous = this.#objects.get(key);
    const stored = previous?.metadata.resourceVersion;
    if (previous && stored === object.metadata.resourceVersion) return false;
    if (previous && !force && !isNewer(object.metadata.resourceVersion, stored)) return false;
    this.#objects.set(key, object);
    for (const { valueOf, found } of this.#indexes.values()) {
      const value = valueOf(object);
      const before = previous && valueOf(previous);
      if (before !== undefined && before !== value) removeFrom(found, before, key);
      if (value !== undefined) addTo(found, value, key, object);
    }
    return { previous };
  }

  /** Removes what is stored under the key, unless that is newer than `resourceVersion`: made anew since. */
  remove(key: string, resourceVersion?: string): T | undefined {
    const stored = this.#objects.get(key);
    if (!stored) return undefined;
    if (resourceVersion !== undefined && isNewer(stored.metadata.resourceVersion, resourceVersion)) return undefined;
    this.#objects.delete(key);
    for (const { valueOf, found } of this.#indexes.values()) {
      const value = valueOf(stored);
      if (value !== undefined) removeFrom(found, value, key);
    }
    return stored;
  }
}

function addTo<T extends KubeObject>(found: Found<T>, value: string, key: string, object: T): void {
  const entries = found.get(value);
  if (entries instanceof Map) entries.set(key, object);
  else if (entries === undefined || keyOf(entries.metadata) === key) found.set(value, object);
  else {
    found.set(
      value,
      new Map([
        [keyOf(entries.metadata), entries],
        [key, object],
      ]),
    );
  }
}

function removeFrom<T extends KubeObject>(found: Found<T>, value: string, key: string): void {
  const entries = found.get(value);
  if (entries instanceof Map) {
    entries.delete(key);
    if (entries.size === 0) found.delete(value);
  } else if (entries && keyOf(entries.metadata) === key) found.delete(value);
}
