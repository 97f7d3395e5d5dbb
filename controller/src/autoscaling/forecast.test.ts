// The forecast: what it learns, when it is trusted, and what it never believes.
import { describe, expect, it } from 'vitest';
import { Forecaster } from './forecast.ts';

const bin = 15;
const season = 3600;
const forecaster = () => new Forecaster({ binSeconds: bin, seasonSeconds: season, leadSeconds: 60 });
/** Ten pods' worth for five minutes of each season, else two. */
const spike = (t: number) => (t % season < 300 ? 10 : 2);

function taught(load: (second: number) => number, seconds: number): Forecaster {
  const one = forecaster();
  for (let t = 0; t < seconds; t += 5) one.observe(t * 1000, load(t));
  return one;
}

describe('a forecast', () => {
  it('says nothing before it was judged', () => {
    expect(taught(() => 3, 120).forecast()).toBeUndefined();
  });

  it('asks for what a recurring peak needs before it comes, and is trusted', () => {
    const beforePeak = taught(spike, 4 * season - 45).forecast();
    expect(beforePeak).toMatchObject({ isBetter: true });
    expect(beforePeak?.value).toBeGreaterThan(8);
  });

  it('asks for no peak where none is due', () => {
    expect(taught(spike, 4 * season - 900).forecast()?.value).toBeCloseTo(2);
  });

  it('follows a trend ahead, and is trusted', () => {
    const forecast = taught((t) => 1 + t / 300, 1800).forecast();
    expect(forecast?.isBetter).toBe(true);
    expect(forecast?.value).toBeGreaterThan(1 + 1815 / 300);
  });

  it('is not trusted where the naive one is as good', () => {
    let state = 1;
    const noise = (t: number) => {
      state = (state * 48_271) % 2_147_483_647;
      return 5 + (t % bin === 0 ? state / 2_147_483_647 : 0.5);
    };
    expect(taught(noise, 1800).forecast()?.isBetter).toBe(false);
    expect(taught(() => 4, 1800).forecast()?.isBetter).toBe(false);
  });

  it('takes no notice of what cannot be, and keeps two seasons at most', () => {
    const one = taught(spike, 5 * season);
    const before = one.forecast();
    for (const lie of [Number.NaN, -1, Number.POSITIVE_INFINITY]) one.observe(5 * season * 1000 + 1e9, lie);
    expect(one.forecast()).toEqual(before);
    expect(one.size).toBeLessThanOrEqual((2 * season) / bin);
  });

  it('goes on over an outage of any length', () => {
    const one = taught(spike, season);
    one.observe(1e12, 3);
    expect(one.size).toBeLessThanOrEqual((2 * season) / bin);
    expect(one.forecast()?.value).toBeGreaterThanOrEqual(0);
  });

  it('begins to judge anew when the distance changes', () => {
    const one = taught(spike, 4 * season - 45);
    one.aim(120);
    expect(one.forecast()?.value).toBeGreaterThan(8);
  });

  it('is handed on to whoever comes after, small, and goes on from there', () => {
    const first = taught(spike, 4 * season - 300);
    const learnt = first.learnt ?? '';
    expect(learnt.length).toBeLessThan(2_000);
    const second = new Forecaster({ binSeconds: bin, seasonSeconds: season, leadSeconds: 60, learnt });
    expect(second.forecast()).toBeUndefined();
    for (let t = 4 * season - 200; t < 4 * season - 45; t += 5) second.observe(t * 1000, spike(t));
    expect(second.forecast()).toMatchObject({ isBetter: true });
    expect(second.forecast()?.value).toBeGreaterThan(7);
  });

  it('of two days of a day each is no more than 9 KB', () => {
    const one = new Forecaster({ leadSeconds: 60 });
    for (let t = 0; t < 2.5 * 86_400; t += 15) one.observe(t * 1000, 3 + Math.sin(t / 10_000));
    expect(one.learnt?.length).toBeLessThan(9_000);
  });

  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['another version', '{"version":2}'],
    ['nonsense', JSON.stringify({ ...JSON.parse(taught(spike, season).learnt ?? ''), peak: -1 })],
    ['what is of the future', JSON.stringify({ ...JSON.parse(taught(spike, season).learnt ?? ''), last: 1e9 })],
    ['other bins', JSON.stringify({ ...JSON.parse(taught(spike, season).learnt ?? ''), binMs: 1 })],
    ['too much', 'x'.repeat(100_000)],
  ])('learns anew where what was left is %s', (_what, learnt) => {
    const one = new Forecaster({ binSeconds: bin, seasonSeconds: season, leadSeconds: 60, learnt });
    one.observe((season + 60) * 1000, 3);
    one.observe((season + 75) * 1000, 3);
    expect([one.size, one.forecast()]).toEqual([1, undefined]);
  });
});
