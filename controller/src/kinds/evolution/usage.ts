// What a run has asked its nodes for: CPUs of its coordinators and workers, by the time that these ran. Pods come and go, so what was counted is remembered, and the
// status says it to whoever leads next.
import { type EvolutionRun, parseKubernetesQuantity } from '@quintet/crds';
import type { Pod } from '../../objects/types.ts';
import { wholeSeconds } from '../verdict.ts';

export interface Usage {
  readonly cpuHours: string;
  /** Left out without a price. */
  readonly cost?: string;
  /** When the figures last changed. */
  readonly countedUntil: string | undefined;
}

/** Counts as often as it is asked; the more often, the less it misses of pods that are taken away. */
export type Meter = (resource: EvolutionRun, pods: readonly Pod[], now: Date) => Usage | undefined;

type EvolutionRunUsage = NonNullable<EvolutionRun['status']>['usage'];

interface Account {
  cpuHours: number;
  cost: number;
  lookedAt: number;
  /** Until when each pod is counted, by its uid. */
  readonly counted: Map<string, number>;
  /** Pods that began earlier were counted by another leader until then. */
  readonly since: number;
}

const hour = 3_600_000;
/** Milliseconds after which a run that nobody asked for is forgotten: its status has what was counted. */
const forgetAfter = 600_000;
/** Milliseconds between two looks for such runs: each goes over all. */
const sweepEvery = 60_000;

/** @param cpuHourPrice In the installation's currency; 0: no cost is told */
export function meterOf(cpuHourPrice: number): Meter {
  const accounts = new Map<string, Account>();
  let sweptAt = 0;
  return (resource, pods, now) => {
    const { metadata, spec, status } = resource;
    const at = now.getTime();
    const id = metadata.uid ?? `${metadata.namespace}/${metadata.name}`;
    const account = accounts.get(id) ?? opened(status?.usage, at);
    accounts.set(id, account);
    account.lookedAt = at;
    if (at - sweptAt > sweepEvery) {
      for (const [other, { lookedAt }] of accounts) if (at - lookedAt > forgetAfter) accounts.delete(other);
      sweptAt = at;
    }
    const { requests, limits } = spec.resources;
    // Without a request Kubernetes takes the limit for one.
    const cpus = parseKubernetesQuantity(requests?.cpu ?? limits?.cpu ?? 0);
    const hours = pods.reduce((sum, pod) => sum + hoursOf(pod, account, at), 0) * cpus;
    account.cpuHours += hours;
    account.cost += hours * cpuHourPrice;
    if (account.cpuHours === 0) return undefined;
    const cpuHours = account.cpuHours.toFixed(3);
    const cost = account.cost > 0 ? { cost: account.cost.toFixed(2) } : {};
    // As long as the figures stay, so does the time: it is no news of its own.
    const before = status?.usage;
    const isSame = before?.cpuHours === cpuHours && before.cost === cost.cost;
    return { cpuHours, ...cost, countedUntil: (isSame && before.countedUntil) || wholeSeconds(now) };
  };
}

function opened(usage: EvolutionRunUsage | undefined, now: number): Account {
  // Of what an earlier release told it is not known until when.
  const since = usage ? Date.parse(usage.countedUntil ?? '') || now : Number.NEGATIVE_INFINITY;
  return {
    cpuHours: figure(usage?.cpuHours),
    cost: figure(usage?.cost),
    lookedAt: now,
    counted: new Map(),
    since,
  };
}

/** That are not counted yet. */
function hoursOf({ metadata, status }: Pod, { counted, since }: Account, now: number): number {
  const state = status?.containerStatuses?.[0]?.state;
  const begin = Date.parse(state?.running?.startedAt ?? state?.terminated?.startedAt ?? '');
  const end = state?.terminated ? Date.parse(state.terminated.finishedAt ?? '') : now;
  if (Number.isNaN(begin) || Number.isNaN(end)) return 0;
  const id = metadata.uid ?? metadata.name;
  const from = Math.max(begin, counted.get(id) ?? since);
  if (end <= from) return 0;
  counted.set(id, end);
  return (end - from) / hour;
}

/** Whatever a status says that is no figure is nothing. */
function figure(text: string | undefined): number {
  const value = Number(text ?? 0);
  return Number.isFinite(value) && value >= 0 ? value : 0;
}
