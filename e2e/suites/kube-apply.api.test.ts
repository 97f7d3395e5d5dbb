// The loop against a real API server: what it writes, what it does not, and what it refuses to touch.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { pause } from '../../controller/src/kube/backoff.ts';
import { Client } from '../../controller/src/kube/client.ts';
import { fromKubeconfig } from '../../controller/src/kube/config.ts';
import type { KubeObject, ResourceType } from '../../controller/src/kube/types.ts';
import { eventType, Recorder } from '../../controller/src/reconcile/events.ts';
import { annotations } from '../../controller/src/reconcile/kind.ts';
import { Controller } from '../../controller/src/reconcile/loop.ts';
import { Watches } from '../../controller/src/reconcile/watches.ts';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { auditEvents, isWrite } from '../cluster/audit.ts';
import {
  type ConfigMap,
  configMaps,
  directClient,
  installThings,
  type Thing,
  thing,
  thingKind,
  things,
} from '../faults/things.ts';

const agent = 'quintet-under-test';
const quotas: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
};

let api: ApiCluster;
let direct: Client;
beforeAll(async () => {
  api = await startApi();
  direct = await directClient(api.kubeconfig);
  await installThings(direct, 'apply');
});
afterAll(async () => {
  await direct?.close();
  await api?.stop();
});

let client: Client;
let watches: Watches;
let recorder: Recorder;
let controller: Controller<Thing>;
async function start(): Promise<void> {
  client = new Client(await fromKubeconfig([api.kubeconfig]), { userAgent: agent });
  watches = new Watches({ client });
  recorder = new Recorder({ client, instance: 'test' });
  controller = new Controller(thingKind, { client, watches, recorder, conflictRetryMs: 500 });
  watches.start();
  await watches.synced();
  controller.start();
}
async function stop(): Promise<void> {
  await controller.stop();
  await recorder.stop();
  await watches.stop();
  await client.close();
}
beforeEach(start);
afterEach(async () => {
  await stop();
  const { items } = await direct.list<Thing>(things, { namespace: 'apply' });
  for (const { metadata } of items) await direct.delete(things, metadata);
  const maps = await direct.list<ConfigMap>(configMaps, { namespace: 'apply' });
  for (const { metadata } of maps.items) await direct.delete(configMaps, metadata);
});

async function get(name: string): Promise<Thing> {
  return await direct.get<Thing>(things, { namespace: 'apply', name });
}

async function map(name: string): Promise<ConfigMap> {
  return await direct.get<ConfigMap>(configMaps, { namespace: 'apply', name });
}

async function until(check: () => Promise<void>): Promise<void> {
  await vi.waitFor(check, { timeout: 20_000, interval: 50 });
}

async function hasCondition(name: string, want: object): Promise<void> {
  await until(async () => expect((await get(name)).status?.conditions).toContainEqual(expect.objectContaining(want)));
}

async function idle(): Promise<void> {
  await until(async () => expect(controller.queue.isIdle).toBe(true));
}

/** Requests of the controller since then, as the API server's audit log has them; the log is written a moment later. */
async function writesSince(since: Date): Promise<string[]> {
  await pause(500);
  return auditEvents(api.auditLogPath, since)
    .filter((event) => event.userAgent === agent && isWrite(event) && event.objectRef?.resource !== 'events')
    .map(
      ({ verb, objectRef }) =>
        `${verb} ${objectRef?.resource}${objectRef?.subresource ? `/${objectRef.subresource}` : ''} ${objectRef?.name}`,
    );
}

test('a resource costs one write per child and one for its status; at rest nothing is written, also after a restart', async () => {
  const since = new Date();
  for (let i = 0; i < 20; i++) await direct.apply(things, { ...thing('apply', `t${i}`, { maps: 3 }) });
  for (let i = 0; i < 20; i++) await hasCondition(`t${i}`, { type: 'Ready', status: 'True', observedGeneration: 1 });
  await idle();
  expect(await writesSince(since)).toHaveLength(20 * 4);
  const settled = new Date();
  await stop();
  await start();
  await idle();
  await pause(2_000);
  expect(await writesSince(settled)).toEqual([]);
});

test('what somebody changes or removes is set right; what they add stays', async () => {
  await direct.apply(things, { ...thing('apply', 'drift', { maps: 1, value: 'ours' }) });
  await hasCondition('drift', { type: 'Ready', status: 'True' });
  await direct.patch(configMaps, { namespace: 'apply', name: 'drift-0' }, { data: { value: 'theirs', extra: 'kept' } });
  await until(async () => expect((await map('drift-0')).data).toEqual({ value: 'ours', extra: 'kept' }));
  await direct.patch(configMaps, { namespace: 'apply', name: 'drift-0' }, { metadata: { labels: null } });
  await until(async () => expect((await map('drift-0')).metadata.labels).toBeDefined());
  await direct.delete(configMaps, { namespace: 'apply', name: 'drift-0' });
  await until(async () => expect((await map('drift-0')).data).toEqual({ value: 'ours' }));
});

test('fields dropped from the desired document are dropped on the server', async () => {
  await direct.apply(things, { ...thing('apply', 'drops', { ballast: 10 }) });
  await until(async () => expect((await map('drops-0')).data.ballast).toBe('x'.repeat(10)));
  await direct.apply(things, { ...thing('apply', 'drops') });
  await until(async () => expect((await map('drops-0')).data).toEqual({ value: 'first' }));
});

test('an object of that name which is not ours is never adopted, and the resource heals once it is gone', async () => {
  await direct.create(configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'apply', name: 'taken-0' },
    data: { value: 'theirs' },
  });
  await direct.apply(things, { ...thing('apply', 'taken') });
  await hasCondition('taken', { type: 'Stalled', status: 'True', reason: 'NameConflict' });
  const foreign = await map('taken-0');
  expect(foreign.data).toEqual({ value: 'theirs' });
  expect(foreign.metadata.ownerReferences).toBeUndefined();
  await until(async () => {
    const { items } = await direct.list<KubeObject & { reason: string }>(eventType, { namespace: 'apply' });
    expect(items.map(({ reason }) => reason)).toContain('NameConflict');
  });
  await direct.delete(configMaps, { namespace: 'apply', name: 'taken-0' });
  await hasCondition('taken', { type: 'Ready', status: 'True' });
  expect((await get('taken')).status?.conditions?.some(({ type }) => type === 'Stalled')).toBe(false);
});

test('another revision replaces the child; the same revision never does', async () => {
  await direct.apply(things, { ...thing('apply', 'job', { revision: 'a' }) });
  await hasCondition('job', { type: 'Ready', status: 'True' });
  const { uid } = (await map('job-0')).metadata;
  await direct.apply(things, { ...thing('apply', 'job', { revision: 'a', value: 'second' }) });
  await until(async () => expect((await map('job-0')).data.value).toBe('second'));
  expect((await map('job-0')).metadata.uid).toBe(uid);
  await direct.apply(things, { ...thing('apply', 'job', { revision: 'b', value: 'third' }) });
  await until(async () => expect((await map('job-0')).metadata.annotations?.[annotations.revision]).toBe('b'));
  expect((await map('job-0')).metadata.uid).not.toBe(uid);
  await hasCondition('job', { type: 'Ready', status: 'True', observedGeneration: 3 });
});

test('a bad spec stalls with its reason and costs one write; a good one heals it', async () => {
  const since = new Date();
  await direct.apply(things, { ...thing('apply', 'bad', { bad: 'set spec.bad to nothing' }) });
  await hasCondition('bad', {
    type: 'Stalled',
    status: 'True',
    reason: 'BadSpec',
    message: 'set spec.bad to nothing',
    observedGeneration: 1,
  });
  await pause(1_000);
  expect(await writesSince(since)).toEqual(['patch things/status bad']);
  await direct.apply(things, { ...thing('apply', 'bad') });
  await hasCondition('bad', { type: 'Ready', status: 'True', observedGeneration: 2 });
});

test('a child refused by quota is named, and made when there is room', async () => {
  await direct.apply(quotas, {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { namespace: 'apply', name: 'none' },
    spec: { hard: { 'count/configmaps': '0' } },
  });
  // No controller computes the usage here; the quota's own status makes it count.
  await direct.patch(
    quotas,
    { namespace: 'apply', name: 'none' },
    { status: { hard: { 'count/configmaps': '0' }, used: { 'count/configmaps': '0' } } },
    { subresource: 'status' },
  );
  await until(async () => {
    const probe = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'apply', name: 'probe' } };
    await expect(direct.create(configMaps, probe)).rejects.toThrow('exceeded quota');
  });
  await direct.apply(things, { ...thing('apply', 'poor') });
  await hasCondition('poor', {
    type: 'Reconciling',
    status: 'True',
    reason: 'QuotaExceeded',
    message: expect.stringContaining('count/configmaps'),
  });
  await direct.delete(quotas, { namespace: 'apply', name: 'none' });
  await hasCondition('poor', { type: 'Ready', status: 'True' });
  expect((await get('poor')).status?.conditions?.some(({ type }) => type === 'Reconciling')).toBe(false);
});

test('the time of a condition moves with its status alone', async () => {
  await direct.apply(things, { ...thing('apply', 'calm', { maps: 1 }) });
  await hasCondition('calm', { type: 'Ready', status: 'True', observedGeneration: 1 });
  const time = (await get('calm')).status?.conditions?.[0]?.lastTransitionTime;
  await pause(1_100);
  await direct.apply(things, { ...thing('apply', 'calm', { maps: 1, value: 'second' }) });
  await hasCondition('calm', { type: 'Ready', status: 'True', observedGeneration: 2 });
  expect((await get('calm')).status?.conditions?.[0]?.lastTransitionTime).toBe(time);
});
