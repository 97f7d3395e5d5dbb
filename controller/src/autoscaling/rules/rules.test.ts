import { describe, expect, it } from 'vitest';
import type { PodSignals } from '../signals.ts';
import { type Diagnosis, diagnose, type HealingMemory } from './index.ts';
import type { Patient, Remedy, Seen } from './rule.ts';

const silent: PodSignals = {
  queueDepth: undefined,
  concurrency: undefined,
  requests: undefined,
  requestsPerSecond: undefined,
  errorsPerSecond: undefined,
  cpu: undefined,
  cpuLimit: undefined,
  memory: undefined,
  memoryLimit: undefined,
  gpu: undefined,
  cacheHits: undefined,
  cacheRequests: undefined,
  gpuTemperature: undefined,
  gpuErrors: undefined,
  batchShare: undefined,
  streams: undefined,
  latency: undefined,
};
const pod = (name: string, memory: number, hits = 0, requests = 0): Patient => ({
  name,
  signals: { ...silent, memory, memoryLimit: 100, cacheHits: hits, cacheRequests: requests },
});

/** Looks at the same service again and again. */
class Watched {
  memory: HealingMemory | undefined;
  about: Partial<Seen> = {};
  remedies: Remedy[] = [];

  look(pods: Patient[], times = 1): Diagnosis['remedies'] {
    const found: Remedy[] = [];
    for (let i = 0; i < times; i++) {
      const diagnosis = diagnose({ pods, ...this.about }, this.memory);
      this.memory = diagnosis.memory;
      found.push(...diagnosis.remedies);
    }
    this.remedies.push(...found);
    return found;
  }
}

describe('healing', () => {
  it('clears the caches of the one pod whose memory runs out, at the second look', () => {
    const one = new Watched();
    expect(one.look([pod('a', 95), pod('b', 50)])).toEqual([]);
    expect(one.look([pod('a', 95), pod('b', 50)])).toMatchObject([{ action: 'clearCache', pods: ['a'] }]);
  });

  it('does it once until the pod was well again', () => {
    const one = new Watched();
    one.look([pod('a', 95)], 4);
    one.look([pod('a', 85)], 5);
    one.look([pod('a', 95)], 3);
    expect(one.remedies).toHaveLength(1);
    one.look([pod('a', 40)]);
    one.look([pod('a', 95)], 2);
    expect(one.remedies).toHaveLength(2);
  });

  it('does nothing about a peak, or about a pod that does not know its limit', () => {
    const one = new Watched();
    for (let i = 0; i < 20; i++) one.look([pod('a', i % 2 ? 95 : 70)]);
    one.look([{ name: 'b', signals: { ...silent, memory: 95 } }], 20);
    expect(one.remedies).toEqual([]);
  });

  it('grows caches step by step when the hit rate falls out of its range, four times at most', () => {
    const one = new Watched();
    for (let i = 0; i < 20; i++) one.look([pod('a', 30, 8 + (i % 2) * 0.2, 10)]);
    expect(one.look([pod('a', 30, 5, 10)], 3)).toMatchObject([{ action: 'resizeCache', pods: ['a'], factor: 1.5 }]);
    for (let round = 0; round < 6; round++) {
      one.look([pod('a', 30, 8, 10)], 15);
      one.look([pod('a', 30, 3, 10)], 5);
    }
    expect(one.remedies.map(({ factor }) => factor)).toEqual([1.5, 2.25, 3.375, 4]);
  });

  it('does not grow caches without memory for them', () => {
    const one = new Watched();
    one.look([pod('a', 70, 8, 10)], 20);
    expect(one.look([pod('a', 70, 2, 10)], 20)).toEqual([]);
  });

  it.each([
    ['that wanders within its range', (i: number) => pod('a', 50, 7 + Math.sin(i) * 1.5, 10)],
    ['that falls slowly, as a load changes over a day', (i: number) => pod('a', 50, 9 - i * 0.015, 10)],
    ['of hardly any requests', (i: number) => pod('a', 50, i % 7 ? 0.5 : 0, 0.6)],
    ['of a pod that says nothing', () => ({ name: 'a', signals: silent })],
  ])('leaves alone a hit rate %s', (_what, at) => {
    const one = new Watched();
    for (let i = 0; i < 300; i++) one.look([at(i)]);
    expect(one.remedies).toEqual([]);
  });

  it('replaces a pod whose memory stays full with its caches cleared: that is a leak', () => {
    const one = new Watched();
    one.look([pod('a', 95), pod('b', 40)], 20);
    expect(one.remedies.map(({ action, pods }) => [action, pods])).toEqual([
      ['clearCache', ['a']],
      ['replacePod', ['a']],
    ]);
    const matcher = new Watched();
    matcher.about = { hasCaches: false };
    matcher.look([pod('a', 95)], 20);
    expect(matcher.remedies.map(({ action }) => action)).toEqual(['replacePod']);
  });
});

/** Of 100 requests since the last look. */
const answers = (name: string, seconds: number, more: Partial<PodSignals> = {}): Patient => ({
  name,
  signals: {
    ...silent,
    batchShare: 1,
    latency: [seconds / 2, seconds, Number.POSITIVE_INFINITY].map((le, i) => ({ le, count: i === 0 ? 0 : 100 })),
    ...more,
  },
});

describe('healing of slow answers', () => {
  const slow = () => {
    const one = new Watched();
    one.about = { latencyP95: 1 };
    return one;
  };

  it('takes half the items at once, and half again, as long as that helps', () => {
    const one = slow();
    expect(one.look([answers('a', 4)], 2)).toEqual([]);
    expect(one.look([answers('a', 4)])).toMatchObject([{ action: 'resizeBatch', pods: ['a'], factor: 0.5 }]);
    expect(one.look([answers('a', 2)], 6)).toMatchObject([{ factor: 0.25 }]);
    expect(one.look([answers('a', 0.9)], 100)).toEqual([]);
  });

  it('undoes what did not help, and tries nothing more until it was well', () => {
    const one = slow();
    one.look([answers('a', 4)], 100);
    expect(one.remedies.map(({ factor }) => factor)).toEqual([0.5, 1]);
    one.look([answers('a', 0.5)]);
    expect(one.look([answers('a', 4)], 3)).toMatchObject([{ factor: 0.5 }]);
  });

  it('gives back what was taken when answers were fast for twenty minutes', () => {
    const one = slow();
    one.look([answers('a', 4)], 3);
    expect(one.look([answers('a', 0.2)], 39 + 5)).toEqual([]);
    expect(one.look([answers('a', 0.2)])).toMatchObject([{ factor: 1 }]);
    expect(one.look([answers('a', 0.2)], 100)).toEqual([]);
  });

  it.each([
    ['without a target', undefined, answers('a', 4)],
    ['of few requests', 1, answers('a', 4, { latency: [{ le: 9, count: 19 }] })],
    ['of engines without batches', 1, answers('a', 4, { batchShare: undefined })],
    ['within the target', 5, answers('a', 4)],
  ])('leaves alone answers %s', (_what, latencyP95, patient) => {
    const one = new Watched();
    one.about = latencyP95 === undefined ? {} : { latencyP95 };
    expect(one.look([patient], 100)).toEqual([]);
  });
});

describe('healing of a sick pod', () => {
  const rates = (name: string, share: number, requestsPerSecond = 10): Patient => ({
    name,
    signals: { ...silent, requestsPerSecond, errorsPerSecond: share * requestsPerSecond },
  });
  const gpu = (name: string, gpuTemperature: number, gpuErrors = 0): Patient => ({
    name,
    signals: { ...silent, gpuTemperature, gpuErrors },
  });

  it('asks for one pod more, then replaces the one that fails', () => {
    const one = new Watched();
    one.about = { mayGrow: true };
    const pods = [rates('a', 0.5), rates('b', 0)];
    expect(one.look(pods)).toEqual([]);
    expect(one.look(pods)).toMatchObject([{ action: 'growPool' }]);
    expect(one.look(pods, 2)).toMatchObject([{ action: 'replacePod', pods: ['a'] }]);
  });

  it('replaces the only pod there is, but not the next one that fails alike', () => {
    const one = new Watched();
    one.look([rates('a', 0.9)], 4);
    one.look([rates('b', 0.9)], 100);
    expect(one.remedies.map(({ action, pods }) => [action, pods])).toEqual([['replacePod', ['a']]]);
    one.look([rates('b', 0)], 30);
    expect(one.look([rates('b', 0.9)], 4)).toMatchObject([{ action: 'replacePod', pods: ['b'] }]);
  });

  it('takes no pod away where all fail alike: the fault is behind them', () => {
    const one = new Watched();
    one.about = { mayGrow: true };
    expect(one.look([rates('a', 0.9), rates('b', 0.7)], 100)).toEqual([]);
  });

  it('moves a pod off a GPU that is too hot, or that begins to lose memory', () => {
    const hot = new Watched();
    expect(hot.look([gpu('a', 96), gpu('b', 60)], 4)).toMatchObject([{ action: 'replacePod', pods: ['a'] }]);
    const broken = new Watched();
    broken.look([gpu('a', 60, 7), gpu('b', 60)], 10);
    expect(broken.remedies).toEqual([]);
    expect(broken.look([gpu('a', 60, 8), gpu('b', 60)], 4)).toMatchObject([{ action: 'replacePod', pods: ['a'] }]);
  });

  it.each([
    ['errors now and then', (i: number) => [rates('a', i % 3 ? 0 : 0.5), rates('b', 0)]],
    ['few errors', () => [rates('a', 0.05), rates('b', 0)]],
    ['errors of hardly any requests', () => [rates('a', 1, 0.1), rates('b', 0)]],
    ['a GPU that is warm', () => [gpu('a', 85), gpu('b', 60)]],
    ['pods that say nothing', () => [{ name: 'a', signals: silent }]],
  ])('leaves alone %s', (_what, at: (i: number) => Patient[]) => {
    const one = new Watched();
    one.about = { mayGrow: true };
    for (let i = 0; i < 200; i++) one.look(at(i));
    expect(one.remedies).toEqual([]);
  });
});
