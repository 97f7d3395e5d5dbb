import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Client } from '../kube/client.ts';
import { refuse, TestServer } from '../kube/testserver.ts';
import type { KubeObject } from '../kube/types.ts';
import { eventType, Recorder, type RecorderOptions } from './events.ts';

interface StoredEvent extends KubeObject {
  reason: string;
  note: string;
  series?: { count: number };
  regarding: { name: string };
}

let server: TestServer;
let client: Client;
const recorders: Recorder[] = [];
beforeEach(async () => {
  server = await TestServer.start();
  client = new Client(server.connection);
});
afterEach(async () => {
  await Promise.all(recorders.splice(0).map((each) => each.stop()));
  await client.close();
  await server.stop();
});

function recorder(options: Partial<RecorderOptions> = {}): Recorder {
  const made = new Recorder({ client, instance: 'test', rate: 1000, burst: 1000, ...options });
  recorders.push(made);
  return made;
}

function resource(name: string): KubeObject {
  return { apiVersion: 'test.dev/v1', kind: 'Thing', metadata: { name, namespace: 'a', uid: `uid-${name}` } };
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 15_000, interval: 5 });

function events(): StoredEvent[] {
  return server.all(eventType) as StoredEvent[];
}

test('an event names its resource, reason and note', async () => {
  recorder().record(resource('one'), { type: 'Warning', reason: 'NameConflict', message: 'rename it' });
  await until(() => expect(events()).toHaveLength(1));
  expect(events()[0]).toMatchObject({
    type: 'Warning',
    reason: 'NameConflict',
    note: 'rename it',
    action: 'Reconcile',
    reportingInstance: 'test',
    eventTime: expect.stringMatching(/\.\d{6}Z$/),
    regarding: { kind: 'Thing', namespace: 'a', name: 'one', uid: 'uid-one' },
  });
});

test('the same event again is counted in a series, not written anew', async () => {
  const notes = recorder();
  const note = { type: 'Normal', reason: 'Ready', message: 'fine' } as const;
  notes.record(resource('one'), note);
  await until(() => expect(events()).toHaveLength(1));
  for (let i = 0; i < 9; i++) notes.record(resource('one'), note);
  await until(() => expect(events()[0]?.series?.count).toBe(10));
  expect(events()).toHaveLength(1);
  expect(server.writes.length).toBeLessThan(6);
});

test('one resource that changes its mind all the time cannot flood the server', async () => {
  let dropped = 0;
  const notes = recorder({ onDropped: () => dropped++ });
  for (let i = 0; i < 100; i++)
    notes.record(resource('noisy'), { type: 'Normal', reason: 'Flap', message: `turn ${i}` });
  notes.record(resource('calm'), { type: 'Normal', reason: 'Ready', message: 'fine' });
  await until(() => expect(events().map(({ regarding }) => regarding.name)).toContain('calm'));
  expect(events()).toHaveLength(26);
  expect(dropped).toBe(75);
});

test('all resources together write no faster than the rate', async () => {
  let now = 0;
  const notes = recorder({ rate: 10, burst: 5, now: () => new Date(now) });
  for (let i = 0; i < 30; i++) notes.record(resource(`r${i}`), { type: 'Normal', reason: 'Ready', message: 'fine' });
  await until(() => expect(events()).toHaveLength(5));
  now = 1000;
  await until(() => expect(events()).toHaveLength(10));
});

test('a server that refuses events disturbs nobody', async () => {
  let dropped = 0;
  server.intercept = (_request, response) => {
    refuse(response, 403, 'Forbidden');
    return true;
  };
  recorder({ onDropped: () => dropped++ }).record(resource('one'), {
    type: 'Normal',
    reason: 'Ready',
    message: 'fine',
  });
  await until(() => expect(dropped).toBe(1));
});
