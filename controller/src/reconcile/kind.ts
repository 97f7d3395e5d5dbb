// What a kind declares and the loop carries out: observe → desired → apply → status.
// `desired` and `status` are pure: no client, no clock, no randomness, so golden files can test them.
import type { KubeObject, ResourceType } from '../kube/types.ts';

type ConditionStatus = 'True' | 'False' | 'Unknown';

/** A condition as decided; the loop adds `observedGeneration` and keeps `lastTransitionTime` while `status` stays. */
export interface ConditionDecision {
  type: string;
  status: ConditionStatus;
  reason: string;
  message: string;
  /** A person should hear of it: an Event tells when this reason appears, whatever the type and status. */
  warn?: boolean;
}

/** What the caches hold of one resource at one moment. */
export interface Observed {
  /** Children of one type that the resource controls (by owner reference, or for pods by label). */
  list<T extends KubeObject>(type: ResourceType): readonly T[];
  get<T extends KubeObject>(type: ResourceType, name: string): T | undefined;
  /** What others made for a child, by its uid. */
  dependents<T extends KubeObject>(type: ResourceType, child: KubeObject): readonly T[];
  /** What the kubelet said of the volumes of a pod that cannot start for them; left out: nothing is known. */
  failedMount?(pod: KubeObject): string | undefined;
  /** The moment of this reconcile, injected: the only clock a kind sees. */
  now: Date;
}

export interface Desired {
  /** Children in the order they are applied. A child of the resource that is not listed is deleted. */
  objects: KubeObject[];
  /** Children that stay as they are, whatever would be made of them now. */
  left?: readonly KubeObject[];
  /** Reconcile again after so many milliseconds though nothing changed (deadlines, fallbacks). */
  requeueAfterMs?: number;
}

export interface StatusDecision {
  conditions: ConditionDecision[];
  /** The rest of `status`: small, bounded. Without `conditions` and `observedGeneration`, which the loop writes. */
  fields: Record<string, unknown>;
}

export interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

export interface Kind<R extends KubeObject> {
  type: ResourceType;
  /** Types watched and owned, by the labels every child carries. */
  children: readonly ResourceType[];
  /** Types watched by label and read only (pods of owned Jobs): never applied, never deleted. */
  observes: readonly ResourceType[];
  /**
   * Types that others make for children, known by their controlling owner (Kueue's Workload of a Job): watched whole, and
   * only their conditions are kept. A cluster may lack them.
   */
  dependents?: readonly ResourceType[];
  /** Children that keep the pods of a namespace that is being deleted, and so it, from ending: there, they are deleted. */
  namespaceEnd?: {
    types: readonly ResourceType[];
    /** One of the children, which the API server is asked for to learn whether the namespace refuses it. */
    asks: ResourceType;
    /** Whether things look as in such a namespace: worth asking. */
    isLikely(observed: Observed): boolean;
  };
  /** Rights beyond those that `children` and `observes` imply. */
  extraRules: readonly PolicyRule[];
  /** Lenient read of a stored object (version skew). Throws TerminalError when it cannot be understood. */
  parse(stored: KubeObject): R;
  /** @throws TerminalError when the spec cannot be carried out until somebody changes it. */
  desired(resource: R, observed: Observed): Desired;
  status(resource: R, observed: Observed): StatusDecision;
  /**
   * The resource is gone, or waits for its children to go: a last word to its pods, which nobody waits for, said once or
   * more. Not said of one that went while no controller led.
   */
  gone?(observed: Observed): void;
}

/** Set on every child: which resource it belongs to, and how a change of it is carried out. */
export const labels = {
  managedBy: 'app.kubernetes.io/managed-by',
  kind: 'quintet.dev/kind',
  name: 'quintet.dev/name',
} as const;
export const managedBy = 'quintet';
export const annotations = {
  /** Hash of the whole desired document: differs → apply again, so that fields we dropped are dropped there. */
  desired: 'quintet.dev/desired',
  /** Hash of the immutable part, set by a builder: differs → delete and create anew (Jobs). */
  revision: 'quintet.dev/revision',
  /** Set by a builder on a child that outlives its resource: it has no owner and is never deleted by us. */
  retain: 'quintet.dev/retain',
} as const;
