// GPUs of the kinds that serve: bridged on CPU while they are preferred, and held by old pods during a rollout.
import { describe, expect, it } from 'vitest';
import type { Pod } from '../../objects/types.ts';
import { type ObservedBuilder, observed } from '../testing.ts';
import type { Served } from './engines.ts';
import { bridge, condition, kind, live, main, phase, pod, resource, rolled } from './testing.ts';

describe('a GPU that is preferred', () => {
  const preferring = resource({ gpu: { policy: 'Preferred', fallbackAfter: '2m' } });
  const waiting = (...pods: Pod[]) =>
    observed().with(live(main(preferring), { observedGeneration: 3, replicas: 2, updatedReplicas: 2 }), ...pods);

  it('is waited for until the time is over', () => {
    const seen = waiting(pod('gpu', 'NoGPU'), pod('gpu', 'NoGPU')).at(60);
    expect(bridge(preferring, seen)).toBeUndefined();
    expect(kind.desired(preferring, seen).requeueAfterMs).toBe(60_000);
    expect(condition(preferring, seen, 'GPUAllocated')).toMatchObject({ status: 'False', reason: 'InsufficientGPU' });
  });

  it('is bridged on CPU then, while the pods that want it stay in the queue', () => {
    const seen = waiting(pod('gpu', 'NoGPU'), pod('gpu', 'Ready')).at(120);
    expect(bridge(preferring, seen)?.spec.replicas).toBe(1);
    expect(JSON.stringify(bridge(preferring, seen))).not.toContain('nvidia.com/gpu');
    expect(JSON.stringify(main(preferring, seen))).toContain('nvidia.com/gpu');
    expect(condition(preferring, seen, 'GPUAllocated')).toMatchObject({ status: 'False', reason: 'FellBackToCPU' });
  });

  it('is Ready while the bridge serves', () => {
    const seen = waiting(pod('gpu', 'NoGPU'), pod('gpu', 'NoGPU'), pod('cpu', 'Ready'), pod('cpu', 'Ready')).at(120);
    const there = live(bridge(preferring, seen), { ...rolled }, 2);
    expect(phase(preferring, seen.with(there))).toBe('Ready');
    expect(condition(preferring, seen, 'Ready')).toMatchObject({ reason: 'ServingOnCPU' });
  });

  it('takes over when it is free, and only then the bridge goes', () => {
    const seen = waiting(pod('gpu', 'NoGPU'), pod('gpu', 'NoGPU')).at(120);
    const there = live(bridge(preferring, seen), rolled);
    const half = observed().with(
      live(main(preferring), rolled),
      there,
      pod('gpu', 'Ready'),
      pod('cpu', 'Ready'),
      pod('cpu', 'Ready'),
    );
    expect(bridge(preferring, half)?.spec.replicas).toBe(1);
    const whole = observed().with(
      live(main(preferring), rolled),
      there,
      pod('gpu', 'Ready'),
      pod('gpu', 'Ready'),
      pod('cpu', 'Ready'),
    );
    expect(bridge(preferring, whole)).toBeUndefined();
    expect(condition(preferring, whole, 'GPUAllocated')).toMatchObject({ status: 'True' });
  });

  it('is never bridged when it is required', () => {
    const requiring = resource({ gpu: { policy: 'Required' } });
    const seen = observed()
      .with(live(main(requiring), {}), pod('gpu', 'NoGPU'))
      .at(9999);
    expect(bridge(requiring, seen)).toBeUndefined();
    expect(condition(requiring, seen, 'Ready')).toMatchObject({ reason: 'InsufficientGPU' });
  });
});

describe('a rollout while every GPU is held', () => {
  const surging = (replicas: number) => ({ ...rolled, replicas: replicas + 1, updatedReplicas: 1 });
  const strategy = (one: Served, seen: ObservedBuilder) => {
    const found = main(one, seen)?.spec.strategy as { rollingUpdate: { maxUnavailable: number } } | undefined;
    return found?.rollingUpdate.maxUnavailable;
  };

  it('takes the GPU of an old pod where others serve meanwhile', () => {
    const one = resource({ gpu: { policy: 'Required' } });
    const seen = observed().with(
      live(main(one), surging(2)),
      pod('gpu', 'Ready'),
      pod('gpu', 'Ready'),
      pod('gpu', 'NoGPU'),
    );
    expect(strategy(one, seen)).toBe(1);
    const gone = observed().with(live(main(one), rolled), pod('gpu', 'Ready'), pod('gpu', 'Ready'));
    expect(strategy(one, gone)).toBe(0);
  });

  it('does not end the only pod when a GPU is required, and says what helps', () => {
    const one = resource({ replicas: 1, gpu: { policy: 'Required' } });
    const seen = observed().with(live(main(one), surging(1), 1), pod('gpu', 'Ready'), pod('gpu', 'NoGPU'));
    expect(strategy(one, seen)).toBe(0);
    expect(condition(one, seen, 'Ready')?.message).toMatch(/Insufficient.*free a GPU, or delete that pod/);
  });

  it('serves on CPU for the old pod that ends, when a GPU is preferred', () => {
    const one = resource({ replicas: 1, gpu: { policy: 'Preferred', fallbackAfter: '2m' } });
    const held = [live(main(one), surging(1), 1), pod('gpu', 'Ready'), pod('gpu', 'NoGPU')];
    expect(
      bridge(
        one,
        observed()
          .with(...held)
          .at(60),
      ),
    ).toBeUndefined();
    const due = observed()
      .with(...held)
      .at(120);
    expect(bridge(one, due)?.spec.replicas).toBe(1);
    expect(strategy(one, due)).toBe(0);
    const bridged = observed()
      .with(...held, pod('cpu', 'Ready'))
      .at(120);
    expect(strategy(one, bridged)).toBe(1);
  });

  it('takes as many away as are missing anyway, or the last old pod would never end', () => {
    const one = resource({ gpu: { policy: 'Preferred', fallbackAfter: '2m' } });
    const seen = observed()
      .with(live(main(one), surging(2)), pod('gpu', 'Ready'), pod('gpu', 'NoGPU'), pod('gpu', 'NoGPU'))
      .with(pod('cpu', 'Ready'), pod('cpu', 'Ready'))
      .at(120);
    expect(bridge(one, seen)?.spec.replicas).toBe(2);
    expect(strategy(one, seen)).toBe(2);
  });
});
