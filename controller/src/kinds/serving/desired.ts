// The objects of a resource that serves.
import { type ConfigMap, configMap } from '../../objects/configmap.ts';
import { activatorSlice, type EndpointSlice, frontOf } from '../../objects/endpointslice.ts';
import { resourceClaimTemplates } from '../../objects/gpu.ts';
import { servingIsolation } from '../../objects/networkpolicy.ts';
import { podDisruptionBudget } from '../../objects/poddisruptionbudget.ts';
import { service } from '../../objects/service.ts';
import { serviceAccount } from '../../objects/serviceaccount.ts';
import { types } from '../../objects/types.ts';
import type { Desired, Observed } from '../../reconcile/kind.ts';
import { type EngineSettings, requireImage } from '../image.ts';
import { requireStores, storesOf } from '../stores.ts';
import type { Served } from './engines.ts';
import { forecastHistory } from './forecast.ts';
import { commandsData } from './healing.ts';
import type { Scaling } from './scaling.ts';
import { readState, type State } from './state.ts';
import {
  activatorSliceName,
  bridgeDeployment,
  engineOf,
  engineSpec,
  mainDeployment,
  mainName,
  servingSelector,
} from './workload.ts';

export function desired(
  resource: Served,
  observed: Observed,
  settings: EngineSettings,
  scaling: Scaling | undefined,
): Desired {
  requireImage(engineOf(resource).name, settings, resource.spec.pod?.image);
  requireStores(resource, settings.stores);
  const state = readState(resource, observed, scaling);
  const name = mainName(resource);
  const selector = servingSelector(resource);
  return {
    objects: [
      configMap(resource, name, 'config', {
        'resource.json': document(resource),
        ...commandsData(scaling?.healing, observed.get<ConfigMap>(types.configMap, name)),
      }),
      ...forecastHistory(resource, observed, scaling),
      ...storesOf(resource, name, settings.stores).secrets,
      ...(resource.spec.pod?.serviceAccountName ? [] : [serviceAccount(resource, name)]),
      servingIsolation(resource, name),
      ...resourceClaimTemplates(resource, name, resource.spec.gpu),
      service(resource, name, selector),
      ...activators(resource, observed, scaling),
      podDisruptionBudget(resource, name, selector),
      mainDeployment(resource, settings, state.wanted, state.maxUnavailable),
      ...(state.bridged > 0 ? [bridgeDeployment(resource, settings, state.bridged)] : []),
    ],
    ...wakeForBridge(state, observed.now),
  };
}

/** Before anything is decided what stands in goes on to: requests may wait there. */
function activators(resource: Served, observed: Observed, scaling: Scaling | undefined): EndpointSlice[] {
  if (resource.spec.suspend || !resource.spec.autoscaling) return [];
  const name = activatorSliceName(resource);
  const front = scaling ? scaling.front : frontOf(observed.get<EndpointSlice>(types.endpointSlice, name));
  return front ? [activatorSlice(resource, name, mainName(resource), front)] : [];
}

/** What the engine reads: the resource as it was written, without what only the controller carries out. */
function document(resource: Served): string {
  const { apiVersion, kind, metadata } = resource;
  const { name, namespace, uid } = metadata;
  return `${JSON.stringify({ apiVersion, kind, metadata: { name, namespace, uid }, spec: engineSpec(resource) }, null, 2)}\n`;
}

function wakeForBridge({ bridgeAt }: State, now: Date): { requeueAfterMs?: number } {
  const left = bridgeAt ? bridgeAt.getTime() - now.getTime() : 0;
  return left > 0 ? { requeueAfterMs: left } : {};
}
