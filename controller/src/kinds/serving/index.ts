// CompressionService, MatcherPool and CopyEngine: engines that serve behind a Deployment.
import { type AnyDefinition, parseStored } from '@quintet/crds';
import { keyOf } from '../../kube/paths.ts';
import type { ResourceType } from '../../kube/types.ts';
import { types } from '../../objects/types.ts';
import type { Kind, PolicyRule } from '../../reconcile/kind.ts';
import type { EngineSettings } from '../image.ts';
import { storeTypes } from '../stores.ts';
import { desired } from './desired.ts';
import type { Served } from './engines.ts';
import { gatewayOf, managedServer } from './managed.ts';
import type { ScalingSource } from './scaling.ts';
import { status } from './status.ts';
import type { TellingSource } from './told.ts';

/**
 * @param scaling What the autoscaler has decided; left out: nothing ever is, and what runs stays.
 * @param telling What the pods say of themselves.
 */
export function servingKind<R extends Served>(
  definition: AnyDefinition,
  settings: EngineSettings,
  scaling: ScalingSource = () => undefined,
  telling: TellingSource = () => undefined,
): Kind<R> {
  const { group, version, plural, kind } = definition;
  const decided = ({ metadata }: R) => scaling(kind, keyOf(metadata), metadata.uid);
  return {
    type: { group, version, plural, kind, namespaced: true },
    children: servingChildren(settings),
    observes: [types.pod],
    extraRules: servingRules,
    parse: (stored) => parseStored(definition, stored) as R,
    desired: (resource, observed) => {
      const { objects, ...rest } = desired(gatewayOf(resource), observed, settings, decided(resource));
      return { objects: [...objects, ...managedServer(resource)], ...rest };
    },
    status: (resource, observed) => {
      const told = telling(kind, keyOf(resource.metadata), resource.metadata.uid);
      return status(gatewayOf(resource), observed, decided(resource), told);
    },
  };
}

/** Types of the objects that serving takes. */
export const servingChildren = ({ stores }: EngineSettings): ResourceType[] => [
  types.configMap,
  ...storeTypes(stores),
  types.serviceAccount,
  types.networkPolicy,
  types.resourceClaimTemplate,
  types.service,
  types.endpointSlice,
  types.podDisruptionBudget,
  types.deployment,
];

export const servingRules: PolicyRule[] = [
  // Healing has a sick pod end as a drain would; the annotation of a pod tells whom a shrinking ReplicaSet may take.
  { apiGroups: [''], resources: ['pods/eviction'], verbs: ['create'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['patch'] },
  // Where OpenShift's RestrictedEndpointsAdmission is on, addresses of pods need it: activators' are.
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices/restricted'], verbs: ['create'] },
  // Another autoscaler on the same pods is seen and left alone.
  { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: ['list', 'watch'] },
];
