// What the autoscaler has decided for a resource, as its desired state and its status read it.
import type { Front } from '../../objects/endpointslice.ts';

export interface Scaling {
  /** Pods to ask for; undefined: nothing decided, what runs stays. Beside `yieldsTo`: until that has taken over. */
  replicas: number | undefined;
  /** Another autoscaler aims at this resource or at its Deployment: ours stands back. */
  yieldsTo?: { name: string; target: 'Resource' | 'Deployment' };
  active: { status: 'True' | 'False'; reason: string; message: string };
  limited: { status: 'True' | 'False'; reason: string; message: string };
  /** Why the count is what it is, with the figures of the moment it was decided. */
  reason: string;
  lastScaleTime: Date | undefined;
  forecast?: { at: Date; replicas: number; error: number };
  /** Activators that may stand in for the pods; left out: none do. */
  front?: Front;
}

/** By kind, key (namespace/name) and uid. */
export type ScalingSource = (kind: string, key: string, uid: string | undefined) => Scaling | undefined;
