import { describe, expect, it } from 'vitest';
import { decideZero, type ZeroDecision, type ZeroInput } from './zero.ts';

const calm = (id: string, total = 0) => ({ id, said: { busy: false, total } });
/** A service that is looked at every 2 s, and may go after 10 s. */
class Watched {
  now = 0;
  last: ZeroDecision | undefined;
  input: ZeroInput = {
    now: 0,
    afterMs: 10_000,
    current: 1,
    readyEndpoints: 1,
    voices: [calm('pod', 7), calm('activator')],
    hasActivator: true,
    isFronted: false,
    waiting: 0,
    perPod: 4,
    most: 8,
    memory: undefined,
  };

  look(changes: Partial<ZeroInput> = {}, times = 1): ZeroDecision {
    Object.assign(this.input, changes);
    for (let i = 0; i < times; i++) {
      this.now += 2_000;
      this.last = decideZero({ ...this.input, now: this.now, memory: this.last?.memory });
    }
    return this.last as ZeroDecision;
  }
}

describe('scaling to zero', () => {
  it('puts the activators in the way first, and takes the pod when every node knows them', () => {
    const one = new Watched();
    expect(one.look({}, 5)).toMatchObject({ front: false, least: 1 });
    expect(one.look({}, 5)).toMatchObject({ front: true, least: 1 });
    expect(one.look({ isFronted: true })).toMatchObject({ front: true, least: 1 });
    expect(one.look({}, 3)).toMatchObject({
      front: true,
      least: 0,
      reason: expect.stringContaining('nothing was asked'),
    });
    expect(one.look({ current: 0, readyEndpoints: 0, voices: [calm('activator')] }, 20)).toMatchObject({
      front: true,
      least: 0,
    });
  });

  it.each([
    ['a request that came and went between two looks', { voices: [calm('pod', 8), calm('activator')] }],
    ['one by way of an activator', { voices: [calm('pod', 7), calm('activator', 1)] }],
    ['an open stream', { voices: [{ id: 'pod', said: { busy: true, total: 7 } }, calm('activator')] }],
    ['a pod that began anew', { voices: [calm('pod', 1), calm('activator')] }],
  ])('begins to count anew after %s', (_what, changes) => {
    const one = new Watched();
    one.look({}, 8);
    one.look({ isFronted: true });
    one.look(changes);
    expect(one.look({}, 4)).toMatchObject({ front: false, least: 1 });
  });

  it.each([
    ['a pod is not heard', { voices: [{ id: 'pod', said: undefined }, calm('activator')] }],
    ['an activator is not heard', { voices: [calm('pod', 7), { id: 'activator', said: undefined }] }],
    ['there is no activator', { hasActivator: false, voices: [calm('pod', 7)] }],
  ])('stays while %s', (_what, changes) => {
    const one = new Watched();
    expect(one.look(changes, 50)).toMatchObject({ front: false, least: 1 });
  });

  it('counts on through a page that was lost, for totals tell what came meanwhile', () => {
    const one = new Watched();
    one.look({}, 3);
    one.look({ voices: [{ id: 'pod', said: undefined }, calm('activator')] });
    expect(one.look({ voices: [calm('pod', 7), calm('activator')] }, 3)).toMatchObject({ front: true });
  });

  it.each([
    [1, 1],
    [5, 2],
    [200, 4],
  ])('wakes for %d requests with %d pods', (waiting, least) => {
    const one = new Watched();
    expect(one.look({ current: 0, readyEndpoints: 0, voices: [], waiting })).toMatchObject({ front: true, least });
  });

  it('never wakes more than maxReplicas', () => {
    expect(new Watched().look({ current: 0, waiting: 200, most: 2 }).least).toBe(2);
  });

  it('does not take a pod away that is longer in coming than the idle time, while a request waits', () => {
    const one = new Watched();
    expect(
      one.look({ readyEndpoints: 0, isFronted: true, voices: [calm('activator', 1)], waiting: 1 }, 500),
    ).toMatchObject({
      front: true,
      least: 1,
    });
    expect(one.look({ waiting: 0 }, 8).least).toBe(0);
  });

  it('steps aside as soon as a pod takes requests', () => {
    const one = new Watched();
    expect(one.look({ readyEndpoints: 0, isFronted: true }).front).toBe(true);
    expect(one.look({ readyEndpoints: 1 }).front).toBe(false);
  });
});
