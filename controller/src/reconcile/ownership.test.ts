import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import { labelValue, ownerReferenceTo, ownershipOf } from './ownership.ts';

const type: ResourceType = { group: 'test.dev', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
const owner: KubeObject = {
  apiVersion: 'test.dev/v1',
  kind: 'Thing',
  metadata: { name: 'mine', namespace: 'a', uid: '1' },
};
const child = (references: object[]): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c', ownerReferences: references as never },
});

test('a name of any allowed length becomes a valid label, and different names different labels', () => {
  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?$/);
  fc.assert(
    fc.property(name, name, (one, other) => {
      expect(labelValue(one)).toMatch(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/);
      expect(labelValue(one) === labelValue(other)).toBe(one === other);
    }),
  );
});

test('ours is what our uid controls; what a namesake before us left is told from what is foreign', () => {
  const ours = ownerReferenceTo(type, owner);
  expect(ownershipOf(child([ours]), type, owner)).toBe('ours');
  expect(ownershipOf(child([{ ...ours, uid: '0' }]), type, owner)).toBe('former');
  expect(ownershipOf(child([{ ...ours, controller: false }]), type, owner)).toBe('foreign');
  expect(ownershipOf(child([{ ...ours, uid: '0', name: 'other' }]), type, owner)).toBe('foreign');
  expect(ownershipOf(child([{ ...ours, uid: '0', apiVersion: 'other.dev/v1' }]), type, owner)).toBe('foreign');
  expect(ownershipOf(child([]), type, owner)).toBe('foreign');
});
