// Names, labels and owner of every child, so that watches, selectors and garbage collection agree.
import { hash } from 'node:crypto';
import type { KubeObject, ObjectMeta } from '../kube/types.ts';
import { labelValue, ownLabels } from '../reconcile/ownership.ts';

const maxNameLength = 58; // a Job adds '-NNNN' to name its indexed pods, and 63 is the limit of a DNS label

/** `NAME-SUFFIX`; a name too long is cut and given a hash of its whole, so that two long names never meet. */
export function childName(name: string, suffix: string): string {
  const whole = `${name}-${suffix}`;
  if (whole.length <= maxNameLength) return whole;
  const digest = hash('sha256', name, 'hex').slice(0, 8);
  const room = maxNameLength - suffix.length - digest.length - 2;
  return `${name.slice(0, room).replace(/[-.]+$/, '')}-${digest}-${suffix}`;
}

/** The labels that select all children of one resource. */
export const selectorLabels = (owner: KubeObject): Record<string, string> => ownLabels(owner.kind, owner.metadata.name);

export function childLabels(owner: KubeObject, component: string): Record<string, string> {
  return {
    'app.kubernetes.io/name': owner.kind.toLowerCase(),
    'app.kubernetes.io/instance': labelValue(owner.metadata.name),
    'app.kubernetes.io/component': component,
    'app.kubernetes.io/part-of': 'quintet',
    ...selectorLabels(owner),
  };
}

/** Metadata of a child: same namespace, our labels, owned (and so garbage-collected) by `owner`. */
export function childMeta(owner: KubeObject, name: string, component: string): ObjectMeta {
  const { namespace, uid } = owner.metadata;
  if (!uid) throw new TypeError(`${owner.kind} ${owner.metadata.name} has no uid: it was not read from the API server`);
  return {
    name,
    ...(namespace && { namespace }),
    labels: childLabels(owner, component),
    ownerReferences: [
      {
        apiVersion: owner.apiVersion,
        kind: owner.kind,
        name: owner.metadata.name,
        uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
}

/** A short hash of plain JSON whatever the order of its keys. */
export function hashOf(value: unknown): string {
  return hash('sha256', canonical(value), 'hex').slice(0, 16);
}

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value) text += `${text === '' ? '' : ','}${canonical(item)}`;
    return `[${text}]`;
  }
  const map = value as Record<string, unknown>;
  for (const key of Object.keys(map).sort()) {
    if (map[key] !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonical(map[key])}`;
  }
  return `{${text}}`;
}
