// FieldJob: acoustic fields computed by an Indexed Job, or in mode Service asked for behind a Deployment.
import { fieldJob as definition, type FieldJob, parseStored } from '@quintet/crds';
import { keyOf } from '../../kube/paths.ts';
import { types } from '../../objects/types.ts';
import type { Kind } from '../../reconcile/kind.ts';
import type { EngineSettings } from '../image.ts';
import { jobsEnd } from '../jobs/namespace.ts';
import { desired as desiredOfService } from '../serving/desired.ts';
import { servingChildren, servingRules } from '../serving/index.ts';
import type { ScalingSource } from '../serving/scaling.ts';
import { status as statusOfService } from '../serving/status.ts';
import type { Costs } from './costs.ts';
import { desired } from './desired.ts';
import { asService } from './service.ts';
import { status } from './status.ts';
import { outputClaim } from './steps.ts';

/**
 * @param scaling What the autoscaler has decided of those in mode Service; left out: nothing ever is.
 * @param known What FieldJobs have cost; left out, nothing is predicted.
 */
export function fieldJob(
  settings: EngineSettings,
  scaling: ScalingSource = () => undefined,
  known?: Costs,
): Kind<FieldJob> {
  const decided = ({ metadata }: FieldJob) => scaling(definition.kind, keyOf(metadata), metadata.uid);
  return {
    type: {
      group: definition.group,
      version: definition.version,
      plural: definition.plural,
      kind: definition.kind,
      namespaced: true,
    },
    children: [...servingChildren(settings), types.claim, types.job],
    observes: [types.pod],
    dependents: [types.workload],
    namespaceEnd: jobsEnd,
    extraRules: servingRules,
    parse: (stored) => parseStored(definition, stored),
    desired: (resource, observed) => {
      const service = asService(resource);
      if (service) {
        const { objects, ...rest } = desiredOfService(service, observed, settings, decided(resource));
        // A claim of an earlier run in mode Batch holds its results: it goes by its own policy, not by the mode.
        return { ...rest, objects: [...objects, ...outputClaim(resource)] };
      }
      return desired(resource, observed, settings, known);
    },
    status: (resource, observed) => {
      const service = asService(resource);
      if (service) return statusOfService(service, observed, decided(resource));
      return status(resource, observed, settings, known);
    },
  };
}
