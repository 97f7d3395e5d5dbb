import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pace } from './pace.ts';

/** Runs batches against a simulated engine whose batch of n takes `fixed + each × n` milliseconds, always with a backlog. */
function settle(options: Parameters<typeof pace>[0], fixed: number, each: number) {
  const tempo = pace(options);
  const sizes: number[] = [];
  for (let round = 0; round < 400; round++) {
    tempo.arrived(round);
    tempo.finished({ size: tempo.size, waited: 0, took: fixed + each * tempo.size, left: 100 });
    sizes.push(tempo.size);
  }
  return sizes.slice(-100);
}

describe('the pace of batches', () => {
  test('keeps size and wait within their bounds for any sequence of batches', () => {
    const seen = fc.record({ size: fc.nat(100), waited: fc.nat(5000), took: fc.nat(5000), left: fc.nat(100) });
    fc.assert(
      fc.property(
        fc.array(seen),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 20, max: 64 }),
        fc.nat(100),
        (batches, minSize, maxSize, maxWait) => {
          const tempo = pace({ minSize, maxSize, maxWait });
          for (const [at, batch] of batches.entries()) {
            tempo.arrived(at);
            tempo.finished(batch);
            expect(tempo.size).toBeGreaterThanOrEqual(minSize);
            expect(tempo.size).toBeLessThanOrEqual(maxSize);
            expect(tempo.wait).toBeGreaterThanOrEqual(0);
            expect(tempo.wait).toBeLessThanOrEqual(maxWait);
          }
        },
      ),
    );
  });

  test('grows to the largest size while latency allows it', () => {
    expect(Math.min(...settle({ maxSize: 32, targetLatency: 1000 }, 10, 1))).toBe(32);
  });

  test('hovers around the size that just meets the target latency', () => {
    const sizes = settle({ maxSize: 64, targetLatency: 100 }, 20, 5);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(17);
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(10);
  });

  test('does not wait when arrivals are too rare for a batch to fill', () => {
    const tempo = pace({ maxWait: 50 });
    for (let at = 0; at < 10; at++) tempo.arrived(at * 1000);
    expect(tempo.wait).toBe(0);
    for (let at = 0; at < 100; at++) tempo.arrived(9000 + at);
    expect(tempo.wait).toBeGreaterThan(0);
  });
});
