import { describe, expect, it } from 'vitest';
import { type Diagnosis, diagnose, type HealingMemory, type Patient, type Remedy } from './healing.ts';
import type { PodSignals } from './signals.ts';

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
  latency: undefined,
};
const pod = (name: string, memory: number, hits = 0, requests = 0): Patient => ({
  name,
  signals: { ...silent, memory, memoryLimit: 100, cacheHits: hits, cacheRequests: requests },
});

/** Looks at the same service again and again. */
class Watched {
  memory: HealingMemory | undefined;
  remedies: Remedy[] = [];

  look(pods: Patient[], times = 1): Diagnosis['remedies'] {
    const found: Remedy[] = [];
    for (let i = 0; i < times; i++) {
      const diagnosis = diagnose(pods, this.memory);
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
    one.look([pod('a', 95)], 50);
    one.look([pod('a', 85)], 5);
    one.look([pod('a', 95)], 5);
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
});
