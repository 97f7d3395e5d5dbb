// When the loop reconciles, and when it does not.
import { expect, test } from 'vitest';
import { answer } from '../kube/testserver.ts';
import type { KubeObject } from '../kube/types.ts';
import type { EventNote, Recorder } from './events.ts';
import { labels } from './kind.ts';
import {
  condition,
  configMaps,
  controller,
  known,
  labelsOf,
  mayWrite,
  pods,
  putThing,
  receipts,
  server,
  settled,
  standBy,
  start,
  statusOf,
  things,
  until,
  useServer,
} from './testing.ts';

useServer();

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
      labels: labelsOf('one'),
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
  putThing('one', { maps: [] });
  server.put(pods, { metadata: { namespace: 'a', name: 'p', labels: labelsOf('one') } });
  await start({ gone: (observed) => void told.push(observed.list(pods).length) });
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
  putThing('one', { maps: ['x'] });
  putThing('gone', {});
  await standBy();
  server.remove(things, 'a', 'gone');
  await until(() => expect(known()).toHaveLength(1));
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
  await until(() => expect(rounds).toBeGreaterThan(5));
  clearInterval(opponent);
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
