// How children are made, set right and taken away, and what the loop makes of names that are taken.
import { describe, expect, test } from 'vitest';
import { answer, refuse } from '../kube/testserver.ts';
import type { KubeObject } from '../kube/types.ts';
import { annotations, labels } from './kind.ts';
import {
  condition,
  configMaps,
  controller,
  labelsOf,
  putThing,
  server,
  settled,
  start,
  statusOf,
  stop,
  things,
  until,
  useServer,
} from './testing.ts';

useServer();

/** To a namesake that is gone. */
const toNamesake = { apiVersion: 'test.dev/v1', kind: 'Thing', name: 'one', uid: 'earlier', controller: true };

describe('children', () => {
  test('are made with labels, owner and hash; the status follows in the same reconcile', async () => {
    putThing('one', { maps: ['x', 'y'] });
    await start();
    await until(() => expect(statusOf('one')).toMatchObject({ maps: 2, observedGeneration: 1 }));
    expect(server.get(configMaps, 'a', 'x')?.metadata).toMatchObject({
      labels: labelsOf('one'),
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
    await stop();
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

  test('that are left stay as they are, and are not made anew', async () => {
    putThing('one', { maps: ['x', 'y'], value: 'first' });
    await start();
    await settled();
    putThing('one', { maps: ['y'], left: ['x'], value: 'second' });
    await until(() => expect(server.get(configMaps, 'a', 'y')).toMatchObject({ data: { value: 'second' } }));
    await settled();
    expect(server.get(configMaps, 'a', 'x')).toMatchObject({ data: { value: 'first' } });
    server.remove(configMaps, 'a', 'x');
    await settled();
    expect(server.get(configMaps, 'a', 'x')).toBeUndefined();
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
    server.put(configMaps, { metadata: { namespace: 'a', name: 'x', labels: labelsOf('one') } });
    putThing('one', { maps: ['x'] });
    await start();
    await until(() => expect(condition('one', 'Stalled')).toMatchObject({ reason: 'NameConflict' }));
  });

  test('that a deleted namesake left is made anew, once the server confirms whose time it is', async () => {
    server.put(configMaps, {
      metadata: { namespace: 'a', name: 'x', labels: labelsOf('one'), ownerReferences: [toNamesake] },
    });
    putThing('one', { maps: ['x'] });
    await start();
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
    expect(condition('one', 'Stalled')).toBeUndefined();
    const made = server.get(configMaps, 'a', 'x')?.metadata.ownerReferences;
    expect(made?.[0]?.uid).toBe(server.get(things, 'a', 'one')?.metadata.uid);
  });

  test('that a deleted namesake left is deleted when it is surely the namesake’s: older than the resource', async () => {
    const left = { namespace: 'a', name: 'x', labels: labelsOf('one'), ownerReferences: [toNamesake] };
    server.put(configMaps, { metadata: { ...left, creationTimestamp: '2026-01-01T12:00:00Z' } });
    const metadata = { namespace: 'a', name: 'one', creationTimestamp: '2026-01-01T12:00:01Z' };
    const successor = server.put(things, { metadata, spec: { maps: ['x'] } });
    await start();
    await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
    const made = server.get(configMaps, 'a', 'x')?.metadata.ownerReferences;
    expect(made?.[0]?.uid).toBe(successor.metadata.uid);
  });
});

test('what a namesake left unlabelled is waited for too, though no watch sees it go', async () => {
  server.put(configMaps, { metadata: { namespace: 'a', name: 'x', ownerReferences: [toNamesake] } });
  putThing('one', { maps: ['x'] });
  await start();
  const looks = () => server.requests.filter(({ path }) => path.endsWith('/configmaps/x')).length;
  // At first, and once more after the write of the status; from then on only what is asked for anew.
  await until(() => expect(looks()).toBe(2));
  server.remove(configMaps, 'a', 'x');
  await until(() => expect(condition('one', 'Ready')).toMatchObject({ status: 'True' }));
});
