import { Registry } from 'prom-client';
import { afterEach, describe, expect, test } from 'vitest';
import { createPool, type Pool, type PoolOptions, shared, sharedOf } from './pool.ts';

const open: Pool[] = [];
const poolOf = (options: Partial<PoolOptions> = {}) => {
  const pool = createPool({
    name: 'p',
    filename: new URL('./fixtures/tasks.ts', import.meta.url).href,
    threads: 2,
    ...options,
  });
  open.push(pool);
  return pool;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map(async (pool) => pool.close()));
});

describe('a pool of threads', () => {
  test('runs tasks on several threads and counts them', async () => {
    const registry = new Registry();
    const pool = poolOf({ registry });
    expect(await pool.run({ a: 2, b: 3 })).toBe(5);
    const met = sharedOf(Int32Array, 1);
    const threads = await Promise.all([1, 2].map(async () => pool.run<number>({ met, threads: 2 }, { name: 'meet' })));
    expect(new Set(threads).size).toBe(2);
    expect(await registry.metrics()).toContain('quintet_pool_tasks_total{pool="p",result="ok"} 3');
  });

  test('lets threads read and write the same memory without copying it', async () => {
    const pool = poolOf();
    const input = shared(Float64Array.from({ length: 1000 }, (_, at) => at));
    const output = sharedOf(Float64Array, 1000);
    const parts = [0, 250, 500, 750].map((from) =>
      pool.run({ input, output, from, to: from + 250 }, { name: 'double' }),
    );
    await Promise.all(parts);
    expect(output).toEqual(sharedDoubles());
    function sharedDoubles() {
      const expected = sharedOf(Float64Array, 1000);
      for (let at = 0; at < 1000; at++) expected[at] = 2 * at;
      return expected;
    }
  });

  test('throws what the task threw, and goes on', async () => {
    const pool = poolOf();
    await expect(pool.run({}, { name: 'fail' })).rejects.toThrow(new RangeError('the task itself failed'));
    expect(await pool.run({ a: 1, b: 1 })).toBe(2);
  });

  test.each([
    ['exits', 'exit', {}],
    ['runs out of memory', 'hoard', { maxHeap: 32 }],
  ])('loses only the task of a thread that %s', async (_what, name, options) => {
    const pool = poolOf(options);
    await expect(pool.run({}, { name })).rejects.toMatchObject({ code: 'WORKER_FAILED' });
    expect(await pool.run({ a: 1, b: 1 })).toBe(2);
  });

  test('ends a thread that does not come back in time, or whose caller went away', async () => {
    const pool = poolOf();
    await expect(pool.run({}, { name: 'spin', timeout: 300 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const caller = new AbortController();
    const spinning = pool.run({}, { name: 'spin', signal: caller.signal });
    setTimeout(() => caller.abort(), 50);
    await expect(spinning).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await pool.run({ a: 1, b: 1 })).toBe(2);
  });

  test('keeps the thread of a task that ends when it is told to, and ends one that does not', async () => {
    const pool = poolOf({ threads: 1, minThreads: 1 });
    const before = await pool.run<number>({}, { name: 'thread' });
    const flag = sharedOf(Int32Array, 1);
    const obeying = pool.run({ flag }, { name: 'obey', timeout: 50, leave: { flag, grace: 60_000 } });
    await expect(obeying).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await pool.run<number>({}, { name: 'thread' })).toBe(before);
    const unheard = sharedOf(Int32Array, 1);
    const spinning = pool.run({}, { name: 'spin', timeout: 50, leave: { flag: unheard, grace: 50 } });
    await expect(spinning).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await pool.run<number>({}, { name: 'thread' })).not.toBe(before);
    expect(pool.waiting).toBe(0);
  });

  test.each([
    ['cannot be cancelled', undefined],
    ['can be cancelled', new AbortController().signal],
  ])('says 503 with Retry-After when its queue is full of tasks that %s', async (_what, signal) => {
    const pool = poolOf({ threads: 1, maxQueue: 2 });
    const options = { name: 'thread', ...(signal && { signal }) };
    const runs = Array.from({ length: 9 }, async () => pool.run({}, options));
    expect(pool.waiting).toBe(2);
    const results = await Promise.allSettled(runs);
    const refused = results.filter((result) => result.status === 'rejected').map((result) => result.reason as unknown);
    expect(refused).toHaveLength(6);
    for (const reason of refused) expect(reason).toMatchObject({ code: 'OVERLOADED', status: 503, retryAfter: 1 });
    expect(pool.waiting).toBe(0);
  });
});
