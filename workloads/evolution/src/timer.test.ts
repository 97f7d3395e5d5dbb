import { afterEach, expect, it, vi } from 'vitest';
import { BudgetClock } from './run/clock.ts';
import { after } from './timer.ts';

const hour = 3_600_000;

afterEach(() => void vi.useRealTimers());

it('what lasts longer than 25 days ends when it should, and not before', () => {
  vi.useFakeTimers();
  const work = vi.fn<() => void>();
  after(10_000 * hour, work);
  vi.advanceTimersByTime(10_000 * hour - 1);
  expect(work).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(work).toHaveBeenCalledTimes(1);
});

it('what is stopped never ends, however far it has come', () => {
  vi.useFakeTimers();
  const work = vi.fn<() => void>();
  const stop = after(10_000 * hour, work);
  vi.advanceTimersByTime(2000 * hour);
  stop();
  vi.advanceTimersByTime(20_000 * hour);
  expect(work).not.toHaveBeenCalled();
});

it('a budget of months is not over at once, nor is the time to find again what was done in months', () => {
  vi.useFakeTimers();
  for (const before of [
    { seconds: 0, placed: 0 },
    { seconds: 900 * 3600, placed: 9 },
  ]) {
    const strike = vi.fn<() => void>();
    const clock = new BudgetClock({ seconds: 1000 * 3600, started: performance.now(), before, strike });
    vi.advanceTimersByTime(990 * hour);
    expect(strike).not.toHaveBeenCalled();
    clock.end();
  }
});
