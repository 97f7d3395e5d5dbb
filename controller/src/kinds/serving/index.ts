// CompressionService, MatcherPool and CopyEngine: engines that serve behind a Deployment.
import { type AnyDefinition, parseStored } from '@quintet/crds';
import { types } from '../../objects/types.ts';
import type { Kind } from '../../reconcile/kind.ts';
import type { EngineSettings } from '../image.ts';
import { storeTypes } from '../stores.ts';
import { desired } from './desired.ts';
import type { Served } from './engines.ts';
import { status } from './status.ts';

export function servingKind<R extends Served>(definition: AnyDefinition, settings: EngineSettings): Kind<R> {
  const { group, version, plural, kind } = definition;
  return {
    type: { group, version, plural, kind, namespaced: true },
    children: [
      types.configMap,
      ...storeTypes(settings.stores),
      types.serviceAccount,
      types.networkPolicy,
      types.resourceClaimTemplate,
      types.service,
      types.podDisruptionBudget,
      types.deployment,
    ],
    observes: [types.pod],
    extraRules: [],
    parse: (stored) => parseStored(definition, stored) as R,
    desired: (resource, observed) => desired(resource, observed, settings),
    status: (resource, observed) => status(resource, observed),
  };
}
