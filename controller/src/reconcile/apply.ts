// Brings the children of one resource to what is desired, with as few requests as possible: none when nothing differs.
import { hash } from 'node:crypto';
import type { Client } from '../kube/client.ts';
import { isAlreadyExists, isNotFound, isUnprocessable } from '../kube/errors.ts';
import { type Log, silentLog } from '../kube/log.ts';
import { makerFor, ownershipPatch } from '../kube/managed.ts';
import { keyOf } from '../kube/paths.ts';
import { controllerOf, ownerIndex } from '../kube/store.ts';
import type { KubeObject, ObjectMeta, ResourceType } from '../kube/types.ts';
import type { Watcher } from '../kube/watcher.ts';
import { differences } from './difference.ts';
import { NameConflictError, refusalOf } from './errors.ts';
import { annotations, type Desired } from './kind.ts';
import { isRetainedOf, ownerReferenceTo, ownershipOf, ownLabels } from './ownership.ts';
import type { ChildWrites } from './pace.ts';

export interface ChildrenOptions {
  client: Client;
  /** The type of the owners. */
  owner: ResourceType;
  /** What children may be, each with its watch. */
  watchers: readonly Watcher[];
  log?: Log;
  now?: () => number;
}

/** How long a delete is trusted to have been heard before it is sent again. */
const deleteTrustMs = 30_000;

export class Children {
  readonly #options: ChildrenOptions;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #watchers = new Map<string, Watcher>();
  /** By uid: paths at which the server keeps another spelling than ours; not drift. */
  readonly #accepted = new Map<string, { hash: string; paths: Set<string> }>();
  /** By uid: when a delete was sent. */
  readonly #deleted = new Map<string, number>();

  constructor(options: ChildrenOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#now = options.now ?? (() => performance.now());
    for (const watcher of options.watchers) this.#watchers.set(watcher.type.kind, watcher);
  }

  /**
   * Applies the objects in order, then deletes children that are neither among them nor left. Answers what was written.
   * @throws BlockedError, ApiError: what comes after the child that failed is left for the next time.
   */
  async bring(owner: KubeObject, { objects, left = [] }: Pick<Desired, 'objects' | 'left'>): Promise<ChildWrites> {
    const done: ChildWrites = { writes: 0, corrections: 0 };
    const wanted = new Set(left.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
    const marks = {
      labels: ownLabels(this.#options.owner.kind, owner.metadata.name),
      ownerReferences: [ownerReferenceTo(this.#options.owner, owner)],
    };
    for (const document of objects) {
      const watcher = this.#watchers.get(document.kind);
      if (!watcher) throw new Error(`${this.#options.owner.kind} declares no children of kind ${document.kind}`);
      const child = complete(document, owner.metadata.namespace, marks);
      wanted.add(`${document.kind}/${child.metadata.name}`);
      await this.#bringOne(owner, watcher, child, done);
    }
    for (const [kind, watcher] of this.#watchers) {
      for (const live of watcher.store.by(ownerIndex, owner.metadata.uid ?? '')) {
        if (wanted.has(`${kind}/${live.metadata.name}`) || live.metadata.deletionTimestamp) continue;
        await this.#delete(watcher.type, live, 'not desired any more', done);
      }
    }
    return done;
  }

  /** Forgets what was remembered of a child that is gone. */
  forget(uid: string): void {
    this.#accepted.delete(uid);
    this.#deleted.delete(uid);
  }

  async #bringOne(owner: KubeObject, watcher: Watcher, child: KubeObject, done: ChildWrites): Promise<void> {
    const { type } = watcher;
    const cached = watcher.store.get(keyOf(child.metadata));
    const live = cached ?? (await this.#create(watcher, child, done));
    if (!live) return;
    const ownership = ownershipOf(live, this.#options.owner, owner);
    if (ownership === 'foreign' && !isRetainedOf(live, this.#options.owner, owner)) {
      const controller = controllerOf(live);
      throw new NameConflictError(
        type.kind,
        child.metadata.name,
        controller && `${controller.kind} "${controller.name}"`,
      );
    }
    // What a namesake left, and what is being deleted: their end is an event that brings us back, if we watch them.
    if (ownership === 'former' || live.metadata.deletionTimestamp) {
      done.awaitsUnseen ||= !cached;
      return await this.#awaitEnd(watcher, live, owner, done);
    }
    if (live.metadata.annotations?.[annotations.revision] !== child.metadata.annotations?.[annotations.revision]) {
      done.awaitsUnseen ||= !cached;
      return await this.#delete(type, live, 'to be made anew: an immutable part changed', done);
    }
    // Seen by GET only, as metadata: somebody took its labels. Applying puts them back.
    if (!cached) return await this.#apply(watcher, live, child, done);
    const drift = this.#driftOf(live, child);
    if (drift.length === 0) return;
    const { kind, metadata } = child;
    if (live.metadata.annotations?.[annotations.desired] === metadata.annotations?.[annotations.desired]) {
      done.corrections++;
      const fields = { kind, name: metadata.name, namespace: metadata.namespace, paths: drift.slice(0, 5) };
      this.#log.info(fields, 'set right what somebody changed');
    }
    await this.#apply(watcher, live, child, done);
  }

  /**
   * Makes a child that the cache, which holds only what is labelled as ours, does not know. Never by an apply: that
   * would adopt whatever bears the name.
   * @returns nothing once it is made; else the metadata of what bears its name.
   */
  async #create(watcher: Watcher, child: KubeObject, done: ChildWrites): Promise<KubeObject | undefined> {
    const { client } = this.#options;
    try {
      const options = { fieldManager: makerFor(client.fieldManager) };
      const create = () => client.create<KubeObject>(watcher.type, { ...child }, options);
      this.#written(watcher, await watcher.write(keyOf(child.metadata), create), child, done);
      return undefined;
    } catch (error) {
      if (!isAlreadyExists(error)) throw refusalOf(error, child);
      const found = await client.findMetadata(watcher.type, child.metadata);
      if (!found) throw error;
      return found;
    }
  }

  /** Where the live child is not as desired, but for spellings of the server's own. */
  #driftOf(live: KubeObject, child: KubeObject): string[] {
    const found = differences(live, child);
    if (!found) return [];
    const accepted = this.#accepted.get(live.metadata.uid ?? '');
    if (!accepted || accepted.hash !== child.metadata.annotations?.[annotations.desired]) return found;
    return found.filter((path) => !accepted.paths.has(path));
  }

  async #apply(watcher: Watcher, live: KubeObject, child: KubeObject, done: ChildWrites): Promise<void> {
    const { client } = this.#options;
    const { type } = watcher;
    await this.#takeFields(type, live);
    try {
      // With the uid an apply changes this very object or fails: it would make one that is gone, or take over a stranger of its name.
      const known = { ...child, metadata: { ...child.metadata, uid: live.metadata.uid } };
      const apply = () => client.apply<KubeObject>(type, known);
      this.#written(watcher, await watcher.write(keyOf(child.metadata), apply), child, done);
    } catch (error) {
      throw refusalOf(error, child);
    }
  }

  /**
   * Has the fields that we made count as applied. Where somebody wrote since `live` was read, our entry stands at another
   * place by now: it is looked for once more at the server.
   */
  async #takeFields(type: ResourceType, live: KubeObject): Promise<void> {
    const { client } = this.#options;
    const { metadata } = live;
    const patch = ownershipPatch(live, client.fieldManager);
    if (!patch) return;
    try {
      await client.patch(type, metadata, patch, { format: 'json' });
    } catch (error) {
      if (!isUnprocessable(error)) throw error;
      const fresh = await client.get(type, metadata);
      const moved = fresh.metadata.uid === metadata.uid && ownershipPatch(fresh, client.fieldManager);
      if (moved) await client.patch(type, metadata, moved, { format: 'json' });
    }
  }

  /** Of what a namesake left, and of what is being deleted already. */
  async #awaitEnd({ type }: Watcher, live: KubeObject, owner: KubeObject, done: ChildWrites): Promise<void> {
    if (live.metadata.deletionTimestamp) return;
    done.awaitsUnseen = true;
    if (await this.#isLeftBehind(live, owner)) {
      await this.#delete(type, live, 'left by a deleted resource of the same name', done);
    }
  }

  /**
   * A namesake's child that is older than the resource is surely no newer one's: the collector may take its time, or miss
   * it. Times have whole seconds; where they do not tell, the server is asked whose time it is.
   */
  async #isLeftBehind(live: KubeObject, owner: KubeObject): Promise<boolean> {
    const [made, ownerMade] = [live.metadata.creationTimestamp, owner.metadata.creationTimestamp];
    if (made !== undefined && ownerMade !== undefined && made < ownerMade) return true;
    const { name, namespace, uid } = owner.metadata;
    const fieldSelector = `metadata.name=${name}`;
    const { items } = await this.#options.client.list(this.#options.owner, { namespace, fieldSelector, limit: 1 });
    return items[0]?.metadata.uid === uid;
  }

  #written(watcher: Watcher, answer: KubeObject, child: KubeObject, done: ChildWrites): void {
    done.writes++;
    const paths = differences(answer, child);
    const uid = answer.metadata.uid ?? '';
    const desired = child.metadata.annotations?.[annotations.desired] ?? '';
    const isThere = watcher.store.get(keyOf(answer.metadata))?.metadata.uid === uid;
    // Of what is gone by now nobody would tell any more: nothing is remembered.
    if (paths && isThere) this.#accepted.set(uid, { hash: desired, paths: new Set(paths) });
    else this.#accepted.delete(uid);
  }

  async #delete(type: ResourceType, live: KubeObject, why: string, done: ChildWrites): Promise<void> {
    const { uid = '', name, namespace } = live.metadata;
    const now = this.#now();
    if (now - (this.#deleted.get(uid) ?? Number.NEGATIVE_INFINITY) < deleteTrustMs) return;
    this.#log.info({ kind: type.kind, name, namespace, why }, 'deleting a child');
    // Deletes that nobody confirmed: what lost its labels ends unseen.
    for (const [other, at] of this.#deleted) {
      if (now - at < deleteTrustMs) break;
      this.#deleted.delete(other);
    }
    // Before the answer: the event of its end may come first, and then nothing would forget it.
    this.#deleted.set(uid, now);
    try {
      await this.#options.client.delete(type, live.metadata, { uid, propagation: 'Background' });
    } catch (error) {
      if (!isNotFound(error)) {
        this.#deleted.delete(uid);
        throw error;
      }
    }
    done.writes++;
  }
}

/** The document as it is applied: in the owner's namespace, marked as the owner's, with the hash of itself. */
function complete(
  document: KubeObject,
  namespace: string | undefined,
  marks: Required<Pick<ObjectMeta, 'labels' | 'ownerReferences'>>,
): KubeObject {
  const metadata: ObjectMeta = {
    ...document.metadata,
    ...(namespace && { namespace }),
    labels: { ...document.metadata.labels, ...marks.labels },
  };
  if (document.metadata.annotations?.[annotations.retain] !== 'true') metadata.ownerReferences = marks.ownerReferences;
  const child = { ...document, metadata };
  const digest = hash('sha256', JSON.stringify(child), 'hex').slice(0, 16);
  metadata.annotations = { ...document.metadata.annotations, [annotations.desired]: digest };
  return child;
}
