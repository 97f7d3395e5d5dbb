// A controller whose namespace is being deleted, against a server that refuses what such a namespace does.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Client } from '../kube/client.ts';
import { TestServer } from '../kube/testserver.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import { types } from '../objects/types.ts';
import { type Kind, labels, managedBy } from './kind.ts';
import { Controller } from './loop.ts';
import { statusOf } from './status.ts';
import { Watches } from './watches.ts';

const runs: ResourceType = { group: 'test.dev', version: 'v1', plural: 'runs', kind: 'Run', namespaced: true };
const { configMap: configMaps, job: jobs, pod: pods } = types;

const kind: Kind<KubeObject> = {
  type: runs,
  children: [configMaps, jobs],
  observes: [pods],
  namespaceEnd: {
    types: [jobs],
    asks: configMaps,
    isLikely: (observed) => observed.list(pods).some(({ metadata }) => metadata.deletionTimestamp),
  },
  extraRules: [],
  parse: (stored) => stored,
  desired: () => ({
    objects: [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'config' } },
      { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'work' } },
    ],
  }),
  status: () => ({ conditions: [{ type: 'Ready', status: 'True', reason: 'Works', message: '' }], fields: {} }),
};

let server: TestServer;
let client: Client;
let watches: Watches;
let controller: Controller;
beforeEach(async () => {
  server = await TestServer.start();
  client = new Client(server.connection, { timeoutMs: 2000 });
  watches = new Watches({ client, backoff: [5, 50] });
  controller = new Controller(kind, { client, watches });
  watches.start();
  await watches.synced();
  controller.start();
});
afterEach(async () => {
  await controller.stop();
  await watches.stop();
  await client.close();
  await server.stop();
});

const until = (check: () => void) => vi.waitFor(check, { timeout: 15_000, interval: 10 });
const ready = () =>
  statusOf(server.get(runs, 'a', 'one') ?? { apiVersion: '', kind: '', metadata: { name: '' } })?.conditions?.find(
    ({ type: each }) => each === 'Ready',
  );
const posts = () => server.requests.filter(({ method }) => method === 'POST').length;

async function works(): Promise<void> {
  server.put(runs, { metadata: { name: 'one', namespace: 'a' } });
  await until(() => expect(ready()).toMatchObject({ status: 'True' }));
}

function endNamespace(): void {
  server.intercept = ({ method }, response) => {
    if (method !== 'POST') return false;
    const details = { causes: [{ reason: 'NamespaceTerminating' }] };
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind: 'Status', code: 403, reason: 'Forbidden', message: 'it ends', details }));
    return true;
  };
}

/** As the deletion of a namespace, or anybody, begins it. */
function endPod(): void {
  server.put(pods, {
    metadata: {
      name: 'work-0',
      namespace: 'a',
      labels: { [labels.managedBy]: managedBy, [labels.kind]: 'Run', [labels.name]: 'one' },
      deletionTimestamp: '2026-01-01T12:00:00Z',
    },
  });
}

test('a namespace that is being deleted gets its Jobs deleted, nothing else, and a condition that says why', async () => {
  await works();
  endNamespace();
  endPod();
  await until(() => expect(server.get(jobs, 'a', 'work')).toBeUndefined());
  await until(() => expect(ready()).toMatchObject({ status: 'False', reason: 'NamespaceTerminating' }));
  expect(server.get(configMaps, 'a', 'config')).toBeDefined();
});

test('a pod that goes for another reason costs one question, and no Job', async () => {
  await works();
  const before = posts();
  endPod();
  await until(() => expect(posts()).toBe(before + 1));
  await until(() => expect(controller.queue.isIdle).toBe(true));
  expect(server.requests.findLast(({ method }) => method === 'POST')?.query.get('dryRun')).toBe('All');
  expect(server.get(jobs, 'a', 'work')).toBeDefined();
  expect(ready()).toMatchObject({ status: 'True' });
});
