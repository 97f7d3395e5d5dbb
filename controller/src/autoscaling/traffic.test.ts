import { describe, expect, it } from 'vitest';
import { History } from './history.ts';
import { readPage } from './page.ts';
import { type Measured, measuredOf, TrafficNews } from './traffic.ts';

/** Chance that is the same in each run. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5];

/** One pod with arrivals by chance, latencies of a log-normal spread, an error in a thousand and six hits in ten. */
class Noise {
  readonly #random: () => number;
  readonly #counts = bounds.map(() => 0);
  readonly #history = new History();
  #requests = 0;
  #errors = 0;
  #hits = 0;
  #at = 0;
  #next = 0;

  constructor(seed: number) {
    this.#random = chance(seed);
  }

  /** Half a minute. */
  look(perSecond: number, median = 0.03): { measured: Measured | undefined; at: number } {
    this.#at += 30;
    const gap = () => -Math.log(1 - this.#random()) / perSecond;
    for (this.#next = this.#at - 30 + gap(); this.#next < this.#at; this.#next += gap()) {
      const normal = Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
      const seconds = median * Math.exp(0.6 * normal);
      this.#requests += 1;
      if (this.#random() < 0.001) this.#errors += 1;
      if (this.#random() < 0.6) this.#hits += 1;
      bounds.forEach((le, i) => {
        if (seconds <= le) this.#counts[i] = (this.#counts[i] ?? 0) + 1;
      });
    }
    const page = [
      'quintet_requests_in_flight 0',
      `quintet_requests_total{status="200"} ${this.#requests - this.#errors}`,
      `quintet_requests_total{status="500"} ${this.#errors}`,
      ...bounds.map((le, i) => `quintet_request_seconds_bucket{le="${le}"} ${this.#counts[i]}`),
      `quintet_request_seconds_bucket{le="+Inf"} ${this.#requests}`,
      `quintet_cache_requests_total{source="memory"} ${this.#hits}`,
      `quintet_cache_requests_total{source="miss"} ${this.#requests - this.#hits}`,
    ];
    const at = 1000 * this.#at;
    return { measured: measuredOf([this.#history.note('pod', at, readPage(page.join('\n')))]), at };
  }
}

/** @returns Writes of so many looks. */
function writes(noise: Noise, news: TrafficNews, perSecond: number, looks: number, median?: number): number {
  let count = 0;
  for (let look = 0; look < looks; look++) {
    const { measured, at } = noise.look(perSecond, median);
    if (measured && news.note(measured, at)) count += 1;
  }
  return count;
}
const hour = 120;

describe('traffic', () => {
  it.each([0.01, 0.1, 1, 10])('of %d requests a second by chance is told once an hour at most', (perSecond) => {
    const hours = 8;
    for (const seed of [1, 2]) {
      const count = writes(new Noise(seed), new TrafficNews(undefined), perSecond, hours * hour);
      expect(count).toBeLessThanOrEqual(hours);
      expect(count).toBeGreaterThan(0);
    }
  });

  it.each([0, 0.1, 30])('that becomes 3 a second from %d is told within two minutes, and not twice', (before) => {
    const [noise, news] = [new Noise(3), new TrafficNews(undefined)];
    writes(noise, news, before, 2 * hour);
    expect(writes(noise, news, 3, 4)).toBe(1);
    expect(writes(noise, news, 3, 8)).toBe(0);
    writes(noise, news, 3, 20);
    expect(Number(news.told?.requestsPerSecond)).toBeCloseTo(3, -1);
  });

  it('that ends is told so, at once or after half an hour of nothing', () => {
    for (const [perSecond, looks] of [
      [3, 5],
      [0.05, 64],
    ] as const) {
      const [noise, news] = [new Noise(4), new TrafficNews(undefined)];
      writes(noise, news, perSecond, hour);
      writes(noise, news, 0, looks);
      expect(news.told).toEqual({ requestsPerSecond: '0' });
    }
  });

  it('that becomes slow is told', () => {
    const [noise, news] = [new Noise(5), new TrafficNews(undefined)];
    writes(noise, news, 3, hour);
    expect(writes(noise, news, 3, 4, 0.2)).toBe(1);
    expect(Number.parseFloat(news.told?.latencyP95 ?? '')).toBeGreaterThan(200);
  });

  it('that goes up and down is told every five minutes at most', () => {
    const [noise, news] = [new Noise(6), new TrafficNews(undefined)];
    let count = 0;
    for (let i = 0; i < 30; i++) count += writes(noise, news, i % 2 ? 1 : 20, 4);
    expect(count).toBeLessThanOrEqual(13);
    expect(count).toBeGreaterThan(6);
  });

  it('is not known while the rate of a pod is not', () => {
    const [known, history] = [new Noise(7), new History()];
    expect(measuredOf([])).toBeUndefined();
    expect(known.look(1).measured).toBeUndefined();
    expect(known.look(1).measured).toBeDefined();
    const rated = (id: string, at: number) => history.note(id, at, readPage('quintet_requests_in_flight 0'));
    rated('a', 0);
    expect(measuredOf([rated('a', 30_000)])).toBeDefined();
    expect(measuredOf([rated('a', 60_000), rated('b', 60_000)])).toBeUndefined();
  });
});
