// What the autoscaler has decided for a resource, as its desired state and its status read it.
import type { Front } from '../../objects/endpointslice.ts';
import type { Healing } from './healing.ts';

export interface Usage {
  cpuHours: number;
  gpuHours: number;
  /** 0 without prices. */
  cost: number;
  /** What pods run later is not in it. */
  countedUntil: Date;
}

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
  /** What the forecast has learnt; left out: nothing new to keep. */
  learnt?: string;
  /** Activators that may stand in for the pods; left out: none do. */
  front?: Front;
  /** Since the resource was made; left out: nothing is told yet. */
  usage?: Usage;
  /** What it had better ask for; empty: nothing else. Left out: not known yet. */
  recommendation?: string;
  /** What was done for its health; left out: nothing since this leader leads. */
  healing?: Healing;
}

/** Of a resource that is healed and not scaled. */
const unscaled: Scaling = {
  replicas: undefined,
  active: { status: 'False', reason: 'NotScaled', message: 'spec.autoscaling is not set' },
  limited: { status: 'False', reason: 'NotScaled', message: 'spec.autoscaling is not set' },
  reason: '',
  lastScaleTime: undefined,
};

/** Both decisions in one; without that of the autoscaler, where there is to be one, nothing is decided. */
export function together(scaling: Scaling | undefined, healing: Healing | undefined): Scaling | undefined {
  if (!healing || (!scaling && healing.isScaled)) return scaling;
  return { ...(scaling ?? unscaled), healing };
}

/** By kind, key (namespace/name) and uid. */
export type ScalingSource = (kind: string, key: string, uid: string | undefined) => Scaling | undefined;
