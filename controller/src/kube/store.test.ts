import { expect, test } from 'vitest';
import { Cache, isNewer, ownerIndex } from './store.ts';
import type { KubeObject } from './types.ts';

function object(name: string, resourceVersion: string, owner?: string, colour?: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name,
      namespace: 'a',
      resourceVersion,
      ...(colour && { labels: { colour } }),
      ...(owner && { ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: 'x', uid: owner, controller: true }] }),
    },
  };
}

test('versions compare as numbers, whatever their length', () => {
  expect(isNewer('10', '9')).toBe(true);
  expect(isNewer('9', '10')).toBe(false);
  expect(isNewer('10', '10')).toBe(false);
  expect(isNewer('1', undefined)).toBe(true);
});

test('older news never replaces newer, nor does an old deletion remove what was made since', () => {
  const cache = new Cache();
  expect(cache.put(object('one', '5'))).toEqual({ previous: undefined });
  expect(cache.put(object('one', '4'))).toBe(false);
  expect(cache.put(object('one', '5'))).toBe(false);
  expect(cache.remove('a/one', '4')).toBeUndefined();
  expect(cache.remove('a/one', '6')?.metadata.name).toBe('one');
  expect(cache.size).toBe(0);
});

test('a forced put takes an older version, as after a restored backup', () => {
  const cache = new Cache();
  cache.put(object('one', '500'));
  expect(cache.put(object('one', '7'), true)).toMatchObject({ previous: { metadata: { resourceVersion: '500' } } });
  expect(cache.get('a/one')?.metadata.resourceVersion).toBe('7');
});

test('indexes follow changes of owner and label, and forget what is deleted', () => {
  const cache = new Cache({ colour: ({ metadata }) => metadata.labels?.colour });
  cache.put(object('one', '1', 'uid-1', 'red'));
  cache.put(object('two', '2', 'uid-1', 'red'));
  expect(cache.by(ownerIndex, 'uid-1').map(({ metadata }) => metadata.name)).toEqual(['one', 'two']);
  cache.put(object('one', '3', 'uid-2', 'blue'));
  expect(cache.by(ownerIndex, 'uid-1').map(({ metadata }) => metadata.name)).toEqual(['two']);
  expect(cache.by('colour', 'blue').map(({ metadata }) => metadata.name)).toEqual(['one']);
  cache.put(object('two', '4', 'uid-1', 'red'));
  expect(cache.by(ownerIndex, 'uid-1').map(({ metadata }) => metadata.resourceVersion)).toEqual(['4']);
  cache.remove('a/two');
  expect(cache.by('colour', 'red')).toEqual([]);
  expect(() => cache.by('size', 'x')).toThrow('no index');
});
