// FieldJob: acoustic fields computed by an Indexed Job.
import { fieldJob as definition, type FieldJob, parseStored } from '@quintet/crds';
import { types } from '../../objects/types.ts';
import type { Kind } from '../../reconcile/kind.ts';
import type { EngineSettings } from '../image.ts';
import { jobsEnd } from '../jobs/namespace.ts';
import { desired } from './desired.ts';
import { status } from './status.ts';

export function fieldJob(settings: EngineSettings): Kind<FieldJob> {
  return {
    type: {
      group: definition.group,
      version: definition.version,
      plural: definition.plural,
      kind: definition.kind,
      namespaced: true,
    },
    children: [types.configMap, types.networkPolicy, types.claim, types.resourceClaimTemplate, types.job],
    observes: [types.pod],
    dependents: [types.workload],
    namespaceEnd: jobsEnd,
    extraRules: [],
    parse: (stored) => parseStored(definition, stored),
    desired: (resource, observed) => desired(resource, observed, settings),
    status: (resource, observed) => status(resource, observed, settings),
  };
}
