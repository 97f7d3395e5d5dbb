// A controller that answers for a part of the cluster: by the label of namespaces, which come and go.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Client } from '../kube/client.ts';
import { TestServer } from '../kube/testserver.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import type { Kind } from './kind.ts';
import { Controller } from './loop.ts';
import { Shard } from './shard.ts';
import { Watches } from './watches.ts';

const things: ResourceType = { group: 'test.dev', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
const namespaces: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};
const kind: Kind<KubeObject> = {
  type: things,
  children: [],
  observes: [],
  extraRules: [],
  parse: (stored) => stored,
  desired: () => ({ objects: [] }),
  status: () => ({ conditions: [], fields: { seen: true } }),
};

let server: TestServer;
let client: Client;
let watches: Watches;
let shard: Shard;
let controller: Controller;

beforeEach(async () => {
  server = await TestServer.start();
  for (const name of ['ours', 'theirs', 'late'])
    server.put(things, { metadata: { name: 'one', namespace: name }, spec: {} });
  server.put(namespaces, { metadata: { name: 'ours', labels: { shard: 'a' } } });
  server.put(namespaces, { metadata: { name: 'theirs', labels: { shard: 'b' } } });
  client = new Client(server.connection, { timeoutMs: 2000 });
  watches = new Watches({ client, backoff: [5, 50] });
  shard = new Shard('shard=a', { client, backoff: [5, 50] });
  controller = new Controller(kind, { client, watches, shard });
  watches.start();
  shard.start();
  await Promise.all([watches.synced(), shard.synced]);
  controller.start();
});

afterEach(async () => {
  await controller.stop();
  await Promise.all([watches.stop(), shard.stop()]);
  await client.close();
  await server.stop();
});

const isSeen = (namespace: string) =>
  (server.get(things, namespace, 'one') as { status?: object }).status !== undefined;
const until = (check: () => void) => vi.waitFor(check, { timeout: 15_000, interval: 10 });

test('resources of other shards are left alone', async () => {
  await until(() => expect(isSeen('ours')).toBe(true));
  await until(() => expect(controller.queue.isIdle).toBe(true));
  expect([isSeen('theirs'), isSeen('late')]).toEqual([false, false]);
  server.put(things, { metadata: { name: 'one', namespace: 'theirs' }, spec: { changed: true } });
  server.put(things, { metadata: { name: 'two', namespace: 'ours' }, spec: {} });
  await until(() => expect(server.get(things, 'ours', 'two')).toMatchObject({ status: { seen: true } }));
  expect(isSeen('theirs')).toBe(false);
});

test('a namespace that gets the label brings its resources along', async () => {
  await until(() => expect(isSeen('ours')).toBe(true));
  server.put(namespaces, { metadata: { name: 'late', labels: { shard: 'a' } } });
  await until(() => expect(isSeen('late')).toBe(true));
});
