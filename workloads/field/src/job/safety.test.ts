import { describe, expect, it } from 'vitest';
import { judge, type Maxima } from './safety.ts';
import { smallProblem } from './testing.ts';

describe('safety', () => {
  it.each<[string, Maxima]>([
    ['pressure', { anywhere: Number.NaN, zones: {} }],
    ['pressure without end', { anywhere: Infinity, zones: {} }],
    ['zone', { anywhere: 1, zones: { ear: Number.NaN } }],
    ['thermal index', { anywhere: 1, zones: {}, thermalIndex: Number.NaN }],
  ])('refuses a %s that is no number, with limits and without', (_, maxima) => {
    const { safety, medium, frequency } = smallProblem();
    for (const limits of [safety, { ...safety, maxPressure: 1e6 }]) {
      expect(() => judge(limits, maxima, medium, frequency)).toThrow(
        expect.objectContaining({ reason: 'SafetyLimitExceeded', field: 'spec.targets' }),
      );
    }
  });
});
