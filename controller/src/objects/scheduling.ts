// Where pods may run, as the spec's `scheduling` and `gpu` blocks say.
import { defined, type Scheduling } from './pod.ts';

interface SchedulingSpec {
  scheduling?:
    | {
        priorityClassName?: string | undefined;
        nodeSelector?: Record<string, string> | undefined;
        tolerations?: unknown[] | undefined;
        affinity?: unknown;
        topologySpreadConstraints?: unknown[] | undefined;
      }
    | undefined;
  gpu?: { runtimeClassName?: string | undefined } | undefined;
}

export function schedulingOf({ scheduling, gpu }: SchedulingSpec): Scheduling {
  return defined({
    priorityClassName: scheduling?.priorityClassName,
    nodeSelector: scheduling?.nodeSelector,
    tolerations: scheduling?.tolerations,
    affinity: scheduling?.affinity,
    topologySpreadConstraints: scheduling?.topologySpreadConstraints,
    runtimeClassName: gpu?.runtimeClassName,
  }) as Scheduling;
}
