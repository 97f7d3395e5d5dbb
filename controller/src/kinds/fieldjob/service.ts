// mode: Service of a FieldJob: what serves is a Deployment, as of the kinds that always do.
import type { FieldJob } from '@quintet/crds';
import type { FieldService } from '../serving/engines.ts';

/** Undefined in mode Batch. */
export function asService(resource: FieldJob): FieldService | undefined {
  if (resource.spec.mode !== 'Service') return undefined;
  const { replicas = 1 } = resource.spec;
  return { ...resource, spec: { ...resource.spec, replicas } };
}
