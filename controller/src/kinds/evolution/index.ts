// EvolutionRun: a search by a coordinator and workers that follow it.
import { evolutionRun as definition, type EvolutionRun, parseStored } from '@quintet/crds';
import { type Pod, types } from '../../objects/types.ts';
import type { Kind } from '../../reconcile/kind.ts';
import type { EngineSettings } from '../image.ts';
import { jobsEnd } from '../jobs/namespace.ts';
import { storeTypes } from '../stores.ts';
import { desired } from './desired.ts';
import { coordinatorsOf } from './progress.ts';
import { isOf } from './state.ts';
import { status } from './status.ts';
import { meterOf } from './usage.ts';

/** @param coordinators for tests; their pages are asked when left out */
export function evolutionRun(engine: EngineSettings, coordinators = coordinatorsOf()): Kind<EvolutionRun> {
  const settings = { ...engine, coordinators, meter: meterOf(engine.cpuHourPrice ?? 0) };
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
    gone: (observed) => {
      for (const pod of observed.list<Pod>(types.pod)) if (isOf('coordinator', pod)) coordinators.cancel(pod);
    },
  };
}
