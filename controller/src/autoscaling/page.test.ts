// Metrics pages as engines write them, and as broken or hostile ones would.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PageError, readPage } from './page.ts';
import { mergeBuckets, quantile, signalsOf } from './signals.ts';

const page = (over: Record<string, string> = {}): string =>
  Object.entries({
    quintet_requests_in_flight: '3',
    'quintet_queue_depth{queue="compress",priority="High"}': '1',
    'quintet_queue_depth{queue="compress",priority="Low"}': '4',
    'quintet_requests_total{route="/v1/compress",method="POST",status="200"}': '90',
    'quintet_requests_total{route="/v1/compress",method="POST",status="503"}': '10',
    'quintet_request_seconds_bucket{le="0.1",route="/v1/compress"}': '50',
    'quintet_request_seconds_bucket{le="1",route="/v1/compress"}': '100',
    'quintet_request_seconds_bucket{le="+Inf",route="/v1/compress"}': '100',
    process_cpu_seconds_total: '20',
    quintet_cpu_limit: '2',
    process_resident_memory_bytes: '5e+8',
    quintet_memory_limit_bytes: '1000000000',
    process_start_time_seconds: '1000',
    ...over,
  })
    .map(([series, value]) => `${series} ${value}`)
    .join('\n');

const moment = (seconds: number, over: Record<string, string> = {}) => ({
  at: seconds * 1000,
  figures: readPage(page(over), true),
});
const requests = 'quintet_requests_total{route="/v1/compress",method="POST",status="200"}';

describe('a metrics page', () => {
  it('gives sums over labels, and buckets over routes', () => {
    expect(readPage(`# HELP x y\n${page()}\nnodejs_eventloop_lag_seconds 1\n`)).toMatchObject({
      queueDepth: 5,
      inFlight: 3,
      requests: 100,
      errors: 10,
      cpuSeconds: 20,
      memory: 5e8,
      latency: [
        { le: 0.1, count: 50 },
        { le: 1, count: 100 },
        { le: Number.POSITIVE_INFINITY, count: 100 },
      ],
    });
  });

  it('is not kept alive by the name of a tenant', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const used = () => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const rest = 'another_metric 1\n'.repeat(10_000);
    const kept: unknown[] = [];
    const before = used();
    for (let i = 0; i < 100; i++) {
      const units = `quintet_tenant_units_total{tenant="a-tenant-with-a-long-name-${i}"} 1\n`;
      kept.push(readPage(Buffer.from(`quintet_requests_in_flight 0\n${units}${rest}`).toString(), true));
    }
    expect((used() - before) / kept.length).toBeLessThan(rest.length / 4);
  });

  it('tells of units only who bills', () => {
    const text = page({ 'quintet_tenant_units_total{tenant="news"}': '1' });
    expect(readPage(text)).not.toHaveProperty('units');
    expect(readPage(text, true).units).toEqual(new Map([['news', 1]]));
  });

  it('gives no rate that is not finite', () => {
    const huge = { [requests]: '1.7e308', 'quintet_tenant_units_total{tenant="news"}': '1.7e308' };
    const signals = signalsOf(
      moment(1_010.2, { ...huge, process_start_time_seconds: '1010' }),
      moment(1_009),
      undefined,
    );
    expect([signals.requestsPerSecond, signals.units]).toEqual([undefined, new Map()]);
    expect(
      readPage(page({ [requests]: '1.7e308', 'quintet_requests_total{status="204"}': '1.7e308' })).requests,
    ).toBeUndefined();
  });

  it('gives units by tenant, of which signals make rates, also of who is new', () => {
    const units = (tenant: string) => `quintet_tenant_units_total{tenant="${tenant}"}`;
    const then = moment(1_010, { [units('news')]: '100' });
    const now = moment(1_020, { [units('news')]: '160', [units('sport')]: '20', [units('lies')]: '-5' });
    expect(signalsOf(now, then, then).units).toEqual(
      new Map([
        ['news', 6],
        ['sport', 2],
      ]),
    );
    expect(signalsOf(now, undefined, undefined).units).toBeUndefined();
  });

  it('tells nothing of the speed of answers to operators', () => {
    const slow = { 'quintet_request_seconds_bucket{le="+Inf",route="/admin/actions/:name"}': '900' };
    expect(readPage(page(slow)).latency.at(-1)?.count).toBe(100);
  });

  it('of an engine that had no request yet says zero, not unknown', () => {
    expect(readPage('quintet_requests_in_flight 0')).toMatchObject({ queueDepth: 0, requests: 0, errors: 0 });
  });

  it('keeps braces and quotes inside label values apart', () => {
    expect(readPage('quintet_queue_depth{queue="a}\\"b"} 7').queueDepth).toBe(7);
  });

  it.each(['NaN', '-1', '+Inf', '-Inf'])('with %s makes that figure unknown', (value) => {
    expect(readPage(page({ quintet_requests_in_flight: value })).inFlight).toBeUndefined();
  });

  it.each([
    ['nothing of an engine', 'up 1'],
    ['HTML', '<html>quintet_queue_depth</html>'],
    ['a word for a number', 'quintet_queue_depth many'],
    ['labels without an end', 'quintet_queue_depth{queue="a 1'],
    ['one series twice', 'quintet_queue_depth 1\nquintet_queue_depth 9'],
    ['lines without end', 'x 1\n'.repeat(60_000)],
    ['nothing', ''],
  ])('with %s is refused', (_what, text) => {
    expect(() => readPage(text)).toThrow(PageError);
  });

  it('of any bytes is read or refused, never anything else', () => {
    const line = fc.oneof(
      fc.string(),
      fc.string().map((text) => `quintet_queue_depth${text}`),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const depth = depthIn(lines.join('\n'));
        expect(depth === undefined || (Number.isFinite(depth) && depth >= 0)).toBe(true);
      }),
    );
  });
});

/** Undefined for a page that is refused; any other error is thrown on. */
function depthIn(text: string): number | undefined {
  try {
    return readPage(text).queueDepth;
  } catch (error) {
    if (error instanceof PageError) return undefined;
    throw error;
  }
}

describe('signals', () => {
  it('are rates between two moments', () => {
    const signals = signalsOf(
      moment(2010, { [requests]: '190', process_cpu_seconds_total: '30' }),
      moment(2000),
      undefined,
    );
    expect(signals).toMatchObject({ requestsPerSecond: 10, errorsPerSecond: 0, cpu: 1, memory: 5e8 });
  });

  it('count from zero after a restart', () => {
    const now = moment(2010, { [requests]: '10', process_start_time_seconds: '2000' });
    expect(signalsOf(now, moment(1990), undefined).requestsPerSecond).toBe(2);
  });

  it('are unknown where a counter went back without a restart', () => {
    const signals = signalsOf(moment(2010, { [requests]: '10' }), moment(2000), undefined);
    expect(signals).toMatchObject({ requestsPerSecond: undefined, queueDepth: 5 });
  });

  it('have levels but no rates for a pod seen first', () => {
    expect(signalsOf(moment(2000), undefined, undefined)).toMatchObject({
      concurrency: 3,
      requestsPerSecond: undefined,
    });
  });
});

describe('percentiles', () => {
  const buckets = (...counts: number[]) =>
    counts.map((count, i) => ({ le: [0.1, 1, Number.POSITIVE_INFINITY][i] ?? 0, count }));

  it('interpolate as Prometheus does, over pods merged', () => {
    const merged = mergeBuckets([buckets(50, 100, 100), buckets(0, 100, 100)]);
    expect(merged.map(({ count }) => count)).toEqual([50, 200, 200]);
    expect(quantile(0.95, merged)).toBeCloseTo(0.1 + (0.9 * 140) / 150);
  });

  it('leave out a pod with other bounds, and know nothing without a request', () => {
    expect(mergeBuckets([buckets(1, 2, 2), buckets(1, 2, 2), [{ le: 5, count: 9 }]])).toHaveLength(3);
    expect(quantile(0.95, buckets(0, 0, 0))).toBeUndefined();
    expect(quantile(0.95, buckets(0, 0, 10))).toBe(1);
  });
});
