// What fails in a reconcile: what is told of it, whether it is tried again, and how it heals.
import { describe, expect, test } from 'vitest';
import { refuse } from '../kube/testserver.ts';
import type { KubeObject } from '../kube/types.ts';
import {
  condition,
  configMaps,
  controller,
  kind,
  putThing,
  server,
  settled,
  start,
  statusOf,
  type Thing,
  until,
  useServer,
} from './testing.ts';

useServer();

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
