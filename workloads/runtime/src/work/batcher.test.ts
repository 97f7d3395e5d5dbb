import * as fc from 'fast-check';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { batcher } from './batcher.ts';

const later = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Work that stands still until `open` is called. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

describe('a batcher', () => {
  test('answers every item with its own result, in batches no larger than allowed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer(), { maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 3 }),
        async (items, maxSize, concurrency) => {
          const sizes: number[] = [];
          const work = batcher<number, number>({
            name: 'double',
            maxSize,
            concurrency,
            maxWait: 1,
            run: async (batch) => {
              sizes.push(batch.length);
              await later(0);
              return batch.map((item) => item * 2);
            },
          });
          expect(await Promise.all(items.map((item) => work.submit(item)))).toEqual(items.map((item) => item * 2));
          expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(items.length);
          expect(sizes.every((size) => size <= maxSize)).toBe(true);
          await work.close();
        },
      ),
      { numRuns: 30 },
    );
  });

  test('rejects only the item whose result is an error, and all of a batch that threw', async () => {
    const work = batcher<string, string>({
      name: 'w',
      maxSize: 2,
      startSize: 2,
      run: async (items) => {
        if (items.includes('throw')) throw new Error('whole batch');
        return items.map((item) => (item === 'bad' ? new Error('this one') : item));
      },
    });
    const first = await Promise.allSettled([work.submit('good'), work.submit('bad')]);
    expect(first).toMatchObject([{ value: 'good' }, { reason: { message: 'this one' } }]);
    const second = await Promise.allSettled([work.submit('good'), work.submit('throw')]);
    expect(second).toMatchObject([{ reason: { message: 'whole batch' } }, { reason: { message: 'whole batch' } }]);
  });

  test('rejects a batch whose results do not match its items instead of mixing them up', async () => {
    const work = batcher<string, string>({ name: 'w', run: async () => ['one', 'too many'] });
    await expect(work.submit('a')).rejects.toThrow('2 results for 1 items');
  });

  test('sheds load with 503 and Retry-After once its queue is full, and serves what it accepted', async () => {
    const { open, opened } = gate();
    const registry = new Registry();
    const work = batcher<number, number>({
      name: 'busy',
      maxSize: 1,
      maxQueue: 3,
      registry,
      run: async (items) => {
        await opened;
        return items;
      },
    });
    const running = work.submit(0);
    await later(5);
    const accepted = [1, 2, 3].map((item) => work.submit(item));
    await expect(work.submit(4)).rejects.toMatchObject({
      code: 'OVERLOADED',
      status: 503,
      retryAfter: expect.any(Number),
    });
    const page = await registry.metrics();
    expect(page).toContain('quintet_queue_depth{queue="busy",priority="Normal"} 3');
    expect(page).toContain('quintet_queue_rejected_total{queue="busy",code="OVERLOADED"} 1');
    open();
    expect(await Promise.all([running, ...accepted])).toEqual([0, 1, 2, 3]);
  });

  test('refuses at once what cannot be done before its deadline', async () => {
    let clock = 0;
    const work = batcher<number, number>({
      name: 'slow',
      maxSize: 1,
      now: () => clock,
      run: async (items) => {
        clock += 1000;
        return items;
      },
    });
    await work.submit(1);
    await expect(work.submit(2, { deadline: clock + 500 })).rejects.toMatchObject({
      code: 'DEADLINE_UNREACHABLE',
      status: 503,
    });
    await expect(work.submit(2, { deadline: clock })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await work.submit(3, { deadline: clock + 5000 })).toBe(3);
  });

  test('takes an item out of the queue when its caller goes away, and aborts a batch that nobody waits for', async () => {
    const { open, opened } = gate();
    const seen: number[] = [];
    let aborted = false;
    const work = batcher<number, number>({
      name: 'w',
      maxSize: 1,
      run: async (items, signal) => {
        seen.push(...items);
        signal.addEventListener('abort', () => (aborted = true));
        await opened;
        return items;
      },
    });
    const callers = [new AbortController(), new AbortController()];
    const results = Promise.allSettled(callers.map((caller, at) => work.submit(at, { signal: caller.signal })));
    await later(5);
    for (const caller of callers) caller.abort();
    expect(await results).toMatchObject([{ reason: { code: 'CANCELLED' } }, { reason: { code: 'CANCELLED' } }]);
    expect(aborted).toBe(true);
    open();
    await work.close();
    expect(seen).toEqual([0]);
  });

  test('does not let work that never ends hold its callers', async () => {
    const work = batcher<number, number>({ name: 'stuck', batchTimeout: 20, run: () => new Promise(() => undefined) });
    await expect(work.submit(1)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  test('makes batches of a share of what is allowed, and at least of one', async () => {
    const sizes: number[] = [];
    const work = batcher<number, number>({
      name: 'w',
      maxSize: 8,
      startSize: 8,
      maxWait: 60_000,
      run: async (items) => {
        sizes.push(items.length);
        return items;
      },
    });
    const batchOf = async (items: number) => {
      await Promise.all(Array.from({ length: items }, (_, item) => work.submit(item)));
    };
    await batchOf(8);
    work.limit(0.25);
    await batchOf(4);
    work.limit(0.01);
    await batchOf(2);
    expect(sizes).toEqual([8, 2, 2, 1, 1]);
    await work.close();
  });

  test('finishes what waits and takes no more once it is closed', async () => {
    const work = batcher<number, number>({ name: 'w', maxSize: 4, maxWait: 60_000, run: async (items) => items });
    const waiting = work.submit(1);
    const closed = work.close();
    await expect(work.submit(2)).rejects.toMatchObject({ code: 'DRAINING' });
    await closed;
    expect(await waiting).toBe(1);
  });
});
