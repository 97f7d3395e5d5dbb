import { describe, expect, it } from 'vitest';
import type { PodSignals } from '../signals.ts';
import { type Diagnosis, diagnose, type HealingMemory } from './index.ts';
import type { Patient, Remedy, Seen } from './rule.ts';

const silent: PodSignals = {
  startedAt: undefined,
  queueDepth: undefined,
  concurrency: undefined,
  requests: undefined,
  requestsPerSecond: undefined,
  errorsPerSecond: undefined,
  overloadsPerSecond: undefined,
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
  /** Of pods that make batches, as they were told. */
  share = 1;

  look(pods: Patient[], times = 1): Diagnosis['remedies'] {
    const found: Diagnosis['remedies'] = [];
    for (let i = 0; i < times; i++) {
      const diagnosis = diagnose({ pods: pods.map((each) => this.#told(each)), ...this.about }, this.memory);
      this.memory = diagnosis.memory;
      this.share = diagnosis.remedies.find(({ action }) => action === 'resizeBatch')?.factor ?? this.share;
      found.push(...diagnosis.remedies);
    }
    this.remedies.push(...found);
    return found;
  }

  #told({ name, signals }: Patient): Patient {
    return { name, signals: { ...signals, ...(signals.batchShare === 1 && { batchShare: this.share }) } };
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

  it('grows no caches because pods are new, woken or were started anew: those are cold as a matter of course', () => {
    const usual = [pod('a', 30, 8, 10)];
    const warming = (name: string, i: number) => pod(name, 30, Math.min(8, 2 + i * 0.3), 10);
    const grown = new Watched();
    grown.look(usual, 30);
    for (let i = 0; i < 30; i++) grown.look([...usual, warming('b', i), warming('c', i), warming('d', i)]);
    expect(grown.remedies).toEqual([]);
    const woken = new Watched();
    woken.look(usual, 30);
    for (let i = 0; i < 30; i++) woken.look([warming('b', i)]);
    expect(woken.remedies).toEqual([]);
    const restarted = new Watched();
    const since = (startedAt: number, i: number) => ({ name: 'a', signals: { ...warming('a', i).signals, startedAt } });
    for (let i = 0; i < 60; i++) restarted.look([since(i < 30 ? 1 : 2, i % 30)]);
    expect(restarted.remedies).toEqual([]);
  });

  it('still grows caches where a pod was not heard for a look', () => {
    const one = new Watched();
    for (let i = 0; i < 20; i++) one.look(i % 5 ? [pod('a', 30, 8, 10), pod('b', 30, 8, 10)] : [pod('a', 30, 8, 10)]);
    one.look([pod('a', 30, 4, 10), pod('b', 30, 4, 10)], 3);
    expect(one.remedies).toMatchObject([{ action: 'resizeCache', pods: ['a', 'b'], factor: 1.5 }]);
  });

  it('does not grow what it made smaller for want of memory, for an hour, and from there then', () => {
    const one = new Watched();
    one.look([pod('a', 50, 8, 10)], 20);
    expect(one.look([pod('a', 95, 8, 10)], 2)).toMatchObject([{ action: 'clearCache', factor: 0.5 }]);
    one.look([pod('a', 45, 4, 10)], 100);
    one.look([pod('a', 45, 1, 10)], 10);
    expect(one.remedies).toHaveLength(1);
    one.look([pod('a', 45, 1, 10)], 20);
    expect(one.remedies.slice(1)).toMatchObject([{ action: 'resizeCache', factor: 0.75 }]);
  });

  it('begins with the sizes of those pods that are there: new ones have the size of the spec', () => {
    const one = new Watched();
    one.look([pod('a', 30, 8, 10)], 20);
    one.look([pod('a', 30, 3, 10)], 3);
    one.look([pod('b', 30, 8, 10)], 20);
    one.look([pod('b', 30, 3, 10)], 3);
    expect(one.remedies.map(({ factor }) => factor)).toEqual([1.5, 1.5]);
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

  it('treats once a pod that is not heard for a look meanwhile', () => {
    const one = new Watched();
    one.look([pod('a', 95)], 3);
    one.about = { unheard: ['a'] };
    one.look([]);
    one.about = {};
    one.look([pod('a', 95)], 4);
    expect(one.remedies).toMatchObject([{ action: 'clearCache' }]);
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

  it('goes on from what pods say they do, whoever told them', () => {
    const quarter = slow();
    quarter.share = 0.25;
    expect(quarter.look([answers('a', 4)], 3)).toMatchObject([{ factor: 0.125 }]);
    const least = slow();
    least.share = 1 / 8;
    expect(least.look([answers('a', 0.2)], 40)).toMatchObject([{ factor: 0.25 }]);
  });

  it('begins anew with pods that have the whole share again', () => {
    const one = slow();
    for (let seconds = 64; one.remedies.length < 3; seconds *= 0.8) one.look([answers('a', seconds)]);
    expect(one.share).toBe(1 / 8);
    one.share = 1;
    expect(one.look([answers('b', 16)], 10)[0]).toMatchObject({ pods: ['b'], factor: 0.5 });
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

  it('keeps the only pod that serves, however it fails, until another does', () => {
    const one = new Watched();
    expect(one.look([rates('a', 0.9)], 100)).toEqual([]);
    one.about = { unheard: ['b'] };
    expect(one.look([rates('a', 0.9)])).toMatchObject([{ action: 'replacePod', pods: ['a'] }]);
  });

  it('replaces a pod, but not the next one that fails alike', () => {
    const one = new Watched();
    one.look([rates('a', 0.9), rates('c', 0)], 4);
    one.look([rates('b', 0.9), rates('c', 0)], 100);
    expect(one.remedies.map(({ action, pods }) => [action, pods])).toEqual([['replacePod', ['a']]]);
    one.look([rates('b', 0), rates('c', 0)], 30);
    expect(one.look([rates('b', 0.9), rates('c', 0)], 4)).toMatchObject([{ action: 'replacePod', pods: ['b'] }]);
  });

  it('still knows a sick pod that was not heard for a look', () => {
    const one = new Watched();
    one.look([rates('a', 0.5), rates('b', 0)], 3);
    one.about = { unheard: ['a'] };
    expect(one.look([rates('b', 0)])).toEqual([]);
    one.about = {};
    expect(one.look([rates('a', 0.5), rates('b', 0)])).toMatchObject([{ action: 'replacePod', pods: ['a'] }]);
  });

  it('takes no pod for sick that refuses what is too much for it', () => {
    const one = new Watched();
    one.about = { mayGrow: true };
    const flooded = { ...rates('a', 0.5), signals: { ...rates('a', 0.5).signals, overloadsPerSecond: 5 } };
    expect(one.look([flooded, rates('b', 0)], 100)).toEqual([]);
  });

  it('takes no pod away where most fail alike, and one after the other where few do', () => {
    const most = new Watched();
    expect(most.look([...['a', 'b', 'c'].map((name) => rates(name, 0.5)), rates('d', 0, 0.1)], 100)).toEqual([]);
    const few = new Watched();
    const well = ['c', 'd', 'e'].map((name) => rates(name, 0));
    few.look([rates('a', 0.5), rates('b', 0.5), ...well], 4);
    expect(few.remedies).toMatchObject([{ action: 'replacePod', pods: ['a'] }]);
    few.look([rates('b', 0.5), ...well], 4);
    expect(few.remedies).toHaveLength(1);
    few.look([rates('b', 0.5), ...well]);
    expect(few.remedies[1]).toMatchObject({ action: 'replacePod', pods: ['b'] });
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
