// Two releases share a cluster by a label on namespaces: neither ever writes where the other does.
import { afterEach, expect, test } from 'vitest';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { isWrite } from '../cluster/audit.ts';
import { eventually, Kubectl } from '../kubectl.ts';
import { denied, Installed } from './installed.ts';

let api: ApiCluster | undefined;
const releases: Installed[] = [];

afterEach(async () => {
  for (const release of releases.splice(0)) await release.kill();
  await api?.stop();
});

const service = (namespace: string, spec: object = {}) =>
  JSON.stringify({
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'CompressionService',
    metadata: { name: 'one', namespace },
    spec: { replicas: 0, pod: { image: 'example.test/compression:1' }, ...spec },
  });

test('controllers with selectors that do not meet write in namespaces of their own only', async () => {
  const cluster = (api = await startApi());
  const kubectl = new Kubectl(cluster);
  const namespace = (name: string, shard?: string) =>
    kubectl.apply(
      JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...(shard && { labels: { shard } }) } }),
    );
  for (const shard of ['a', 'b']) {
    const values = [`shard.selector=shard=${shard}`, ...(shard === 'b' ? ['crds.enabled=false'] : [])];
    releases.push(
      await Installed.start(cluster, { release: `quintet-${shard}`, namespace: `system-${shard}`, values }),
    );
  }
  const [a, b] = releases;
  if (!a || !b) throw new TypeError('both releases were started');
  const wroteIn = ({ requests }: Installed) =>
    new Set(
      requests
        .filter((event) => isWrite(event))
        .map(({ objectRef }) => objectRef?.namespace ?? '')
        .filter((name) => !name.startsWith('system-')),
    );
  const followed = (name: string) =>
    eventually(
      `the service in ${name} is followed`,
      async () => {
        interface One {
          metadata: { generation: number };
          status?: { observedGeneration?: number };
        }
        const one = await kubectl.json<One>(['get', 'compressionservice', 'one', '-n', name]);
        return one.status?.observedGeneration === one.metadata.generation;
      },
      { timeoutMs: 40_000, describe: async () => `denied: ${[...denied(a.requests), ...denied(b.requests)].join()}` },
    );

  for (const [name, shard] of [
    ['a-1', 'a'],
    ['a-2', 'a'],
    ['b-1', 'b'],
    ['nobodys', undefined],
  ] as const) {
    await namespace(name, shard);
    await kubectl.apply(service(name));
  }
  for (const name of ['a-1', 'a-2', 'b-1']) await followed(name);
  for (const name of ['a-1', 'b-1', 'nobodys']) await kubectl.apply(service(name, { batching: { maxSize: 8 } }));
  for (const name of ['a-1', 'b-1']) await followed(name);
  expect(wroteIn(a)).toEqual(new Set(['a-1', 'a-2']));
  expect(wroteIn(b)).toEqual(new Set(['b-1']));

  // A namespace that gets another label changes hands.
  await namespace('a-2', 'b');
  await eventually('the namespace has left the first shard', async () => {
    await kubectl.apply(service('a-2', { batching: { maxSize: 9 + Math.floor(Math.random() * 100) } }));
    return wroteIn(b).has('a-2');
  });
  await followed('a-2');
  expect(wroteIn(b)).toEqual(new Set(['a-2', 'b-1']));
  expect([...denied(a.requests), ...denied(b.requests)]).toEqual([]);
  expect(await Promise.all([a.end(), b.end()])).toEqual([
    [0, null],
    [0, null],
  ]);
});
