import { describe, expect, it } from 'vitest';
import { type Anomalies, anomaliesOf, type Figure } from './anomaly.ts';
import { readPage } from './page.ts';
import { type PodSignals, signalsOf } from './signals.ts';

const silent = signalsOf({ at: 0, figures: readPage('quintet_requests_in_flight 0') }, undefined, undefined);
const busy = (requestsPerSecond: number, errors = 0, seconds = 0.2): PodSignals => ({
  ...silent,
  requestsPerSecond,
  errorsPerSecond: requestsPerSecond * errors,
  latency: [seconds / 2, seconds, Number.POSITIVE_INFINITY].map((le, i) => ({ le, count: i === 0 ? 0 : 100 })),
});

/** @returns Standard deviations of each figure after the last of so many looks. */
function looks(at: (look: number) => PodSignals[], count: number, before?: Anomalies): Anomalies {
  let known = before;
  for (let look = 0; look < count; look++) known = anomaliesOf(at(look), known);
  return known ?? new Map();
}
const sigmas = (known: Anomalies, figure: Figure) => known.get(figure)?.sigmas;
/** Ten in a hundred more and less, in turn. */
const usual = (look: number) => [busy(100 * (1 + 0.1 * Math.sin(look)), 0.001, 0.2)];

describe('what is unusual of a service', () => {
  it('is not known before ten minutes', () => {
    expect(sigmas(looks(usual, 20), 'RequestsPerSecond')).toBeUndefined();
    expect(sigmas(looks(usual, 21), 'RequestsPerSecond')).toBeDefined();
  });

  it('is told in standard deviations, above and below', () => {
    const known = looks(usual, 100);
    for (const figure of ['RequestsPerSecond', 'ErrorRate', 'LatencyP95'] as const)
      expect(Math.abs(sigmas(known, figure) ?? Number.NaN)).toBeLessThanOrEqual(2);
    const slow = looks(() => [busy(30, 0.3, 2)], 3, known);
    expect(sigmas(slow, 'LatencyP95')).toBeGreaterThan(2);
    expect(sigmas(slow, 'ErrorRate')).toBeGreaterThan(2);
    expect(sigmas(slow, 'RequestsPerSecond')).toBeLessThan(-2);
  });

  it('stays so for twenty minutes, and is then learnt anew', () => {
    const known = looks(usual, 100);
    const other = (count: number) => looks(() => [busy(300)], count, known);
    expect(sigmas(other(39), 'RequestsPerSecond')).toBeGreaterThan(2);
    expect(sigmas(other(40), 'RequestsPerSecond')).toBeUndefined();
    expect(sigmas(other(100), 'RequestsPerSecond')).toBeCloseTo(0);
  });

  it('is no change that nobody would notice, however steady it was before', () => {
    const known = looks(() => [busy(100, 0.001, 0.2)], 100);
    const next = looks(() => [busy(110, 0.01, 0.22)], 1, known);
    for (const { sigmas: deviations } of next.values()) expect(Math.abs(deviations ?? 0)).toBeLessThanOrEqual(2);
  });

  it('is no hit rate of caches that have just begun', () => {
    const cached = (hits: number, startedAt: number) => [
      { ...busy(100), cacheRequests: 100, cacheHits: hits, startedAt },
    ];
    const known = looks(() => cached(80, 0), 100);
    const next = (startedAt: number) => sigmas(anomaliesOf(cached(5, startedAt), known, 10_000_000), 'HitRate');
    expect(next(9_500)).toBeUndefined();
    expect(next(9_000)).toBeLessThan(-2);
  });

  it('is nothing that was not heard', () => {
    const known = looks(usual, 100);
    const silence = looks(() => [], 50, known);
    for (const [figure, { usual: before, off }] of known)
      expect(silence.get(figure)).toEqual({ usual: before, off, sigmas: undefined });
    const slow = looks(() => [busy(100, 0, 5)], 1, known);
    expect(sigmas(slow, 'LatencyP95')).toBeGreaterThan(2);
    expect(
      sigmas(
        looks(() => [busy(0), silent], 1, slow),
        'RequestsPerSecond',
      ),
    ).toBeLessThan(-2);
    expect(
      sigmas(
        looks(() => [{ ...busy(0), latency: [] }], 1, slow),
        'LatencyP95',
      ),
    ).toBeUndefined();
    expect(looks(() => [silent], 50).get('RequestsPerSecond')).toBeUndefined();
  });
});
