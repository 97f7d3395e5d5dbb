// EvolutionRun: a search by a coordinator and workers that follow it.
import { evolutionRun as definition, type EvolutionRun, parseStored } from '@quintet/crds';
import { types } from '../../objects/types.ts';
import type { Kind } from '../../reconcile/kind.ts';
import type { EngineSettings } from '../image.ts';
import { jobsEnd } from '../jobs/namespace.ts';
import { storeTypes } from '../stores.ts';
import { desired } from './desired.ts';
import { progressReader } from './progress.ts';
import { status } from './status.ts';

/** @param readProgress for tests; coordinators are asked over their page when left out */
export function evolutionRun(engine: EngineSettings, readProgress = progressReader()): Kind<EvolutionRun> {
  const settings = { ...engine, readProgress };
  const { group, version, plural, kind } = definition;
  return {
    type: { group, version, plural, kind, namespaced: true },
    children: [
      types.configMap,
      ...storeTypes(settings.stores),
      types.networkPolicy,
      types.claim,
      types.service,
      types.job,
      types.deployment,
    ],
    observes: [types.pod],
    dependents: [types.workload],
    namespaceEnd: jobsEnd,
    extraRules: [],
    parse: (stored) => parseStored(definition, stored),
    desired: (resource, observed) => desired(resource, observed, settings),
    status: (resource, observed) => status(resource, observed, settings),
  };
}
