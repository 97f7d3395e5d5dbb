// The HPA's documented cases and those of its own tests, and laws that hold whatever is measured.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Behavior, decide, defaultBehavior, type Input, type Memory } from './decide.ts';
import type { PodSample } from './replicas.ts';

const ready = (...values: (number | undefined)[]): PodSample[] => values.map((value) => ({ ready: true, value }));
const unready = (...values: (number | undefined)[]): PodSample[] => values.map((value) => ({ ready: false, value }));
const perPod = (target: number, pods: PodSample[], name = 'QueueDepth') => ({
  name,
  of: 'Pods' as const,
  target,
  pods,
});
const whole = (target: number, value: number | undefined, readyPods: number, name = 'LatencyP95') => ({
  name,
  of: 'Whole' as const,
  target,
  value,
  readyPods,
});

const input = (over: Partial<Input>): Input => ({
  now: 1_000_000,
  current: 2,
  min: 1,
  max: 100,
  behavior: { ...defaultBehavior, scaleDown: { ...defaultBehavior.scaleDown, stabilizationWindowSeconds: 0 } },
  readings: [],
  memory: undefined,
  ...over,
});

const rules = (up: Partial<Behavior['scaleUp']>, down: Partial<Behavior['scaleDown']> = {}): Behavior => ({
  scaleUp: { ...defaultBehavior.scaleUp, ...up },
  scaleDown: { ...defaultBehavior.scaleDown, stabilizationWindowSeconds: 0, ...down },
});
const changes = (...by: number[]): Memory => ({
  recommendations: [],
  changes: by.map((each) => ({ at: 990_000, by: each })),
});

describe('the decision, by the documented cases of the HPA', () => {
  const cases: Record<string, { given: Partial<Input>; want: number; limited?: string; active?: boolean }> = {
    '200m against 100m doubles': { given: { readings: [perPod(100, ready(200, 200))] }, want: 4 },
    '50m against 100m halves': { given: { readings: [perPod(100, ready(50, 50))] }, want: 1 },
    'a ratio within 0.1 of one changes nothing': { given: { readings: [perPod(100, ready(109, 109))] }, want: 2 },
    'a ratio of exactly 1.1 changes nothing': { given: { readings: [perPod(10, ready(11, 11))] }, want: 2 },
    'a ratio of exactly 0.9 changes nothing': {
      given: { current: 10, readings: [perPod(10, ready(...Array<number>(10).fill(9)))] },
      want: 10,
    },
    'a ratio beyond 0.1 rounds up': { given: { readings: [perPod(100, ready(111, 111))] }, want: 3 },
    'a tolerance of its own for growing': {
      given: { behavior: rules({ tolerance: 0.5 }), readings: [perPod(100, ready(140, 140))] },
      want: 2,
    },
    'a tolerance of its own for shrinking': {
      given: { current: 4, behavior: rules({}, { tolerance: 0.5 }), readings: [perPod(100, ready(60, 60, 60, 60))] },
      want: 4,
    },
    'of several metrics the largest count wins': {
      given: { readings: [perPod(100, ready(50, 50)), perPod(10, ready(30, 30), 'Concurrency')] },
      want: 6,
    },
    'a metric that is missing does not hinder growing': {
      given: { readings: [perPod(100, ready(200, 200)), whole(1, undefined, 2)] },
      want: 4,
    },
    'a metric that is missing hinders shrinking': {
      given: { readings: [perPod(100, ready(10, 10)), whole(1, undefined, 2)] },
      want: 2,
      active: false,
    },
    'no metric at all holds': { given: { current: 7, readings: [whole(1, undefined, 7)] }, want: 7, active: false },
    'no pod that answers holds': {
      given: { current: 3, readings: [perPod(4, ready(undefined, undefined, undefined))] },
      want: 3,
      active: false,
    },
    'unready pods count as idle when growing': {
      given: { current: 5, readings: [perPod(300, [...ready(900, 900, 900), ...unready(undefined, undefined)])] },
      want: 9,
    },
    'unready pods that would turn growth into shrinking keep the count': {
      given: { current: 3, readings: [perPod(480, [...ready(700), ...unready(undefined, undefined)])] },
      want: 3,
    },
    'unready pods are left out when shrinking': {
      given: { current: 5, readings: [perPod(50, [...ready(10, 30, 20), ...unready(100, 500)])] },
      want: 2,
    },
    'a silent pod counts as fully used when shrinking': {
      given: { current: 5, readings: [perPod(100, ready(10, 10, 10, 10, undefined))] },
      want: 2,
    },
    'a silent pod counts as idle when growing': {
      given: { current: 5, readings: [perPod(100, ready(200, 200, 200, 200, undefined))] },
      want: 8,
    },
    'silent pods that make it one over the target keep the count': {
      given: { current: 2, readings: [perPod(100, ready(110, undefined))] },
      want: 2,
    },
    'a figure of the whole multiplies the ready pods': { given: { readings: [whole(0.1, 0.3, 2)] }, want: 6 },
    'more than maxReplicas is never asked for': {
      given: { max: 3, readings: [perPod(1, ready(9, 9))] },
      want: 3,
      limited: 'TooManyReplicas',
    },
    'fewer than minReplicas neither': {
      given: { current: 5, min: 4, readings: [perPod(100, ready(1, 1, 1, 1, 1))] },
      want: 4,
      limited: 'TooFewReplicas',
    },
    'below minReplicas it goes there at once, measured or not': {
      given: { current: 1, min: 3 },
      want: 3,
      limited: 'TooFewReplicas',
    },
    'above maxReplicas it goes there at once, measured or not': {
      given: { current: 9, max: 3 },
      want: 3,
      limited: 'TooManyReplicas',
    },
    'by default it grows by 100 % or 4 pods in 15 s, whichever is more: from 1 to 5': {
      given: { current: 1, readings: [perPod(1, ready(50))] },
      want: 5,
      limited: 'ScaleUpLimit',
    },
    'by default it grows by 100 % or 4 pods in 15 s, whichever is more: from 10 to 20': {
      given: { current: 10, readings: [perPod(1, ready(...Array<number>(10).fill(50)))] },
      want: 20,
      limited: 'ScaleUpLimit',
    },
    'what was added within the period counts': {
      given: { current: 20, memory: changes(10), readings: [perPod(1, ready(...Array<number>(20).fill(50)))] },
      want: 20,
      limited: 'ScaleUpLimit',
    },
    'selectPolicy Min takes the slowest': {
      given: {
        current: 10,
        behavior: rules({ selectPolicy: 'Min' }),
        readings: [perPod(1, ready(...Array<number>(10).fill(50)))],
      },
      want: 14,
      limited: 'ScaleUpLimit',
    },
    'selectPolicy Disabled never grows': {
      given: { behavior: rules({ selectPolicy: 'Disabled' }), readings: [perPod(1, ready(50, 50))] },
      want: 2,
      limited: 'ScaleUpLimit',
    },
    'selectPolicy Disabled never shrinks': {
      given: { current: 8, behavior: rules({}, { selectPolicy: 'Disabled' }), readings: [perPod(100, ready(1))] },
      want: 8,
      limited: 'ScaleDownLimit',
    },
    'shrinks by at most 10 % a minute, of 80 to 72': {
      given: {
        current: 80,
        behavior: rules({}, { policies: [{ type: 'Percent', value: 10, periodSeconds: 60 }] }),
        readings: [perPod(100, ready(...Array<number>(80).fill(1)))],
      },
      want: 72,
      limited: 'ScaleDownLimit',
    },
    'shrinks by 4 pods or 10 %, the larger: of 80 to 72, of 10 to 6': {
      given: {
        current: 10,
        behavior: rules(
          {},
          {
            policies: [
              { type: 'Pods', value: 4, periodSeconds: 60 },
              { type: 'Percent', value: 10, periodSeconds: 60 },
            ],
          },
        ),
        readings: [perPod(100, ready(...Array<number>(10).fill(1)))],
      },
      want: 6,
      limited: 'ScaleDownLimit',
    },
    'what was removed within the period counts': {
      given: {
        current: 72,
        memory: changes(-8),
        behavior: rules({}, { policies: [{ type: 'Percent', value: 10, periodSeconds: 60 }] }),
        readings: [perPod(100, ready(...Array<number>(72).fill(1)))],
      },
      want: 72,
      limited: 'ScaleDownLimit',
    },
    'the largest recommendation of the last 300 s holds a shrink': {
      given: {
        current: 8,
        behavior: defaultBehavior,
        memory: {
          recommendations: [
            { at: 690_000, replicas: 9 },
            { at: 800_000, replicas: 6 },
          ],
          changes: [],
        },
        readings: [perPod(100, ready(...Array<number>(8).fill(10)))],
      },
      want: 6,
      limited: 'ScaleDownStabilized',
    },
    'the smallest recommendation of the window holds a growth': {
      given: {
        behavior: rules({ stabilizationWindowSeconds: 60 }),
        memory: { recommendations: [{ at: 960_000, replicas: 3 }], changes: [] },
        readings: [perPod(100, ready(400, 400))],
      },
      want: 3,
      limited: 'ScaleUpStabilized',
    },
    'the first decision after a start holds what runs': {
      given: { current: 8, behavior: defaultBehavior, readings: [perPod(100, ready(...Array<number>(8).fill(1)))] },
      want: 8,
      limited: 'ScaleDownStabilized',
    },
    'a target of zero is not measured': { given: { readings: [perPod(0, ready(5, 5))] }, want: 2, active: false },
    'min above max: min counts': { given: { current: 3, min: 5, max: 2 }, want: 5 },
    'a forecast asks for more': { given: { forecast: 5, readings: [perPod(100, ready(100, 100))] }, want: 5 },
    'a forecast within the tolerance grows nothing': {
      given: { current: 10, max: 20, forecast: 10.9, readings: [perPod(100, ready(...Array<number>(10).fill(100)))] },
      want: 10,
    },
    'a forecast keeps what is there, as far as it asks for it': {
      given: { current: 10, max: 20, forecast: 7.5, readings: [perPod(100, ready(...Array<number>(10).fill(10)))] },
      want: 8,
    },
    'a forecast never asks for less': { given: { forecast: 1, readings: [perPod(100, ready(200, 200))] }, want: 4 },
  };
  it.each(Object.entries(cases))('%s', (_name, { given, want, limited, active }) => {
    const decision = decide(input(given));
    expect(decision).toMatchObject({ desired: want, active: active ?? true, ...(limited && { limited }) });
  });
});

describe('the decision, whatever is measured', () => {
  const anyValue = fc.oneof(
    fc.double({ min: 0, max: 1e6 }),
    fc.constantFrom(undefined, Number.NaN, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1e308),
  );
  const anyReading = fc.oneof(
    fc.record({
      name: fc.constant('QueueDepth'),
      of: fc.constant('Pods' as const),
      target: fc.oneof(fc.double({ min: 0.001, max: 1e4 }), fc.constantFrom(0, -1, Number.NaN)),
      pods: fc.array(fc.record({ ready: fc.boolean(), value: anyValue }), { maxLength: 20 }),
    }),
    fc.record({
      name: fc.constant('LatencyP95'),
      of: fc.constant('Whole' as const),
      target: fc.double({ min: 0.001, max: 1e4 }),
      value: anyValue,
      readyPods: fc.nat(20),
    }),
  );
  const anyInput = fc
    .record({
      current: fc.nat(60),
      min: fc.nat(20),
      over: fc.nat(40),
      forecast: fc.oneof(fc.constant(undefined), fc.double()),
      readings: fc.array(anyReading, { maxLength: 4 }),
    })
    .map(({ over, ...rest }) => input({ ...rest, max: rest.min + over, behavior: defaultBehavior }));

  it('stays between min and max, in whole pods', () => {
    fc.assert(
      fc.property(anyInput, (one) => {
        const { desired } = decide(one);
        expect(Number.isInteger(desired)).toBe(true);
        expect(desired).toBeGreaterThanOrEqual(one.min);
        expect(desired).toBeLessThanOrEqual(one.max);
      }),
    );
  });

  it('never shrinks on what nobody could have measured', () => {
    const nonsense = fc.constantFrom(undefined, Number.NaN, -1, Number.POSITIVE_INFINITY);
    fc.assert(
      fc.property(
        fc.array(nonsense, { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 1, max: 50 }),
        (values, pods) => {
          const decision = decide(input({ current: pods, readings: [perPod(4, ready(...values))] }));
          expect(decision).toMatchObject({ desired: pods, active: false });
        },
      ),
    );
  });

  it('keeps its memory bounded, and an outage never shrinks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 200, maxLength: 400 }),
        (loads) => {
          let memory: Memory | undefined;
          let current = 2;
          let shrunkUnheard = false;
          loads.forEach((load, i) => {
            const outage = i % 3 === 0;
            const readings = [perPod(4, outage ? ready(undefined, undefined) : ready(load, load))];
            const next = decide(input({ now: i * 15_000, current, memory, behavior: defaultBehavior, readings }));
            shrunkUnheard ||= outage && next.desired < current;
            ({ desired: current, memory } = next);
          });
          expect(shrunkUnheard).toBe(false);
          expect(memory?.recommendations.length).toBeLessThanOrEqual(22);
          expect(memory?.changes.length).toBeLessThanOrEqual(22);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('changes direction at most twice after a step of the load', () => {
    const directions: number[] = [];
    let memory: Memory | undefined;
    let current = 2;
    for (let t = 0; t < 240; t++) {
      const load = t < 40 ? 8 : 40;
      const readings = [perPod(4, ready(...Array<number>(current).fill(load / current)))];
      const next = decide(input({ now: t * 5000, current, memory, behavior: defaultBehavior, readings }));
      if (next.desired !== current) directions.push(Math.sign(next.desired - current));
      ({ desired: current, memory } = next);
    }
    expect(current).toBe(10);
    expect(directions.filter((each, i) => i > 0 && each !== directions[i - 1]).length).toBeLessThanOrEqual(2);
  });
});
