import { expect, test } from 'vitest';
import { noteManaged, ownershipPatch } from './managed.ts';
import type { KubeObject } from './types.ts';
import { stripBulk } from './watcher.ts';

const entry = (manager: string, operation: string) => ({ manager, operation });
function object(...managedFields: object[]): KubeObject {
  const metadata = { name: 'one', managedFields };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata };
}

test('what was made and never applied is turned into applied fields, wherever its entry stands', () => {
  const made = object(entry('kubectl-edit', 'Update'), entry('quintet-create', 'Update'));
  expect(ownershipPatch(made, 'quintet')).toEqual([
    { op: 'test', path: '/metadata/managedFields/1/manager', value: 'quintet-create' },
    { op: 'test', path: '/metadata/managedFields/1/operation', value: 'Update' },
    { op: 'replace', path: '/metadata/managedFields/1/manager', value: 'quintet' },
    { op: 'replace', path: '/metadata/managedFields/1/operation', value: 'Apply' },
  ]);
});

test('it is known of a cached object too, whose list was dropped', () => {
  const made = object(entry('quintet-create', 'Update'));
  noteManaged(made, 'quintet');
  expect(ownershipPatch(stripBulk(made), 'quintet')).toHaveLength(4);
});

test('applied fields, and those of others, are left alone', () => {
  const applied = object(
    entry('quintet', 'Apply'),
    entry('quintet', 'Update'),
    entry('kube-controller-manager', 'Update'),
  );
  expect(ownershipPatch(applied, 'quintet')).toBeUndefined();
  expect(ownershipPatch({ ...applied, metadata: { name: 'one' } }, 'quintet')).toBeUndefined();
});
