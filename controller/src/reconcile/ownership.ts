// How a child is known as a child: labels to find it by, an owner reference to say whose it is.
import { createHash } from 'node:crypto';
import { apiVersionOf } from '../kube/paths.ts';
import { controllerOf } from '../kube/store.ts';
import type { KubeObject, OwnerReference, ResourceType } from '../kube/types.ts';
import { annotations, labels, managedBy } from './kind.ts';

const maxLabelLength = 63;

/** The labels of everything that belongs to one resource: children, and the pods that children make. */
export function ownLabels(kind: string, name: string): Record<string, string> {
  return { [labels.managedBy]: managedBy, [labels.kind]: kind, [labels.name]: labelValue(name) };
}

/** A resource's name as a label: names may have 253 characters, labels 63, so the end of a long one is hashed. */
export function labelValue(name: string): string {
  if (name.length <= maxLabelLength) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 10);
  return `${name.slice(0, maxLabelLength - hash.length - 1).replace(/[-._]+$/, '')}-${hash}`;
}

export function ownerReferenceTo(type: ResourceType, owner: KubeObject): OwnerReference {
  const { name, uid = '' } = owner.metadata;
  return { apiVersion: apiVersionOf(type), kind: type.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** Index of observed objects by the resource whose labels they carry. */
export const resourceIndex = 'resource';

export function resourceIndexValue(object: KubeObject): string | undefined {
  const own = object.metadata.labels;
  const kind = own?.[labels.kind];
  const name = own?.[labels.name];
  return kind && name ? resourceIndexKey(kind, object.metadata.namespace, name) : undefined;
}

export function resourceIndexKey(kind: string, namespace: string | undefined, label: string): string {
  return `${kind}/${namespace ?? ''}/${label}`;
}

export type Ownership = 'ours' | 'former' | 'foreign';

/** Whose a live object is: ours, left by a deleted namesake of the owner (the collector will remove it), or foreign. */
export function ownershipOf(object: KubeObject, type: ResourceType, owner: KubeObject): Ownership {
  const reference = controllerOf(object);
  if (!reference) return 'foreign';
  if (reference.uid === owner.metadata.uid) return 'ours';
  const sameGroup = reference.apiVersion.split('/')[0] === type.group;
  return sameGroup && reference.kind === type.kind && reference.name === owner.metadata.name ? 'former' : 'foreign';
}

/** A child made to outlive its resource: nobody's by owner reference, marked as this resource's by its labels. */
export function isRetainedOf(object: KubeObject, type: ResourceType, owner: KubeObject): boolean {
  const { annotations: notes, labels: own } = object.metadata;
  if (controllerOf(object) || notes?.[annotations.retain] !== 'true') return false;
  return Object.entries(ownLabels(type.kind, owner.metadata.name)).every(([key, value]) => own?.[key] === value);
}
