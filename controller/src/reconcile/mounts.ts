// Why pods cannot start their containers: the kubelet tells it in Events alone. Only those of pods that are stuck are
// asked for. Reconciling never waits for it: a look asks, and the answer brings the next reconcile.
import type { Client } from '../kube/client.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import type { Pod } from '../objects/types.ts';

const events: ResourceType = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };

interface MountEvent extends KubeObject {
  message?: string;
  reason?: string;
  lastTimestamp?: string | null;
  eventTime?: string | null;
}

/** Volumes that are there are mounted in less. */
const patienceMs = 10_000;
/** A node's kubelet tries again within two minutes; what it said last may have been mended since. */
const askEveryMs = 30_000;
const forgetAfterMs = 600_000;

interface Known {
  asked: number;
  said: string | undefined;
}

export class FailedMounts {
  readonly #client: Pick<Client, 'list'>;
  readonly #known = new Map<string, Known>();

  constructor(client: Pick<Client, 'list'>) {
    this.#client = client;
  }

  /**
   * What the kubelet said last of the volumes of a pod whose containers do not start; nothing of any other pod.
   * @param again Asks for another look after so many milliseconds; the earliest counts.
   */
  said(pod: Pod, now: Date, again: (afterMs: number) => void): string | undefined {
    const { uid } = pod.metadata;
    const since = waitsSince(pod);
    if (uid === undefined || since === undefined) return undefined;
    const at = now.getTime();
    const rest = since + patienceMs - at;
    if (rest > 0) {
      again(rest);
      return undefined;
    }
    for (const [other, { asked }] of this.#known) if (at - asked > forgetAfterMs) this.#known.delete(other);
    const last = this.#known.get(uid);
    if (last && at - last.asked < askEveryMs) {
      again(last.asked + askEveryMs - at);
      return last.said;
    }
    const entry: Known = { asked: at, said: last?.said };
    this.#known.set(uid, entry);
    again(askEveryMs);
    void this.#hear(pod, uid, entry, again);
    return entry.said;
  }

  async #hear(pod: Pod, uid: string, entry: Known, again: (afterMs: number) => void): Promise<void> {
    // Without an answer what was heard last stays.
    const said = await this.#ask(pod, uid).catch(() => entry.said);
    if (said === entry.said) return;
    entry.said = said;
    again(0);
  }

  async #ask({ metadata }: Pod, uid: string): Promise<string | undefined> {
    const { items } = await this.#client.list<MountEvent>(events, {
      namespace: metadata.namespace,
      fieldSelector: `involvedObject.uid=${uid},reason=FailedMount`,
    });
    return items.sort((a, b) => timeOf(b) - timeOf(a))[0]?.message;
  }
}

/** Since when a pod with a node has waited for its first container. */
function waitsSince({ metadata, status }: Pod): number | undefined {
  if (metadata.deletionTimestamp || status?.phase !== 'Pending') return undefined;
  const isCreating = status.containerStatuses?.some(({ state }) => state?.waiting?.reason === 'ContainerCreating');
  const scheduled = status.conditions?.find(({ type }) => type === 'PodScheduled');
  if (!isCreating || scheduled?.status !== 'True' || !scheduled.lastTransitionTime) return undefined;
  return new Date(scheduled.lastTransitionTime).getTime();
}

const timeOf = ({ lastTimestamp, eventTime }: MountEvent): number =>
  new Date(lastTimestamp ?? eventTime ?? 0).getTime();
