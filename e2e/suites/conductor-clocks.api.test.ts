// Two replicas whose clocks are hours apart: neither what they decide nor what they write depends on which of them leads.
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Client } from '../../controller/src/kube/client.ts';
import { Elector } from '../../controller/src/kube/lease.ts';
import { type Job, types } from '../../controller/src/objects/types.ts';
import { eventType } from '../../controller/src/reconcile/events.ts';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { directClient } from '../faults/things.ts';
import {
  Conductor,
  compressionService,
  hasCondition,
  installDefinitions,
  type Resource,
  typeOf,
  until,
} from './conductor.ts';

const namespace = 'default';
const hour = 3_600_000;
const nearMs = 10_000;

let api: ApiCluster;
let direct: Client;
beforeAll(async () => {
  api = await startApi();
  await installDefinitions(api);
  direct = await directClient(api.kubeconfig);
});
afterAll(async () => {
  await direct?.close();
  await api?.stop();
});

interface Replica {
  conductor: Conductor;
  elector: Elector;
  onClockSkew: ReturnType<typeof vi.fn>;
}

async function replica(identity: string, aheadMs: number): Promise<Replica> {
  const onClockSkew = vi.fn<(aheadMs: number) => void>();
  const wallClock = () => Date.now() + aheadMs;
  const elector: Elector = new Elector({
    client: direct,
    namespace,
    name: 'clocks',
    identity,
    // It is handed over, and lost by none, however slow the machine is.
    leaseDurationMs: 40_000,
    renewDeadlineMs: 30_000,
    retryPeriodMs: 300,
    onLost: () => undefined,
    wallClock: () => new Date(wallClock()),
  });
  const conductor = await Conductor.open(api, { wallClock, onClockSkew, mayWrite: () => elector.leads });
  return { conductor, elector, onClockSkew };
}

const run: Resource = {
  apiVersion: 'quintet.dev/v1alpha1',
  kind: 'FieldJob',
  metadata: { namespace, name: 'timed' },
  spec: {
    array: { type: 'Grid', grid: {} },
    targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'] }],
    volume: { center: ['0mm', '0mm', '60mm'], size: ['50mm', '50mm', '50mm'] },
    output: { persistentVolumeClaim: { claimName: 'fields' } },
    activeDeadline: '10m',
  },
};

test('deadlines and times are those of the API server, whoever leads', async () => {
  const fast = await replica('fast', hour);
  const slow = await replica('slow', -hour);
  expect(await fast.elector.acquire()).toBe(true);
  fast.conductor.start();
  await direct.apply(typeOf('FieldJob'), { ...run });
  const job = { namespace, name: 'timed-field-plan' };
  await until(async () => expect((await direct.get<Job>(types.job, job)).metadata.name).toBe(job.name));
  // As the Job controller would write it: by the fast clock, the ten minutes are over already.
  const startTime = `${new Date().toISOString().slice(0, 19)}Z`;
  await direct.patch(types.job, job, { status: { startTime, active: 1, ready: 1 } }, { subresource: 'status' });
  await hasCondition(direct, run, { type: 'Reconciling', status: 'True' });
  await until(async () => {
    const { status } = await direct.get<Resource>(typeOf('FieldJob'), run.metadata);
    expect(status?.startTime).toBe(startTime);
  });
  await isNotOverdue();
  expect(fast.onClockSkew).toHaveBeenCalledOnce();
  expect(Math.abs((fast.onClockSkew.mock.calls[0]?.[0] as number) - hour)).toBeLessThan(nearMs);

  // The slow one takes over: its clock is two hours behind the one that wrote last.
  const follows = slow.elector.acquire();
  await fast.conductor.stop();
  await fast.elector.release();
  expect(await follows).toBe(true);
  slow.conductor.start();
  const late = compressionService(namespace, 'late', { pod: { labels: { bad: '-' } } });
  await direct.apply(typeOf(late.kind), { ...late });
  await hasCondition(direct, late, { type: 'Stalled', status: 'True', reason: 'InvalidSpec' });
  await isNotOverdue();
  await timesAreNear(late);
  await timesAreNear(run);
  await until(async () => {
    const { items } = await direct.list<Resource & { eventTime: string }>(eventType, { namespace });
    expect(items.length).toBeGreaterThan(0);
    for (const { eventTime } of items) expect(Math.abs(Date.parse(eventTime) - Date.now())).toBeLessThan(60_000);
  });
  await slow.conductor.stop();
  await slow.elector.release();
});

async function isNotOverdue(): Promise<void> {
  const { status } = await direct.get<Resource>(typeOf('FieldJob'), run.metadata);
  expect(JSON.stringify(status)).not.toContain('DeadlineExceeded');
}

async function timesAreNear({ kind, metadata }: Resource): Promise<void> {
  const { status } = await direct.get<Resource>(typeOf(kind), metadata);
  expect(status?.conditions?.length).toBeGreaterThan(0);
  for (const { lastTransitionTime } of status?.conditions ?? []) {
    expect(Math.abs(Date.parse(lastTransitionTime) - Date.now())).toBeLessThan(60_000);
  }
}
