// One resource over many cycles, by what is seen of it: sleep, another autoscaler, and conditions about a bound.
import { compressionService, parseStored } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import type { Served } from '../kinds/serving/engines.ts';
import type { Pod } from '../objects/types.ts';
import type { FrontSeen } from './fronts.ts';
import { readPage } from './page.ts';
import { type Outcome, ScaledResource, type Seen } from './resource.ts';
import { signalsOf } from './signals.ts';

const served = (autoscaling: object, spec: object = {}) =>
  parseStored(compressionService, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'CompressionService',
    metadata: { name: 'notes', namespace: 'team', uid: 'u1', generation: 1 },
    spec: { autoscaling: { metrics: [{ type: 'Concurrency', target: '4' }], ...autoscaling }, ...spec },
  }) as Served;

const pod = (name: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, uid: name },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
});

/** Sees the same again and again, every 2 s. */
class Watched {
  readonly scaled = new ScaledResource();
  now = 1_700_000_000_000;
  seen: Omit<Seen, 'now' | 'signals'>;
  inFlight = 0;

  constructor(resource: Served, pods: number) {
    const names = Array.from({ length: pods }, (_, i) => pod(`pod-${i}`));
    this.seen = { resource, live: pods, rival: undefined, pods: names };
  }

  cycles(count: number, inFlight = () => this.inFlight): Outcome[] {
    return Array.from({ length: count }, () => {
      this.now += 2_000;
      const figures = readPage(`quintet_requests_in_flight ${inFlight()}\n`);
      const said = signalsOf({ at: this.now, figures }, undefined, undefined);
      const signals = new Map(this.seen.pods.map(({ metadata }) => [metadata.uid ?? '', said]));
      return this.scaled.update({ ...this.seen, now: this.now, signals }) as Outcome;
    });
  }

  get scaling() {
    return this.scaled.scaling;
  }
}

const addresses = ['10.0.0.9'];
const front = (more: Partial<FrontSeen> = {}): FrontSeen => ({
  front: { activator: 'quintet/activator', port: 20_000, addresses },
  isFronted: true,
  readyEndpoints: 1,
  waiting: 0,
  voices: [],
  ...more,
});
const sleepy = served({ minReplicas: 0, maxReplicas: 2, scaleToZero: { after: '10s' } });
const none = { live: 0, pods: [], front: front({ readyEndpoints: 0 }) };

describe('a resource asleep that gets another autoscaler', () => {
  const asleep = () => {
    const one = new Watched(sleepy, 1);
    one.seen = { ...one.seen, front: front() };
    one.cycles(20);
    expect(one.scaling).toMatchObject({ replicas: 0, front: { addresses } });
    return one;
  };

  it('is woken with one pod, for the other does nothing at none, and the activators stay until it serves', () => {
    const one = asleep();
    one.seen = { ...one.seen, ...none, rival: { name: 'hpa', target: 'Deployment' } };
    one.cycles(3);
    expect(one.scaling).toMatchObject({ replicas: 1, yieldsTo: { name: 'hpa' }, front: { addresses } });
    one.seen = { ...one.seen, live: 1, pods: [pod('new')] };
    one.cycles(1);
    expect(one.scaling).toMatchObject({ replicas: undefined, front: { addresses } });
    one.seen = { ...one.seen, front: front() };
    one.cycles(1);
    expect(one.scaling?.front).toBeUndefined();
    // From then on none is the other's wish, or a hand's.
    one.seen = { ...one.seen, ...none, front: front({ isFronted: false, readyEndpoints: 0 }) };
    one.cycles(3);
    expect(one.scaling?.replicas).toBeUndefined();
  });

  it('is woken by a new leader, too, which sees the activators stand in', () => {
    const one = new Watched(sleepy, 0);
    one.seen = { ...one.seen, ...none, rival: { name: 'hpa', target: 'Deployment' } };
    one.cycles(1);
    expect(one.scaling?.replicas).toBe(1);
  });

  it('is left at none where a hand had set that', () => {
    const one = new Watched(served({ maxReplicas: 2 }), 0);
    one.seen = { ...one.seen, rival: { name: 'hpa', target: 'Deployment' } };
    one.cycles(3);
    expect(one.scaling?.replicas).toBeUndefined();
  });
});

describe('what is told of a resource', () => {
  it('turns with what holds its count back only when that lasts', () => {
    const one = new Watched(served({ maxReplicas: 2 }), 2);
    one.cycles(3, () => 4);
    let i = 0;
    const breaths = one.cycles(100, () => (i++ % 2 ? 4 : 6));
    expect(breaths.filter(({ changed }) => changed)).toEqual([]);
    const lasting = one.cycles(20, () => 6);
    expect(lasting.filter(({ changed }) => changed)).toHaveLength(1);
    expect(one.scaling?.limited).toMatchObject({ status: 'True', reason: 'TooManyReplicas' });
  });
});

it('a resource of which only old figures are known sleeps no sooner than those may be old', () => {
  const one = new Watched(sleepy, 1);
  one.seen = { ...one.seen, front: front(), lagMs: 120_000 };
  one.cycles(50);
  expect(one.scaling?.replicas).toBe(1);
  one.cycles(20);
  expect(one.scaling?.replicas).toBe(0);
});
