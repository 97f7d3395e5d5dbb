import { describe, expect, it } from 'vitest';
import type { Pod } from '../objects/types.ts';
import { marks, streaming } from './idlest.ts';
import type { PodSignals } from './signals.ts';

const pod = (name: string, cost?: string, ready = true) =>
  ({
    metadata: { name, uid: name, annotations: cost ? { 'controller.kubernetes.io/pod-deletion-cost': cost } : {} },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }) as unknown as Pod;
const said = (of: Record<string, Partial<PodSignals>>) => new Map(Object.entries(of)) as Map<string, PodSignals>;
const chosen = (...args: Parameters<typeof marks>) =>
  marks(...args).map(({ pod: { metadata }, cost }) => [metadata.name, cost]);

describe('whom a shrinking service may lose', () => {
  const signals = said({
    a: { concurrency: 3 },
    b: { concurrency: 0 },
    c: { concurrency: 0, streams: 1 },
    d: { concurrency: 1 },
  });

  it('are the idlest, those with streams and those that are not heard last', () => {
    const pods = ['a', 'b', 'c', 'd', 'unheard'].map((name) => pod(name));
    expect(chosen(pods, signals, 1)).toEqual([['b', '-1000']]);
    expect(chosen(pods, signals, 4).map(([name]) => name)).toEqual(['b', 'd', 'a', 'c']);
    expect(streaming(pods, signals)).toBe(1);
  });

  it('are not marked twice, and who was and is busy now is not any more', () => {
    expect(chosen([pod('a', '-1000'), pod('b', '-1000'), pod('d')], signals, 1)).toEqual([['a', null]]);
  });

  it('leave a cost alone that somebody else has set, unless the pod is to go', () => {
    expect(chosen([pod('a', '500'), pod('b')], signals, 1)).toEqual([['b', '-1000']]);
    expect(chosen([pod('b', '500')], signals, 1)).toEqual([['b', '-1000']]);
  });

  it('need no mark while they are not ready: those go first anyway', () => {
    expect(chosen([pod('a'), pod('b', undefined, false)], signals, 1)).toEqual([['a', '-1000']]);
  });
});
