// What spec.autoscaling says, in numbers; what it leaves out is as in the HPA.
import type { CompressionServiceSpec } from '@quintet/crds';
import { parseDuration, parseKubernetesQuantity } from '@quintet/crds';
import { type Behavior, defaultBehavior, type ScalingRules } from './decide.ts';

export type Autoscaling = NonNullable<CompressionServiceSpec['autoscaling']>;
export type MetricType = Autoscaling['metrics'][number]['type'];
type Rules = NonNullable<NonNullable<Autoscaling['behavior']>['scaleUp']>;

export interface Aim {
  type: MetricType;
  /** Of a pod, or of the whole for LatencyP95 (seconds) and ErrorRate; shares are 0 to 1. */
  target: number;
}

export const aimsOf = ({ metrics }: Autoscaling): Aim[] =>
  metrics.map(({ type, target }) => ({ type, target: numberOf(target) }));

export function behaviorOf({ behavior = {} }: Autoscaling): Behavior {
  return {
    scaleUp: rulesOf(behavior.scaleUp, defaultBehavior.scaleUp),
    scaleDown: rulesOf(behavior.scaleDown, defaultBehavior.scaleDown),
  };
}

/** Undefined where the spec names none. */
export const quantityOf = (value: string | number | undefined): number | undefined =>
  value === undefined ? undefined : parseKubernetesQuantity(value);

function rulesOf(rules: Rules | undefined, defaults: ScalingRules): ScalingRules {
  return {
    stabilizationWindowSeconds: rules?.stabilizationWindowSeconds ?? defaults.stabilizationWindowSeconds,
    selectPolicy: rules?.selectPolicy ?? defaults.selectPolicy,
    policies: rules?.policies?.length ? rules.policies : defaults.policies,
    tolerance: rules?.tolerance === undefined ? defaults.tolerance : Number(rules.tolerance),
  };
}

function numberOf(target: string): number {
  if (target.endsWith('%')) return Number.parseFloat(target) / 100;
  if (/^\d+(ms|s)$/.test(target)) return parseDuration(target);
  return Number.parseFloat(target) * (target.endsWith('ms') ? 1e-3 : 1);
}
