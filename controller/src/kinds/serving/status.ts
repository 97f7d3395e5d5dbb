// What a resource that serves reports: ordered decisions on its conditions, then counts and address.
import type { KubeObject } from '../../kube/types.ts';
import { service, serviceUrl } from '../../objects/service.ts';
import type { ConditionDecision, Observed, StatusDecision } from '../../reconcile/kind.ts';
import { gpuCondition } from '../gpu.ts';
import { condition, good, resting, stalled, troubled, type Verdict, wholeSeconds, working } from '../verdict.ts';
import type { Served } from './engines.ts';
import type { Scaling } from './scaling.ts';
import { readState, type State } from './state.ts';
import { type Told, toldFields } from './told.ts';
import { mainName, servingSelector } from './workload.ts';

/** The first that answers decides. */
const decisions: readonly ((resource: Served, state: State) => Verdict | undefined)[] = [
  suspended, // no pods on purpose
  scaledToZero, // none wanted, none there
  complete, // every pod of the latest revision serves
  bridged, // as many serve, on CPU for want of a GPU
  queued, // a GPU or a place in the queue comes by itself, however long that takes
  inVain, // pods end again and again
  stuck, // the rollout stood still for too long
  hindered, // pods exist and do not get on
  progressing,
];

export function status(
  resource: Served,
  observed: Observed,
  scaling: Scaling | undefined,
  told?: Told,
): StatusDecision {
  const state = readState(resource, observed, scaling);
  for (const decide of decisions) {
    const verdict = decide(resource, state);
    if (!verdict) continue;
    return {
      conditions: [...verdict.conditions, ...gpuConditions(resource, state), ...scalingConditions(resource, scaling)],
      fields: {
        ...fields(resource, state, verdict),
        ...scalingFields(resource, scaling),
        ...healingFields(resource, scaling),
        ...usageFields(resource, scaling),
        ...toldFields(resource, told, state.ready),
      },
    };
  }
  throw new TypeError('the last decision answers always');
}

function suspended({ spec }: Served, state: State): Verdict | undefined {
  if (!spec.suspend) return undefined;
  if (state.ready > 0) return working('Progressing', 'Suspending', 'pods end their last requests');
  return resting('no pods run; set spec.suspend to false to go on');
}

function scaledToZero(_resource: Served, { wanted, main, rollout }: State): Verdict | undefined {
  if (wanted > 0 || !main || rollout === 'Stuck' || (main.status?.replicas ?? 0) > 0) return undefined;
  return good('Ready', 'ScaledToZero', 'no pods run: nothing is asked of them');
}

function complete(_resource: Served, { rollout, wanted }: State): Verdict | undefined {
  return rollout === 'Complete' ? good('Ready', 'Serving', `${wanted} of ${wanted} pods serve`) : undefined;
}

function bridged(_resource: Served, state: State): Verdict | undefined {
  const serving = state.onGpu + (state.bridge?.status?.availableReplicas ?? 0);
  if (state.bridged === 0 || serving < state.wanted) return undefined;
  const message = `${serving} of ${state.wanted} pods serve, ${state.bridged} of them on CPU until GPUs are free`;
  return good('Ready', 'ServingOnCPU', message);
}

const comesByItself = new Set(['InsufficientGPU', 'SchedulingGated']);

function queued({ spec }: Served, { trouble, ready, blocked, maxUnavailable }: State): Verdict | undefined {
  if (!trouble || !comesByItself.has(trouble.reason)) return undefined;
  // With Preferred the bridge comes; with Required nothing can serve for the only pod there is.
  const waitsForOld = blocked && maxUnavailable === 0 && spec.gpu.policy === 'Required';
  const hint = waitsForOld ? '; the only pod holds a GPU and serves on: free a GPU, or delete that pod' : '';
  return troubled(ready > 0 ? 'Progressing' : 'Pending', trouble.reason, `${trouble.message}${hint}`);
}

function inVain(_resource: Served, { trouble, isInVain }: State): Verdict | undefined {
  return trouble?.isFinal && isInVain ? stalled(trouble.reason, trouble.message) : undefined;
}

function stuck({ spec }: Served, { rollout, trouble, main }: State): Verdict | undefined {
  if (rollout !== 'Stuck') return undefined;
  if (trouble) return stalled(trouble.reason, trouble.message);
  const said = main?.status?.conditions?.find(({ type }) => type === 'Progressing')?.message;
  const look = `look at the pods' logs${spec.pod?.image ? ' and at spec.pod.image' : ''}`;
  return stalled('ProgressDeadlineExceeded', `${said ?? 'the rollout stands still'}; ${look}`);
}

function hindered(_resource: Served, { trouble, ready }: State): Verdict | undefined {
  return trouble && troubled(ready > 0 ? 'Progressing' : 'Pending', trouble.reason, trouble.message);
}

function progressing(_resource: Served, { main, ready, wanted }: State): Verdict {
  const updated = main?.status?.updatedReplicas ?? 0;
  const message = `${updated} of ${wanted} pods are of the latest revision, ${ready} serve`;
  return working(ready > 0 ? 'Progressing' : 'Pending', 'RollingOut', message);
}

/** A new leader has decided nothing yet: what its predecessor told stays until then. */
function scalingConditions({ spec, status: stored }: Served, scaling: Scaling | undefined): ConditionDecision[] {
  if (!spec.autoscaling) return [];
  if (spec.suspend)
    return [condition('ScalingActive', 'False', 'Suspended', 'nothing is scaled while spec.suspend is set')];
  if (scaling) {
    const { active, limited } = scaling;
    return [
      {
        type: 'ScalingActive',
        ...active,
        message: `${active.message}${unreadReplicas(spec, scaling)}`,
        ...(active.status === 'False' && { warn: true }),
      },
      { type: 'ScalingLimited', ...limited },
    ];
  }
  const known = stored?.conditions?.filter(({ type }) => type === 'ScalingActive' || type === 'ScalingLimited') ?? [];
  if (known.length > 0 && known.every(({ reason }) => reason !== 'Suspended'))
    return known.map(({ type, status: told, reason, message }) => condition(type, told, reason, message));
  return [condition('ScalingActive', 'Unknown', 'NotMeasuredYet', 'no pod has been measured yet')];
}

/** A count of one is also the default, and so nobody's wish. */
function unreadReplicas({ replicas }: Served['spec'], { yieldsTo }: Scaling): string {
  if (replicas === undefined || replicas === 1 || yieldsTo) return '';
  return `; spec.replicas (${replicas}) is not read while spec.autoscaling is set: change minReplicas or maxReplicas instead`;
}

function scalingFields({ spec, status: stored }: Served, scaling: Scaling | undefined): Record<string, unknown> {
  if (!spec.autoscaling || spec.suspend) return {};
  if (!scaling) return stored?.autoscaling ? { autoscaling: stored.autoscaling } : {};
  const { replicas, reason, lastScaleTime, forecast } = scaling;
  // As long as a new leader has seen too little, what was told stays.
  const told = scaling.recommendation ?? stored?.autoscaling?.recommendation;
  return {
    autoscaling: {
      ...(replicas !== undefined && { desired: replicas }),
      reason: reason.slice(0, 1024),
      ...(lastScaleTime && { lastScaleTime: wholeSeconds(lastScaleTime) }),
      ...(forecast && {
        forecast: { at: wholeSeconds(forecast.at), replicas: forecast.replicas, error: forecast.error.toFixed(2) },
      }),
      ...(told && { recommendation: told.slice(0, 1024) }),
    },
  };
}

function usageFields({ status: stored }: Served, scaling: Scaling | undefined): Record<string, unknown> {
  const usage = scaling?.usage;
  if (!usage) return stored?.usage ? { usage: stored.usage } : {};
  const { cpuHours, gpuHours, cost, countedUntil } = usage;
  return {
    usage: {
      gpuHours: gpuHours.toFixed(2),
      cpuHours: cpuHours.toFixed(2),
      ...(cost > 0 && { cost: cost.toFixed(2) }),
      countedUntil: wholeSeconds(countedUntil),
    },
  };
}

function healingFields({ status: stored }: Served, scaling: Scaling | undefined): Record<string, unknown> {
  const healing = scaling?.healing;
  if (!healing) return stored?.healing ? { healing: stored.healing } : {};
  const { last, actionsLastHour } = healing;
  return {
    healing: {
      ...(last
        ? { lastAction: last.says.slice(0, 1024), lastActionTime: wholeSeconds(last.at) }
        : { lastAction: stored?.healing?.lastAction, lastActionTime: stored?.healing?.lastActionTime }),
      actionsLastHour,
    },
  };
}

function gpuConditions({ spec }: Served, { onGpu, wanted, bridged: onCpu, wait }: State): ConditionDecision[] {
  if (spec.gpu.policy === 'None' || spec.suspend || wanted === 0) return [];
  return [gpuCondition({ wanted, onGpu, onCpu, wait })];
}

function fields(resource: Served, state: State, { phase, conditions }: Verdict): Record<string, unknown> {
  const { main, bridge, bridged: onCpu, onGpu } = state;
  const name = mainName(resource);
  const selector = servingSelector(resource);
  const { gpu } = resource.spec;
  return {
    phase,
    message: conditions[0]?.message,
    replicas: (main?.status?.replicas ?? 0) + (bridge?.status?.replicas ?? 0),
    readyReplicas: state.ready,
    selector: Object.entries(selector)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    url: serviceUrl(service(resource, name, selector) satisfies KubeObject),
    ...(gpu.policy !== 'None' && {
      gpu: {
        allocated: onGpu * gpu.count,
        ...(onCpu > 0 && state.bridgeAt && { fellBackAt: wholeSeconds(state.bridgeAt) }),
      },
    }),
  };
}
