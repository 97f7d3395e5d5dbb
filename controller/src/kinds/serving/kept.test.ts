import { expect, it } from 'vitest';
import type { ConfigMap } from '../../objects/configmap.ts';
import { learntIn } from './forecast.ts';
import { commandsData, commandsOf } from './healing.ts';

it('finds nothing in a ConfigMap from which all was taken', () => {
  const metadata = { name: 'emptied', namespace: 'n', ownerReferences: [{ uid: 'u' }] };
  const emptied = { apiVersion: 'v1', kind: 'ConfigMap', metadata } as ConfigMap;
  expect(learntIn(emptied, 'u')).toBeUndefined();
  expect(commandsOf(emptied)).toEqual([]);
  expect(commandsData(undefined, emptied)).toEqual({});
});
