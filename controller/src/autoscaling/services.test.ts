import { copyEngine, matcherPool } from '@quintet/crds';
import { expect, test } from 'vitest';
import { Cache } from '../kube/store.ts';
import type { KubeObject } from '../kube/types.ts';
import { labelValue, ownLabels, resourceIndex, resourceIndexValue } from '../reconcile/ownership.ts';
import { nameOf, parsed, readyEngines, type Service, servicesOf } from './services.ts';

let version = 0;
function cacheOf(...objects: { metadata: Record<string, unknown>; [field: string]: unknown }[]): Cache {
  const cache = new Cache({ [resourceIndex]: resourceIndexValue });
  for (const object of objects) {
    const metadata = { namespace: 'team', resourceVersion: String(++version), ...object.metadata };
    cache.put({ apiVersion: 'v1', kind: 'Any', ...object, metadata } as unknown as KubeObject);
  }
  return cache;
}
const podOf = (name: string, owner: string, component = 'engine', ready = 'True') => ({
  metadata: { name, labels: { ...ownLabels('MatcherPool', owner), 'app.kubernetes.io/component': component } },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready }] },
});
const namesOf = (objects: readonly KubeObject[]) => objects.map(({ metadata }) => metadata.name);

test('a service comes with its own pods, whatever the length of its name', () => {
  const long = `pool-${'x'.repeat(80)}`;
  const resources = cacheOf({ metadata: { name: 'guard' } }, { metadata: { name: long } });
  const pods = cacheOf(podOf('a', 'guard'), podOf('b', long), podOf('c', 'another'));
  expect(labelValue(long)).not.toBe(long);
  const found = [...servicesOf({ kinds: [{ definition: matcherPool, resources }], pods })];
  expect(found.map(({ id, key, pods: own }) => [id, key, namesOf(own)])).toEqual([
    ['MatcherPool team/guard', 'team/guard', ['a']],
    [`MatcherPool team/${long}`, `team/${long}`, ['b']],
  ]);
  expect(nameOf(found[0]?.id ?? '')).toEqual({ kind: 'MatcherPool', namespace: 'team', name: 'guard' });
});

test('what is being deleted or is in the namespace of another controller is nobody’s to look at', () => {
  const resources = cacheOf(
    { metadata: { name: 'ours' } },
    { metadata: { name: 'theirs', namespace: 'elsewhere' } },
    { metadata: { name: 'ending', deletionTimestamp: '2026-01-01T00:00:00Z' } },
  );
  const isOurs = (namespace: string) => namespace === 'team';
  const found = [...servicesOf({ kinds: [{ definition: copyEngine, resources }], pods: cacheOf(), isOurs })];
  expect(found.map(({ key }) => key)).toEqual(['team/ours']);
});

test('pods that serve are those of engines that are ready', () => {
  const pods = cacheOf(podOf('a', 'guard'), podOf('b', 'guard', 'engine', 'False'), podOf('c', 'guard', 'other'));
  const [service] = servicesOf({
    kinds: [{ definition: matcherPool, resources: cacheOf({ metadata: { name: 'guard' } }) }],
    pods,
  });
  expect(namesOf(readyEngines(service?.pods ?? []))).toEqual(['a']);
});

test('a resource is read once for each of its versions, and not at all where it cannot be', () => {
  const of = (spec: unknown): Pick<Service, 'definition' | 'stored'> => {
    const { apiVersion, metadata } = { apiVersion: 'quintet.dev/v1alpha1', metadata: { name: 'guard' } };
    return { definition: matcherPool, stored: { apiVersion, kind: 'MatcherPool', metadata, spec } as KubeObject };
  };
  const good = of({ replicas: 3 });
  expect(parsed(good)).toMatchObject({ spec: { replicas: 3 } });
  expect(parsed(good)).toBe(parsed(good));
  expect(parsed(of({ replicas: 'three' }))).toBeUndefined();
});
