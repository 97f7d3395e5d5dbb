import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Backoff, backoffMs, pause } from './backoff.ts';

test('a wait lies between half and all of the doubled base, never above the maximum', () => {
  const unit = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
  fc.assert(
    fc.property(fc.nat(2000), unit, (attempt, drawn) => {
      const wait = backoffMs(attempt, { baseMs: 50, maxMs: 60_000, random: () => drawn });
      const full = Math.min(60_000, 50 * 2 ** attempt);
      expect(wait).toBeGreaterThanOrEqual(full / 2);
      expect(wait).toBeLessThanOrEqual(full);
    }),
  );
});

test('waits grow, start again after a reset, and ease to a level', () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 10_000, random: () => 1 });
  expect([backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([100, 200, 400, 800]);
  backoff.ease(1);
  expect(backoff.next()).toBe(200);
  backoff.reset();
  expect(backoff.next()).toBe(100);
});

test('a pause ends at once when its signal aborts', async () => {
  const abort = new AbortController();
  const paused = pause(1e6, abort.signal);
  abort.abort();
  await expect(paused).resolves.toBeUndefined();
  await expect(pause(1e6, abort.signal)).resolves.toBeUndefined();
});
