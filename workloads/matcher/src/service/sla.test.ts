import { beforeEach, describe, expect, test } from 'vitest';
import { Deviation, ServiceLevels } from './sla.ts';

test('windows tell rates and percentiles of their own time only', () => {
  let now = 1_000_000_000;
  const levels = new ServiceLevels(() => now);
  for (let i = 0; i < 100; i++) levels.record(i < 95 ? 10 : 1000, { error: i < 3, hit: i < 80 });
  now += 120_000;
  const [minute, five] = levels.windows();
  expect(minute).toMatchObject({ seconds: 60, requests: 0 });
  expect(five).toMatchObject({ seconds: 300, requests: 100, errorRate: 0.03, hitRate: 0.8 });
  expect(five?.p50).toBeGreaterThan(9);
  expect(five?.p50).toBeLessThan(11);
  expect(five?.p99).toBeGreaterThan(900);
});

test('alerts have the two thresholds of each figure, and the hit rate alerts when it falls', () => {
  const alert = (milliseconds: number, errors: number, hits: number, use = { cpu: 0, memory: 0 }) => {
    const levels = new ServiceLevels();
    for (let i = 0; i < 100; i++) levels.record(milliseconds, { error: i < errors, hit: i < hits });
    return levels.alerts(use);
  };
  expect(alert(100, 1, 90)).toEqual({ cpu: 'Ok', memory: 'Ok', latencyP95: 'Ok', errorRate: 'Ok', hitRate: 'Ok' });
  expect(alert(1700, 3, 50, { cpu: 0.75, memory: 0.8 })).toEqual({
    cpu: 'Warning',
    memory: 'Warning',
    latencyP95: 'Warning',
    errorRate: 'Warning',
    hitRate: 'Warning',
  });
  expect(alert(2500, 6, 30, { cpu: 0.95, memory: 0.95 })).toEqual({
    cpu: 'Critical',
    memory: 'Critical',
    latencyP95: 'Critical',
    errorRate: 'Critical',
    hitRate: 'Critical',
  });
});

test('a pool that is asked by hashes and names alone has no hit rate to alert on', () => {
  const levels = new ServiceLevels();
  for (let i = 0; i < 100; i++) levels.record(10, { error: false });
  expect(levels.windows()[0]).toMatchObject({ requests: 100, lookups: 0, hitRate: 0 });
  expect(levels.alerts({ cpu: 0, memory: 0 }).hitRate).toBe('Ok');
});

describe('anomalies', () => {
  let now: number;
  let levels: ServiceLevels;
  /** Twenty requests in ten seconds. */
  const interval = (milliseconds: number, errors = 0) => {
    for (let i = 0; i < 20; i++) levels.record(milliseconds + (i % 5), { error: i < errors, hit: true });
    now += 10_000;
  };
  beforeEach(() => {
    now = 1_000_000_000;
    levels = new ServiceLevels(() => now);
    for (let i = 0; i < 30; i++) interval(100 + (i % 3));
  });

  test('a slower time is found within two intervals and does not become usual at once', () => {
    expect(levels.anomalies()).toEqual([]);
    interval(400);
    interval(400);
    expect(levels.anomalies()).toMatchObject([
      { metric: 'latency', value: 402, expected: expect.closeTo(103, 0) as number },
    ]);
    interval(400);
    expect(levels.anomalies()).toHaveLength(2);
  });

  test('a time of errors is found, and one slow or failing interval alone is none', () => {
    interval(400, 20);
    interval(100);
    interval(100);
    expect(levels.anomalies()).toEqual([]);
    interval(100, 4);
    interval(100, 4);
    expect(levels.anomalies()).toMatchObject([
      { metric: 'errors', value: 0.2, expected: expect.closeTo(0, 1) as number },
    ]);
  });
});

test('of normal noise, about one value in a thousand is called unusual', () => {
  const next = random(3);
  const normal = () => Math.sqrt(-2 * Math.log(next() + 1e-12)) * Math.cos(2 * Math.PI * next());
  const deviation = new Deviation(() => 0.05);
  let alarms = 0;
  const values = 50_000;
  for (let i = 0; i < values; i++) if (deviation.next(100 + 20 * normal())) alarms++;
  expect(alarms / values).toBeLessThan(1 / 700);
  expect(alarms / values).toBeGreaterThan(1 / 1500);
});

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
