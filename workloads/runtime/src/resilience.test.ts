import { Registry } from 'prom-client';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { QuintetError } from './errors.ts';
import { dependency } from './resilience.ts';

const failing = (times: number) => {
  let calls = 0;
  return {
    work: async () => {
      calls += 1;
      if (calls <= times) throw new Error(`failure ${calls}`);
      return `after ${calls}`;
    },
    get calls() {
      return calls;
    },
  };
};

describe('policies around a dependency', () => {
  test('retry what fails for a moment', async () => {
    const service = failing(2);
    expect(await dependency('d', { retries: 2, backoff: 1 }).call(service.work)).toBe('after 3');
  });

  test('say in the end that the dependency is unavailable, why, and when to come back', async () => {
    const service = failing(Number.POSITIVE_INFINITY);
    const call = dependency('the store', { retries: 1, backoff: 1, openFor: 4000 }).call(service.work);
    await expect(call).rejects.toMatchObject({
      code: 'DEPENDENCY_UNAVAILABLE',
      status: 503,
      retryAfter: 4,
      message: 'the store does not answer: failure 2',
    });
    expect(service.calls).toBe(2);
  });

  test('end a call that takes too long, even when it ignores its signal', async () => {
    const stuck = dependency('d', { timeout: 20, retries: 0 });
    await expect(stuck.call(() => new Promise(() => undefined))).rejects.toMatchObject({
      message: 'd does not answer: it took too long',
    });
  });

  test('leave a failing dependency alone, and try it again after a while', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const registry = new Registry();
    const service = failing(3);
    const guarded = dependency('d', { retries: 0, failures: 3, openFor: 30, registry });
    for (let at = 0; at < 3; at++) expect(await guarded.callOr(service.work, 'without')).toBe('without');
    expect(guarded.available).toBe(false);
    expect(await guarded.callOr(service.work, 'without')).toBe('without');
    expect(service.calls).toBe(3);
    expect(await registry.metrics()).toContain('quintet_dependency_up{dependency="d"} 0');
    vi.setSystemTime(Date.now() + 30);
    expect([guarded.available, guarded.healthy]).toEqual([true, false]);
    const trial = guarded.callOr(service.work, 'without');
    expect(guarded.available).toBe(false);
    expect(await trial).toBe('after 4');
    expect([guarded.available, guarded.healthy]).toEqual([true, true]);
    expect(await registry.metrics()).toContain('quintet_dependency_up{dependency="d"} 1');
  });

  test('pass on errors that say nothing about the dependency, without retrying or counting them', async () => {
    const guarded = dependency('d', { retries: 5, failures: 1 });
    const missing = new QuintetError('NOT_FOUND', { what: 'the item' });
    let calls = 0;
    const call = () =>
      guarded.call(async () => {
        calls += 1;
        throw missing;
      });
    await expect(call()).rejects.toBe(missing);
    await expect(guarded.callOr(async () => Promise.reject(missing), 'otherwise')).rejects.toBe(missing);
    expect([calls, guarded.available]).toEqual([1, true]);
  });

  test('stop when the caller goes away, and do not hold that against the dependency', async () => {
    const guarded = dependency('d', { failures: 1, retries: 0 });
    const caller = new AbortController();
    const call = guarded.call(
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
      caller.signal,
    );
    caller.abort();
    await expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(guarded.available).toBe(true);
  });
});
