import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Client } from '../kube/client.ts';
import { answer, refuse, TestServer } from '../kube/testserver.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import { TerminalError } from './errors.ts';
import type { EventNote, Recorder } from './events.ts';
import { annotations, type Desired, type Kind, labels, managedBy, type Observed, type StatusDecision } from './kind.ts';
import { Controller } from './loop.ts';
import { createMetrics } from './metrics.ts';
import type { Status } from './status.ts';
import { Watches } from './watches.ts';

interface Thing extends KubeObject {
  spec: { maps: string[]; value?: string; revision?: string; bad?: boolean };
  status?: Status;
}

const things: ResourceType = { group: 'test.dev', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const pods: ResourceType = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
const receipts: ResourceType = {
  group: 'other.dev',
  version: 'v1',
  plural: 'receipts',
  kind: 'Receipt',
  namespaced: true,
};

/** A kind that makes one ConfigMap per name in its spec, counts its pods and what others made for its maps. */
const kind: Kind<Thing> = {
  type: things,
  children: [configMaps],
  observes: [pods],
  dependents: [receipts],
  extraRules: [],
  parse: (stored) => stored as Thing,
  desired({ spec }): Desired {
    if (spec.bad) throw new TerminalError('BadSpec', 'spec.bad must not be set');
    const objects = spec.maps.map((name) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, ...(spec.revision && { annotations: { [annotations.revision]: spec.revision } }) },
      data: { value: spec.value ?? '' },
    }));
    return { objects };
  },
  status(resource: Thing, observed: Observed): StatusDecision {
    const children = observed.list(configMaps);
    const maps = children.length;
    const made = children.flatMap((child) => observed.dependents(receipts, child));
    const complete = maps === resource.spec.maps.length;
    return {
      conditions: [
        {
          type: 'Ready',
          status: complete ? 'True' : 'False',
          reason: complete ? 'Complete' : 'Incomplete',
          message: '',
        },
      ],
      fields: { maps, pods: observed.list(pods).length, ...(made.length > 0 && { made }) },
    };
  },
};

let server: TestServer;
let client: Client;
let watches: Watches;
let controller: Controller<Thing>;
/** Whether the lease was renewed in time, as is asked before each write. */
const mayWrite = vi.fn<() => boolean>();
beforeEach(async () => {
  mayWrite.mockReset().mockReturnValue(true);
  server = await TestServer.start();
});
afterEach(async () => {
  server.intercept = undefined;
  await controller.stop();
  await watches.stop();
  await client.close();
  await server.stop();
});

async function start(overrides: Partial<Kind<Thing>> = {}, recorder?: Recorder): Promise<void> {
  client = new Client(server.connection, { timeoutMs: 2000, mayWrite });
  watches = new Watches({ client, backoff: [5, 50] });
  const metrics = createMetrics({ processMetrics: false });
  const options = { client, watches, metrics, conflictRetryMs: 50, ...(recorder && { recorder }) };
  controller = new Controller({ ...kind, ...overrides }, options);
  watches.start();
  await watches.synced();
  controller.start();
}

function putThing(name: string, spec: Partial<Thing['spec']>): Thing {
  const stored = server.get(things, 'a', name);
  return server.put(things, {
    ...stored,
    metadata: { ...stored?.metadata, name, namespace: 'a' },
    spec: { maps: [], ...spec },
  }) as Thing;
}

function statusOf(name: string): Status | undefined {
  return (server.get(things, 'a', name) as Thing | undefined)?.status;
}

function condition(name: string, type: string): object | undefined {
  return statusOf(name)?.conditions?.find((one) => one.type === type);
}

async function settled(): Promise<void> {
  await vi.waitFor(() => expect(controller.queue.isIdle).toBe(true), { timeout: 5000, interval: 10 });
}

async function until(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 5000, interval: 10 });
}

test.each([
  ['a child', ['x']],
  ['a status', []],
])(
  '%s that was refused while the lease was late is written once it is renewed, though nothing else happens',
  async (_, maps) => {
    putThing('one', { maps });
    mayWrite.mockReturnValue(false);
    await start();
    await until(() => expect(mayWrite).toHaveBeenCalled());
    expect([server.get(configMaps, 'a', 'x'), statusOf('one')]).toEqual([undefined, undefined]);
    mayWrite.mockReturnValue(true);
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
  },
);

test('what others make for a child is heard of, and only its conditions are kept', async () => {
  putThing('one', { maps: ['x'] });
  await start();
  await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
  const { uid = '' } = server.get(configMaps, 'a', 'x')?.metadata ?? {};
  const controllerOf = (owner: string) => [
    { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: owner, controller: true },
  ];
  const receipt = (name: string, owner: string) =>
    server.put(receipts, {
      metadata: { namespace: 'a', name, labels: { long: 'list' }, ownerReferences: controllerOf(owner) },
      spec: { pages: 900 },
      status: { conditions: [{ type: 'Paid' }], lines: 900 },
    });
  receipt('namesake', 'earlier');
  receipt('own', uid);
  await until(() => expect(statusOf('one')?.made).toHaveLength(1));
  const { made } = statusOf('one') as { made?: KubeObject[] };
  const { metadata, ...rest } = made?.[0] ?? {};
  expect(metadata).toMatchObject({ name: 'own', namespace: 'a' });
  expect(metadata).not.toHaveProperty('labels');
  expect(rest).toEqual({ apiVersion: 'other.dev/v1', kind: 'Receipt', status: { conditions: [{ type: 'Paid' }] } });
  server.remove(receipts, 'a', 'own');
  await until(() => expect(statusOf('one')).not.toHaveProperty('made'));
});

test('what the kubelet says of a stuck pod is asked for, and told by itself when it was heard', async () => {
  const asked: string[] = [];
  server.intercept = ({ path, query }, response) => {
    if (path !== '/api/v1/namespaces/a/events') return false;
    asked.push(query.get('fieldSelector') ?? '');
    answer(response, 200, { metadata: { resourceVersion: '1' }, items: [{ message: 'secret "nope" not found' }] });
    return true;
  };
  putThing('one', { maps: [] });
  server.put(pods, {
    metadata: {
      name: 'p',
      namespace: 'a',
      uid: 'uid-p',
      labels: { [labels.managedBy]: managedBy, [labels.kind]: 'Thing', [labels.name]: 'one' },
    },
    status: {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'True', lastTransitionTime: '2026-01-01T12:00:00Z' }],
      containerStatuses: [{ name: 'engine', restartCount: 0, state: { waiting: { reason: 'ContainerCreating' } } }],
    },
  });
  await start({
    status: (_resource, observed) => ({
      conditions: [],
      fields: { said: observed.list(pods).map((pod) => observed.failedMount?.(pod) ?? 'nothing') },
    }),
  });
  await until(() => expect(statusOf('one')).toMatchObject({ said: ['secret "nope" not found'] }));
  expect(asked).toHaveLength(1);
  expect(asked[0]).toMatch(/^involvedObject\.uid=.+,reason=FailedMount$/);
});

describe('children', () => {
  test('are made with labels, owner and hash; the status follows in the same reconcile', async () => {
    putThing('one', { maps: ['x', 'y'] });
    await start();
    await until(() => expect(statusOf('one')).toMatchObject({ maps: 2, observedGeneration: 1 }));
    expect(server.get(configMaps, 'a', 'x')?.metadata).toMatchObject({
      labels: { [labels.managedBy]: managedBy, [labels.kind]: 'Thing', [labels.name]: 'one' },
      annotations: { [annotations.desired]: expect.stringMatching(/^[0-9a-f]{16}$/) },
      ownerReferences: [
        { kind: 'Thing', name: 'one', uid: server.get(things, 'a', 'one')?.metadata.uid, controller: true },
      ],
    });
    expect(condition('one', 'Ready')).toMatchObject({ status: 'True', observedGeneration: 1 });
    await settled();
    expect(server.writes).toHaveLength(3);
  });

  test('that are as desired are not written again, also by a controller that starts anew', async () => {
    putThing('one', { maps: ['x', 'y'] });
    await start();
    await settled();
    const { writes } = server;
    await controller.stop();
    await watches.stop();
    await client.close();
    await start();
    await settled();
    expect(server.writes).toEqual(writes);
  });

  test('that drift are set right; what others added stays', async () => {
    putThing('one', { maps: ['x'], value: 'right' });
    await start();
    await settled();
    const live = server.get(configMaps, 'a', 'x') as KubeObject & { data: object };
    server.put(configMaps, { ...live, data: { value: 'wrong', extra: 'theirs' } });
    await until(() => expect(server.get(configMaps, 'a', 'x')).toMatchObject({ data: { value: 'right' } }));
  });

  test('not desired any more are deleted, those deleted by others come back', async () => {
    putThing('one', { maps: ['x', 'y'] });
    await start();
    await settled();
    putThing('one', { maps: ['y'] });
    await until(() => expect(server.get(configMaps, 'a', 'x')).toBeUndefined());
    server.remove(configMaps, 'a', 'y');
    await until(() => expect(server.get(configMaps, 'a', 'y')).toBeDefined());
    await until(() => expect(statusOf('one')).toMatchObject({ maps: 1, observedGeneration: 2 }));
  });

  test('of another revision are deleted and made anew', async () => {
    putThing('one', { maps: ['x'], revision: '1' });
    await start();
    await settled();
    const before = server.get(configMaps, 'a', 'x')?.metadata.uid;
    putThing('one', { maps: ['x'], revision: '2' });
    await until(() => expect(server.get(configMaps, 'a', 'x')?.metadata.annotations?.[annotations.revision]).toBe('2'));
    expect(server.get(configMaps, 'a', 'x')?.metadata.uid).not.toBe(before);
    await settled();
    expect(server.writes.filter((write) => write.startsWith('DELETE'))).toHaveLength(1);
  });

  test('whose labels were taken are found by name and labelled again', async () => {
    putThing('one', { maps: ['x'] });
    await start();
    await settled();
    const live = server.get(configMaps, 'a', 'x') as KubeObject;
    const { labels: _labels, ...metadata } = live.metadata;
    server.remove(configMaps, 'a', 'x');
    server.put(configMaps, { ...live, metadata });
    await until(() => expect(server.get(configMaps, 'a', 'x')?.metadata.labels?.[labels.name]).toBe('one'));
  });

  test('of a resource that is being deleted are left to the garbage collector', async () => {
    putThing('one', { maps: ['x'] });
    const stored = server.get(things, 'a', 'one') as KubeObject;
    server.put(things, { ...stored, metadata: { ...stored.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    await start();
    await settled();
    expect(server.writes).toEqual([]);
  });
});

describe('a foreign object with the name of a child', () => {
  test('is never adopted: Stalled says so, and it heals when the name is free', async () => {
    server.put(configMaps, { metadata: { namespace: 'a', name: 'x' }, data: { theirs: 'yes' } });
    putThing('one', { maps: ['x'] });
    await start();
    await until(() => expect(condition('one', 'Stalled')).toMatchObject({ status: 'True', reason: 'NameConflict' }));
    expect(condition('one', 'Ready')).toMatchObject({ status: 'False' });
    expect(server.get(configMaps, 'a', 'x')).toMatchObject({ data: { theirs: 'yes' } });
    expect(server.get(configMaps, 'a', 'x')?.metadata.ownerReferences).toBeUndefined();
    server.remove(configMaps, 'a', 'x');
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
    expect(condition('one', 'Stalled')).toBeUndefined();
  });

  test('is not adopted either when it bears our labels', async () => {
    const own = { [labels.managedBy]: managedBy, [labels.kind]: 'Thing', [labels.name]: 'one' };
    server.put(configMaps, { metadata: { namespace: 'a', name: 'x', labels: own } });
    putThing('one', { maps: ['x'] });
    await start();
    await until(() => expect(condition('one', 'Stalled')).toMatchObject({ reason: 'NameConflict' }));
  });

  test('that a deleted namesake left is made anew, once the server confirms whose time it is', async () => {
    const reference = { apiVersion: 'test.dev/v1', kind: 'Thing', name: 'one', uid: 'earlier', controller: true };
    const own = { [labels.managedBy]: managedBy, [labels.kind]: 'Thing', [labels.name]: 'one' };
    server.put(configMaps, { metadata: { namespace: 'a', name: 'x', labels: own, ownerReferences: [reference] } });
    putThing('one', { maps: ['x'] });
    await start();
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
    expect(condition('one', 'Stalled')).toBeUndefined();
    const made = server.get(configMaps, 'a', 'x')?.metadata.ownerReferences;
    expect(made?.[0]?.uid).toBe(server.get(things, 'a', 'one')?.metadata.uid);
  });

  test('that a deleted namesake left is deleted when it is surely the namesake’s: older than the resource', async () => {
    const reference = { apiVersion: 'test.dev/v1', kind: 'Thing', name: 'one', uid: 'earlier', controller: true };
    const own = { [labels.managedBy]: managedBy, [labels.kind]: 'Thing', [labels.name]: 'one' };
    const left = { namespace: 'a', name: 'x', labels: own, ownerReferences: [reference] };
    server.put(configMaps, { metadata: { ...left, creationTimestamp: '2026-01-01T12:00:00Z' } });
    const metadata = { namespace: 'a', name: 'one', creationTimestamp: '2026-01-01T12:00:01Z' };
    const successor = server.put(things, { metadata, spec: { maps: ['x'] } });
    await start();
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
    const made = server.get(configMaps, 'a', 'x')?.metadata.ownerReferences;
    expect(made?.[0]?.uid).toBe(successor.metadata.uid);
  });
});

describe('failures', () => {
  test('a TerminalError stalls, is not retried, and heals with the spec', async () => {
    putThing('one', { bad: true });
    await start();
    await until(() =>
      expect(condition('one', 'Stalled')).toMatchObject({
        status: 'True',
        reason: 'BadSpec',
        message: 'spec.bad must not be set',
      }),
    );
    await settled();
    const { length } = server.requests;
    expect(controller.queue.failuresOf('a/one')).toBe(0);
    putThing('one', { maps: ['x'] });
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True', observedGeneration: 2 }));
    expect(server.requests.length).toBeGreaterThan(length);
  });

  test('fields are taken over at once though somebody wrote since: our entry is looked for again', async () => {
    putThing('one', { maps: ['x'] });
    await start();
    await settled();
    const entry = (manager: string) => ({ manager, operation: 'Update' });
    const managed = (...managers: string[]) => {
      const live = server.get(configMaps, 'a', 'x') as KubeObject;
      server.put(configMaps, { ...live, metadata: { ...live.metadata, managedFields: managers.map(entry) } });
    };
    managed('quintet-create');
    await settled();
    const patched: string[] = [];
    server.intercept = (request, response) => {
      if (request.headers['content-type'] !== 'application/json-patch+json') return false;
      patched.push(request.path);
      if (patched.length === 1) {
        server.muted = true;
        managed('kubectl-edit', 'quintet-create');
        refuse(response, 422, 'Invalid', 'the server rejected our request due to an error in our request');
      } else answer(response, 200, server.get(configMaps, 'a', 'x') as KubeObject);
      return true;
    };
    putThing('one', { maps: ['x'], value: 'new' });
    await until(() => expect(server.get(configMaps, 'a', 'x')).toMatchObject({ data: { value: 'new' } }));
    server.muted = false;
    expect(patched).toHaveLength(2);
    expect(controller.queue.failuresOf('a/one')).toBe(0);
  });

  test('a child that the API server refuses is named in Reconciling, retried with growing waits, and heals', async () => {
    let refused = 0;
    server.intercept = (request, response) => {
      if (request.method !== 'POST' || !request.path.includes('configmaps')) return false;
      refused++;
      refuse(response, 403, 'Forbidden', 'configmaps "x" is forbidden: exceeded quota: team-a');
      return true;
    };
    putThing('one', { maps: ['x'] });
    await start();
    await until(() =>
      expect(condition('one', 'Reconciling')).toMatchObject({ status: 'True', reason: 'QuotaExceeded' }),
    );
    await until(() => expect(refused).toBeGreaterThanOrEqual(3));
    expect(controller.queue.failuresOf('a/one')).toBeGreaterThanOrEqual(2);
    server.intercept = undefined;
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
    expect(condition('one', 'Reconciling')).toBeUndefined();
    await until(() => expect(controller.queue.failuresOf('a/one')).toBe(0));
    // The condition was written once, not with every failure.
    expect(server.writes.filter((write) => write.endsWith('/status')).length).toBeLessThanOrEqual(3);
  });

  test('one that passes by itself is not worth a condition', async () => {
    let failures = 1;
    server.intercept = (request, response) => {
      if (request.method !== 'POST' || failures-- <= 0) return false;
      refuse(response, 500, 'InternalError');
      return true;
    };
    putThing('one', { maps: ['x'] });
    await start();
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
    expect(condition('one', 'Reconciling')).toBeUndefined();
  });

  test('a change that could not be applied is not reported as done, not even after one failure', async () => {
    putThing('one', { maps: ['x'], value: 'first' });
    await start();
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True', observedGeneration: 1 }));
    await settled();
    let isBroken = true;
    server.intercept = (request, response) => {
      if (!isBroken || request.method !== 'PATCH' || !request.path.includes('configmaps')) return false;
      refuse(response, 500, 'InternalError', 'etcd is away', { 'retry-after': '1' });
      return true;
    };
    putThing('one', { maps: ['x'], value: 'second' });
    await until(() => expect(condition('one', 'Reconciling')).toMatchObject({ status: 'True', reason: 'Progressing' }));
    expect(controller.queue.failuresOf('a/one')).toBeLessThan(3);
    expect(condition('one', 'Ready')).toMatchObject({ status: 'False', reason: 'Progressing', observedGeneration: 1 });
    expect(statusOf('one')).toMatchObject({ observedGeneration: 1 });
    isBroken = false;
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True', observedGeneration: 2 }));
    expect(condition('one', 'Reconciling')).toBeUndefined();
    expect(statusOf('one')).toMatchObject({ observedGeneration: 2 });
  });

  test('children of a generation that was applied still count while a correction of them fails', async () => {
    putThing('one', { maps: ['x', 'y'] });
    await start();
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
    await settled();
    server.intercept = (request, response) => {
      if (request.method !== 'PATCH' || !request.path.includes('configmaps')) return false;
      refuse(response, 403, 'Forbidden', 'not now');
      return true;
    };
    const live = server.get(configMaps, 'a', 'x') as KubeObject;
    server.put(configMaps, { ...live, data: { value: 'theirs' } });
    await until(() => expect(condition('one', 'Reconciling')).toMatchObject({ status: 'True', reason: 'Forbidden' }));
    expect(condition('one', 'Ready')).toMatchObject({ status: 'True', observedGeneration: 1 });
  });

  test('a kind that throws anything is retried and does not disturb others', async () => {
    let thrown = 0;
    await start({
      desired: (resource, observed) => {
        if (resource.metadata.name === 'broken') {
          thrown++;
          throw new TypeError('undefined is not a function');
        }
        return kind.desired(resource, observed);
      },
    });
    putThing('broken', {});
    putThing('fine', { maps: ['x'] });
    await until(() => expect(condition('fine', 'Ready')).toMatchObject({ status: 'True' }));
    await until(() => expect(thrown).toBeGreaterThan(2));
    expect(condition('broken', 'Reconciling')).toMatchObject({
      reason: 'ReconcileFailed',
      message: 'undefined is not a function',
    });
  });

  test('a spec that cannot be read stalls, is not retried, and keeps the rest of the status', async () => {
    const parse = (stored: KubeObject): Thing => {
      if ((stored as Thing).spec.bad) throw new RangeError('spec.bad: is not known');
      return stored as Thing;
    };
    putThing('one', { maps: ['x'] });
    await start({ parse });
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
    await settled();
    putThing('one', { maps: ['x'], bad: true });
    await until(() =>
      expect(condition('one', 'Stalled')).toMatchObject({ reason: 'InvalidSpec', message: 'spec.bad: is not known' }),
    );
    await settled();
    expect(statusOf('one')).toMatchObject({ maps: 1, pods: 0, phase: 'Failed', observedGeneration: 2 });
    expect(controller.queue.failuresOf('a/one')).toBe(0);
    putThing('one', { maps: ['x'] });
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True', observedGeneration: 3 }));
    expect(condition('one', 'Stalled')).toBeUndefined();
  });

  test('a status that the kind cannot work out is named, what was stored stays', async () => {
    let isBroken = false;
    await start({
      status: (resource, observed) => {
        if (isBroken) throw new TypeError('undefined has no pods');
        return kind.status(resource, observed);
      },
    });
    putThing('one', { maps: ['x'] });
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
    await settled();
    isBroken = true;
    putThing('one', { maps: ['x', 'y'] });
    await until(() =>
      expect(condition('one', 'Reconciling')).toMatchObject({
        status: 'True',
        reason: 'ReconcileFailed',
        message: 'undefined has no pods',
      }),
    );
    expect(condition('one', 'Ready')).toMatchObject({ status: 'False' });
    expect(statusOf('one')).toMatchObject({ maps: 1, observedGeneration: 1 });
    isBroken = false;
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True', observedGeneration: 2 }));
    expect(condition('one', 'Reconciling')).toBeUndefined();
  });

  test('a status for a resource that is gone or was replaced is no failure', async () => {
    server.intercept = (request, response) => {
      if (!request.path.endsWith('/status')) return false;
      refuse(response, 404, 'NotFound');
      return true;
    };
    putThing('one', { maps: ['x'] });
    await start();
    await until(() => expect(server.writes.some((write) => write.endsWith('/status'))).toBe(true));
    await settled();
    expect(controller.queue.failuresOf('a/one')).toBe(0);
  });
});

test('what a namesake left unlabelled is waited for too, though no watch sees it go', async () => {
  const reference = { apiVersion: 'test.dev/v1', kind: 'Thing', name: 'one', uid: 'earlier', controller: true };
  server.put(configMaps, { metadata: { namespace: 'a', name: 'x', ownerReferences: [reference] } });
  putThing('one', { maps: ['x'] });
  await start();
  const looks = () => server.requests.filter(({ path }) => path.endsWith('/configmaps/x')).length;
  // At first, and once more after the write of the status; from then on only what is asked for anew.
  await until(() => expect(looks()).toBe(2));
  server.remove(configMaps, 'a', 'x');
  await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
});

test('a spec mended while the status is written is carried out, though our own write hides its event', async () => {
  let isMended = false;
  server.intercept = (request) => {
    if (isMended || !request.path.endsWith('/status')) return false;
    isMended = true;
    // No watch tells: the answer to the write of the status is all there is.
    server.muted = true;
    putThing('one', { maps: ['x'] });
    return false;
  };
  putThing('one', { bad: true });
  await start();
  await until(() => expect(server.get(configMaps, 'a', 'x')).toBeDefined());
  server.muted = false;
});

test('the kind has a last word to the pods of a resource that is gone', async () => {
  const told: number[] = [];
  const polite = { ...kind, gone: (observed: Observed) => void told.push(observed.list(pods).length) };
  client = new Client(server.connection, { timeoutMs: 2000 });
  watches = new Watches({ client, backoff: [5, 50] });
  controller = new Controller(polite, { client, watches });
  putThing('one', { maps: [] });
  const own = { [labels.managedBy]: managedBy, [labels.kind]: 'Thing', [labels.name]: 'one' };
  server.put(pods, { metadata: { namespace: 'a', name: 'p', labels: own } });
  watches.start();
  await watches.synced();
  controller.start();
  await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
  expect(told).toEqual([]);
  // Foreground deletion: the resource waits for its children.
  const stored = server.get(things, 'a', 'one') as KubeObject;
  server.put(things, { ...stored, metadata: { ...stored.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
  await until(() => expect(told).toEqual([1]));
  server.remove(things, 'a', 'one');
  await until(() => expect(told).toEqual([1, 1]));
});

test('a standby queues nothing; all that is there is queued at the start', async () => {
  client = new Client(server.connection, { timeoutMs: 2000 });
  watches = new Watches({ client, backoff: [5, 50] });
  controller = new Controller(kind, { client, watches });
  putThing('one', { maps: ['x'] });
  putThing('gone', {});
  watches.start();
  await watches.synced();
  server.remove(things, 'a', 'gone');
  await until(() => expect([...watches.all(things).store.values()]).toHaveLength(1));
  expect(controller.queue.isIdle).toBe(true);
  controller.start();
  await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
});

test('Events tell of trouble and of its end, not that all is well from the start', async () => {
  const notes: EventNote[] = [];
  await start({}, { record: (_resource: KubeObject, note: EventNote) => notes.push(note) } as unknown as Recorder);
  putThing('one', { maps: ['x'] });
  await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
  expect(notes).toEqual([]);
  putThing('one', { bad: true });
  await until(() => expect(notes).toContainEqual(expect.objectContaining({ type: 'Warning', reason: 'BadSpec' })));
  notes.length = 0;
  putThing('one', { maps: ['x'] });
  await until(() => expect(notes).toEqual([{ type: 'Normal', reason: 'Complete', message: 'Ready is True' }]));
});

test('messages from elsewhere are cut, in the conditions and in the status alike', async () => {
  const message = 'because '.repeat(1000);
  const decision = {
    conditions: [{ type: 'Ready', status: 'False', reason: 'Long', message } as const],
    fields: { message },
  };
  await start({ status: () => decision });
  putThing('one', {});
  await until(() => expect(condition('one', 'Ready')).toMatchObject({ reason: 'Long' }));
  const cut = `${message.slice(0, 999)}…`;
  expect(condition('one', 'Ready')).toMatchObject({ message: cut });
  expect(statusOf('one')).toMatchObject({ message: cut });
});

test('pods found by label count, also for a name too long for a label', async () => {
  const long = `thing-${'x'.repeat(100)}`;
  await start();
  putThing(long, { maps: ['x'] });
  await until(() => expect(statusOf(long)).toMatchObject({ pods: 0 }));
  const own = server.get(configMaps, 'a', 'x')?.metadata.labels ?? {};
  expect(own[labels.name]?.length).toBe(63);
  server.put(pods, { metadata: { namespace: 'a', name: 'pod', labels: own } });
  await until(() => expect(statusOf(long)).toMatchObject({ pods: 1 }));
});

test('a fight over a child is slowed down, not fought at full speed', async () => {
  putThing('one', { maps: ['x'], value: 'ours' });
  await start();
  await settled();
  let rounds = 0;
  const before = server.writes.length;
  const opponent = setInterval(() => {
    const live = server.get(configMaps, 'a', 'x') as (KubeObject & { data: { value: string } }) | undefined;
    if (live?.data.value !== 'ours') return;
    rounds++;
    server.put(configMaps, { ...live, data: { value: `theirs ${rounds}` } });
  }, 1);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  clearInterval(opponent);
  expect(rounds).toBeGreaterThan(5);
  expect(server.writes.length - before).toBeLessThan(25);
  await until(() => expect(server.get(configMaps, 'a', 'x')).toMatchObject({ data: { value: 'ours' } }));
});

test('a kind whose status never rests makes no hot loop', async () => {
  let turn = 0;
  await start({ status: () => ({ conditions: [], fields: { turn: turn++ } }) });
  putThing('one', {});
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(turn).toBeLessThan(8);
});
