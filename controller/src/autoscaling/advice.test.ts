import type { CompressionService } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import type { Scaling } from '../kinds/serving/scaling.ts';
import { Advice } from './advice.ts';
import type { PodSignals } from './signals.ts';

const resource = (requests: object, autoscaling: object = {}) =>
  ({
    spec: { resources: { requests }, autoscaling: { minReplicas: 1, maxReplicas: 4, ...autoscaling } },
  }) as CompressionService;
const held = (reason: string) => ({ limited: { reason } }) as Scaling;
const pod = (cpu: number, mebibytes: number) => ({ cpu, memory: mebibytes * 2 ** 20 }) as PodSignals;

/** An hour and a half of looks, one each 2 s. */
function watched(at: (i: number) => PodSignals, reason = 'DesiredWithinRange', looks = 2700): Advice {
  const advice = new Advice();
  for (let i = 0; i < looks; i++) advice.add([at(i)], held(reason), 2);
  return advice;
}

describe('advice on what a resource asks for', () => {
  it('is what 95 % of moments used of CPU and the most of memory, and a reserve', () => {
    const advice = watched((i) => pod(i % 50 === 0 ? 2 : 0.2, i === 7 ? 400 : 300));
    const said = advice.of(resource({ cpu: '2', memory: '128Mi' }));
    expect(said).toMatch(
      /^resources.requests.cpu 2[3-7]0m instead of 2000m; resources.requests.memory 460Mi instead of 128Mi$/,
    );
    expect(advice.of(resource({}))).toMatch(/^resources.requests.cpu 2[3-7]0m; resources.requests.memory 460Mi$/);
  });

  it('is none where requests fit, or after less than an hour', () => {
    const fits = resource({ cpu: '250m', memory: '400Mi' });
    expect(watched(() => pod(0.2, 330)).of(fits)).toBe('');
    expect(watched(() => pod(3, 3000), 'TooManyReplicas', 1000).of(fits)).toBeUndefined();
  });

  it('names a bound that holds the count', () => {
    const fits = { cpu: '250m', memory: '400Mi' };
    expect(watched(() => pod(0.2, 330), 'TooManyReplicas').of(resource(fits))).toBe(
      'maxReplicas above 4, which held the count 100 % of the time',
    );
    expect(watched(() => pod(0.2, 330), 'TooFewReplicas').of(resource(fits, { minReplicas: 3 }))).toBe(
      'minReplicas below 3, which held the count 100 % of the time',
    );
    expect(watched(() => pod(0.2, 330), 'TooFewReplicas').of(resource(fits))).toBe('');
  });

  it('says nothing of pods that say nothing', () => {
    expect(watched(() => ({}) as PodSignals).of(resource({}))).toBe('');
  });
});
