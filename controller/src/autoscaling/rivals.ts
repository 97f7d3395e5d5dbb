// Other autoscalers that aim at the same pods: ours stands back for them.
import type { Served } from '../kinds/serving/engines.ts';
import type { Scaling } from '../kinds/serving/scaling.ts';
import { bridgeName, mainName } from '../kinds/serving/workload.ts';
import { keyOf } from '../kube/paths.ts';
import type { Store } from '../kube/store.ts';
import type { KubeObject } from '../kube/types.ts';

/** A HorizontalPodAutoscaler, as far as its aim goes. */
export interface Rival extends KubeObject {
  spec?: { scaleTargetRef?: { kind?: string; name?: string; apiVersion?: string } };
}

/** Names of autoscalers by what they aim at. */
export type Rivals = ReadonlyMap<string, string>;

export function rivalsOf(store: Store): Rivals {
  const found = new Map<string, string>();
  for (const { metadata, spec } of store.values() as Iterable<Rival>) {
    const { kind = '', name = '' } = spec?.scaleTargetRef ?? {};
    found.set(`${kind} ${metadata.namespace ?? ''}/${name}`, metadata.name);
  }
  return found;
}

/** One at the resource itself counts before one at a Deployment of it. */
export function rivalOf(resource: Served, rivals: Rivals): Scaling['yieldsTo'] {
  const { namespace = '' } = resource.metadata;
  const own = rivals.get(`${resource.kind} ${keyOf(resource.metadata)}`);
  if (own !== undefined) return { name: own, target: 'Resource' };
  const below = [mainName(resource), bridgeName(resource)]
    .map((name) => rivals.get(`Deployment ${namespace}/${name}`))
    .find((name) => name !== undefined);
  return below === undefined ? undefined : { name: below, target: 'Deployment' };
}
