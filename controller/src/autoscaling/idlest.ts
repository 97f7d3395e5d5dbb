// Whom a shrinking ReplicaSet may take: the idlest, by the annotation that Kubernetes ranks ready pods by.
import { isReady } from '../kinds/gpu.ts';
import { pause } from '../kube/backoff.ts';
import type { Client } from '../kube/client.ts';
import { type Pod, types } from '../objects/types.ts';
import type { PodSignals } from './signals.ts';

const deletionCost = 'controller.kubernetes.io/pod-deletion-cost';
/** Below what every other pod has. */
const cheap = '-1000';

/** The annotation that a pod is to get; null takes it away. */
export interface Mark {
  pod: Pod;
  cost: string | null;
}

/** Pods that carry a connection or an answer that lasts: taking one away would break it. */
export function streaming(pods: readonly Pod[], signals: ReadonlyMap<string, PodSignals>): number {
  return pods.filter(({ metadata }) => (signals.get(metadata.uid ?? '')?.streams ?? 0) > 0).length;
}

/** So that exactly the `count` idlest are taken first: only what is not marked so already. Pods that are not ready go before. */
export function marks(pods: readonly Pod[], signals: ReadonlyMap<string, PodSignals>, count: number): Mark[] {
  const ranked = pods
    .filter(isReady)
    .map((pod) => ({ pod, said: signals.get(pod.metadata.uid ?? '') }))
    .sort((a, b) => compare(burden(a.said), burden(b.said)));
  return ranked.flatMap(({ pod }, rank) => {
    const cost = rank < count ? cheap : null;
    const known = pod.metadata.annotations?.[deletionCost] ?? null;
    // What somebody else has set is theirs, but for the pods that are to go.
    return known === cost || (cost === null && known !== cheap) ? [] : [{ pod, cost }];
  });
}

/** All at once; one that fails costs no more than the choice. */
export async function mark(client: Client, all: readonly Mark[]): Promise<void> {
  await Promise.allSettled(
    all.map(({ pod: { metadata }, cost }) =>
      client.patch(types.pod, metadata, { metadata: { uid: metadata.uid, annotations: { [deletionCost]: cost } } }),
    ),
  );
}

/** Marks that take longer cost no more than the choice. */
const markMs = 2_000;

/** Waits for the marks to be written, and not for long. */
export async function inTime(written: Promise<void> | undefined, signal: AbortSignal): Promise<void> {
  await Promise.race([written?.catch(() => undefined), pause(markMs, signal)]);
}

/** Who is not heard may be the busiest. */
function burden(said: PodSignals | undefined): readonly number[] {
  if (!said) return [Number.POSITIVE_INFINITY];
  return [said.streams ?? 0, (said.concurrency ?? 0) + (said.queueDepth ?? 0), said.requestsPerSecond ?? 0];
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const other = b[i] ?? 0;
    if (value !== other) return value < other ? -1 : 1;
  }
  return 0;
}
