// What the loops beside the reconcile look at: resources that are ours, each with its pods.
import { type AnyDefinition, parseStored } from '@quintet/crds';
import { isReady } from '../kinds/gpu.ts';
import type { Served } from '../kinds/serving/engines.ts';
import { keyOf } from '../kube/paths.ts';
import type { Store } from '../kube/store.ts';
import type { KubeObject } from '../kube/types.ts';
import type { Pod } from '../objects/types.ts';
import { labelValue, resourceIndex, resourceIndexKey } from '../reconcile/ownership.ts';

export interface ServicesOptions {
  kinds: readonly { definition: AnyDefinition; resources: Store }[];
  pods: Store;
  /** Left out: every namespace. */
  isOurs?: (namespace: string) => boolean;
}

export interface Service {
  /** Kind and key. */
  id: string;
  /** NAMESPACE/NAME. */
  key: string;
  definition: AnyDefinition;
  stored: KubeObject;
  pods: readonly Pod[];
}

export function* servicesOf(options: ServicesOptions): Generator<Service> {
  for (const { definition, resources } of options.kinds) {
    for (const stored of resources.values()) {
      const service = serviceOf(definition, stored, options);
      if (service) yield service;
    }
  }
}

/** Undefined for what is being deleted, or another's. */
export function serviceOf(
  definition: AnyDefinition,
  stored: KubeObject,
  { pods, isOurs }: Pick<ServicesOptions, 'pods' | 'isOurs'>,
): Service | undefined {
  const { namespace = '', name, deletionTimestamp } = stored.metadata;
  if (deletionTimestamp || (isOurs && !isOurs(namespace))) return undefined;
  const index = resourceIndexKey(definition.kind, namespace, labelValue(name));
  const key = keyOf(stored.metadata);
  return {
    id: `${definition.kind} ${key}`,
    key,
    definition,
    stored,
    pods: pods.by(resourceIndex, index),
  };
}

/** Of an id. */
export function nameOf(id: string): { kind: string; namespace: string; name: string } {
  const [kind = '', key = ''] = id.split(' ');
  const [namespace = '', name = ''] = key.split('/');
  return { kind, namespace, name };
}

/** Those that run an engine and are ready. */
export const readyEngines = (pods: readonly Pod[]): Pod[] =>
  pods.filter((pod) => isReady(pod) && pod.metadata.labels?.['app.kubernetes.io/component'] === 'engine');

/** Each is read once, however often it is looked at. */
const read = new WeakMap<KubeObject, Served>();

/** What cannot be read is the reconcile's to report. */
export function parsed({ definition, stored }: Pick<Service, 'definition' | 'stored'>): Served | undefined {
  const known = read.get(stored);
  if (known) return known;
  try {
    const resource = parseStored(definition, stored) as Served;
    read.set(stored, resource);
    return resource;
  } catch {
    return undefined;
  }
}
