import { compressionService, parseStored } from '@quintet/crds';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { Served } from '../kinds/serving/engines.ts';
import { servingKind } from '../kinds/serving/index.ts';
import { together } from '../kinds/serving/scaling.ts';
import { observed } from '../kinds/testing.ts';
import type { Pod } from '../objects/types.ts';
import { Bill, noPrices } from './bill.ts';
import { createScalingMetrics } from './metrics.ts';

const resource = (spec: object = {}, status: object = {}) =>
  parseStored(compressionService, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'CompressionService',
    metadata: { name: 'notes', namespace: 'team', uid: 'u1', generation: 1 },
    spec: { autoscaling: { maxReplicas: 4 }, resources: { requests: { cpu: '500m' } }, ...spec },
    status,
  }) as Served;
const pod = (phase: string, backend = 'cpu', startedAt?: number): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', labels: { 'quintet.dev/backend': backend } },
  status: {
    phase,
    ...(startedAt !== undefined && {
      containerStatuses: [
        { name: 'engine', restartCount: 0, state: { running: { startedAt: new Date(startedAt).toISOString() } } },
      ],
    }),
  },
});
const hour = 3_600_000;

describe('the bill of a service', () => {
  it('counts what running pods were promised, and prices it', async () => {
    const registry = new Registry();
    const bill = new Bill({ cpuHour: 0.04, gpuHour: 2 }, undefined, 0);
    const spec = { gpu: { policy: 'Preferred', count: 2 } };
    const pods = [pod('Running'), pod('Running', 'gpu'), pod('Pending', 'gpu')];
    expect(bill.add(resource(spec), pods, 3600, hour, createScalingMetrics(registry))).toBe(true);
    expect(bill.told?.cpuHours).toBeCloseTo(1);
    expect(bill.told?.gpuHours).toBeCloseTo(2);
    expect(bill.told?.cost).toBeCloseTo(4.04);
    expect(await registry.metrics()).toMatch(/quintet_autoscaling_cost_total\{.*name="notes"\} 4\.04/);
  });

  it('of what rests stays the same, so that no status is written for it', () => {
    const bill = new Bill(noPrices, undefined, 0);
    expect(bill.add(resource(), [], 2, hour)).toBe(true);
    const told = bill.told;
    bill.add(resource(), [], 2, 2 * hour);
    expect(bill.told).toBe(told);
    bill.add(resource(), [pod('Running')], 2, 3 * hour);
    expect(bill.told?.countedUntil).toEqual(new Date(3 * hour));
  });

  it('is shared by tenants as they use units, and is nobody’s while none does', async () => {
    const registry = new Registry();
    const metrics = createScalingMetrics(registry);
    const bill = new Bill({ cpuHour: 0.08, gpuHour: 0 }, undefined, 0);
    const pods = [pod('Running')];
    bill.add(
      resource(),
      pods,
      3600,
      1,
      metrics,
      new Map([
        ['news', 3],
        ['sport', 1],
      ]),
    );
    bill.add(resource(), pods, 1800, 2, metrics);
    const page = await registry.metrics();
    const of = (tenant: string) =>
      Number(new RegExp(`^quintet_autoscaling_tenant_cost_total\\{.*tenant="${tenant}"\\} (.*)$`, 'm').exec(page)?.[1]);
    expect([of('news'), of('sport'), of('')]).toEqual([0.03, 0.01, 0.02].map((cost) => expect.closeTo(cost, 9)));
  });

  it('has no more than 500 tenants over its life, and leaves none behind', async () => {
    const metrics = createScalingMetrics(new Registry());
    const bill = new Bill({ cpuHour: 1, gpuHour: 0 }, undefined, 0);
    for (let i = 0; i < 3; i++) {
      const units = new Map(Array.from({ length: 400 }, (_, j) => [`t${i}-${j}`, 1]));
      bill.add(resource(), [pod('Running')], 3600, 1, metrics, units);
    }
    const { values } = await metrics.tenantCost.get();
    expect(values).toHaveLength(501);
    expect(values.find(({ labels }) => labels.tenant === 'other')?.value).toBeCloseTo(0.5 * (700 / 400), 9);
    metrics.forget({ kind: 'CompressionService', namespace: 'team', name: 'notes' });
    for (const each of [metrics.tenantCost, metrics.cost, metrics.podSeconds, metrics.cpuSeconds])
      expect((await each.get()).values).toEqual([]);
  });

  it('is nobody’s where units are told that cannot be', async () => {
    const metrics = createScalingMetrics(new Registry());
    const bill = new Bill({ cpuHour: 1, gpuHour: 0 }, undefined, 0);
    for (const units of [[Number.POSITIVE_INFINITY], [1.7e308, 1.7e308]])
      bill.add(resource(), [pod('Running')], 3600, 1, metrics, new Map(units.map((each, i) => [`t${i}`, each])));
    const { values } = await metrics.tenantCost.get();
    expect(values.map(({ labels, value }) => [labels.tenant, value])).toEqual([['', 1]]);
  });

  it('goes on from what the status says, and tells every quarter of an hour', () => {
    const bill = new Bill(noPrices, { cpuHours: '10.5', gpuHours: 'many', cost: '-1' }, 0);
    expect(bill.add(resource(), [pod('Running')], 60, 60_000)).toBe(false);
    expect(bill.told).toBeUndefined();
    expect(bill.add(resource(), [pod('Running')], 3540, hour)).toBe(true);
    expect(bill.told).toEqual({
      cpuHours: expect.closeTo(11, 6),
      gpuHours: 0,
      cost: 0,
      countedUntil: new Date(hour),
    });
    expect(bill.add(resource(), [], 60, hour + 60_000)).toBe(false);
  });

  it('has what pods ran while no leader counted, once, and not in the metrics, where it is in part', async () => {
    const registry = new Registry();
    const metrics = createScalingMetrics(registry);
    const countedUntil = new Date(hour).toISOString();
    const bill = new Bill(
      { cpuHour: 1, gpuHour: 1 },
      { cpuHours: '1.00', gpuHours: '2.00', cost: '3.00', countedUntil },
      0,
    );
    const spec = { gpu: { policy: 'Preferred' } };
    const pods = [pod('Running', 'cpu', 0), pod('Running', 'gpu', 2 * hour), pod('Pending', 'gpu', 0)];
    bill.add(resource(spec), pods, 0, 3 * hour, metrics);
    bill.add(resource(spec), pods, 1800, 3.5 * hour, metrics);
    // Two hours of the one and one of the other, then half an hour of both.
    expect(bill.told).toMatchObject({
      cpuHours: expect.closeTo(1 + 0.5 * 4, 6),
      gpuHours: expect.closeTo(2 + 1.5, 6),
      cost: expect.closeTo(3 + 2 + 1.5, 6),
    });
    expect(await registry.metrics()).toMatch(/cpu_seconds_total\{.*\} 1800\n/);
  });

  it('has all that pods ran where nothing was told yet, and nothing twice where it is not known until when', () => {
    const begun = [pod('Running', 'cpu', 0)];
    const first = new Bill(noPrices, undefined, 0);
    first.add(resource(), begun, 0, hour);
    expect(first.told?.cpuHours).toBeCloseTo(0.5, 6);
    const ofEarlierRelease = new Bill(noPrices, { cpuHours: '4' }, 0);
    ofEarlierRelease.add(resource(), begun, 0, hour);
    expect(ofEarlierRelease.told?.cpuHours).toBe(4);
  });

  it('stands in the status, with a price where there is one, and stays there under a new leader', () => {
    const told = { cpuHours: 11.04, gpuHours: 0.5, cost: 1.234, countedUntil: new Date(hour) };
    const countedUntil = '1970-01-01T01:00:00Z';
    const scaling = {
      replicas: 1,
      active: { status: 'True', reason: 'ValidMetricFound', message: '' },
      limited: { status: 'False', reason: 'DesiredWithinRange', message: '' },
      reason: '',
      lastScaleTime: undefined,
      usage: told,
    } as const;
    const fields = (decided: unknown, status = {}) =>
      servingKind(compressionService, { image: 'a/b:1' }, () => together(decided as never, undefined)).status(
        resource({}, status),
        observed(),
      ).fields['usage'];
    expect(fields(scaling)).toEqual({ cpuHours: '11.04', gpuHours: '0.50', cost: '1.23', countedUntil });
    expect(fields({ ...scaling, usage: { ...told, cost: 0 } })).toEqual({
      cpuHours: '11.04',
      gpuHours: '0.50',
      countedUntil,
    });
    const stored = { cpuHours: '11.04' };
    expect(fields(undefined, { usage: stored })).toEqual(stored);
  });
});
