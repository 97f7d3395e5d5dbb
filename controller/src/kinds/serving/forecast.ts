// What the forecast of a resource has learnt, kept for the next leader in a ConfigMap of its own: no pod mounts it.
import { type ConfigMap, configMap } from '../../objects/configmap.ts';
import { types } from '../../objects/types.ts';
import type { Observed } from '../../reconcile/kind.ts';
import type { Served } from './engines.ts';
import type { Scaling } from './scaling.ts';
import { forecastName } from './workload.ts';

const file = 'forecast.json';

/** Nothing that a namesake has left. */
export function learntIn(live: ConfigMap | undefined, uid: string): string | undefined {
  return live?.metadata.ownerReferences?.some((owner) => owner.uid === uid) ? live.data?.[file] : undefined;
}

/** Until a new leader has something to tell, what its predecessor told stays. */
export function forecastHistory(resource: Served, observed: Observed, scaling: Scaling | undefined): ConfigMap[] {
  const { autoscaling } = resource.spec;
  if (!autoscaling?.predictive || autoscaling.predictive.mode === 'None') return [];
  const name = forecastName(resource);
  const learnt = scaling?.learnt ?? observed.get<ConfigMap>(types.configMap, name)?.data?.[file];
  return learnt === undefined ? [] : [configMap(resource, name, 'forecast', { [file]: learnt })];
}
