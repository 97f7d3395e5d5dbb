import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';
import { priorities, WorkQueue } from './queue.ts';

/** A queue whose time passes only when told to. */
function clockedQueue(): { queue: WorkQueue; advance: (ms: number) => void } {
  let now = 0;
  let timers: { at: number; run: () => void }[] = [];
  const queue = new WorkQueue({
    name: 'test',
    backoff: { baseMs: 50, maxMs: 10_000 },
    now: () => now,
    schedule: (run, ms) => {
      const entry = { at: now + ms, run };
      timers.push(entry);
      return () => {
        timers = timers.filter((other) => other !== entry);
      };
    },
  });
  const advance = (ms: number): void => {
    const end = now + ms;
    for (;;) {
      const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      timers = timers.filter((other) => other !== next);
      now = Math.max(now, next.at);
      next.run();
    }
    now = end;
  };
  return { queue, advance };
}

describe('whatever happens', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  const step = fc.oneof(
    fc.record({ do: fc.constant('add' as const), key, low: fc.boolean() }),
    fc.record({ do: fc.constant('addAfter' as const), key, ms: fc.nat(500) }),
    fc.record({ do: fc.constant('retry' as const), key }),
    fc.record({ do: fc.constant('take' as const) }),
    fc.record({ do: fc.constant('done' as const), which: fc.nat(10) }),
    fc.record({ do: fc.constant('advance' as const), ms: fc.nat(1000) }),
  );

  test('one key is never worked on twice at once, and nothing that was added is lost', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
        const { queue, advance } = clockedQueue();
        const working: string[] = [];
        /** Keys that must still be worked on: added, and no work began since. */
        const owed = new Set<string>();
        const take = async (): Promise<void> => {
          if (queue.depth === 0) return;
          const taken = (await queue.take()) as string;
          expect(working).not.toContain(taken);
          working.push(taken);
          owed.delete(taken);
        };
        for (const now of steps) {
          if (now.do === 'add') queue.add(now.key, now.low ? priorities.low : priorities.normal);
          if (now.do === 'addAfter') queue.addAfter(now.key, now.ms);
          if (now.do === 'retry') queue.retry(now.key);
          if ('key' in now) owed.add(now.key);
          if (now.do === 'take') await take();
          if (now.do === 'advance') advance(now.ms);
          if (now.do === 'done' && working.length > 0)
            queue.done(working.splice(now.which % working.length, 1)[0] as string);
        }
        advance(1e6);
        while (working.length > 0 || queue.depth > 0) {
          for (const each of working.splice(0)) queue.done(each);
          await take();
          advance(1e6);
        }
        expect([...owed]).toEqual([]);
        expect(queue.isIdle).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

test('the same key added many times is worked on once', async () => {
  const { queue } = clockedQueue();
  for (let i = 0; i < 100; i++) queue.add('a');
  expect(queue.depth).toBe(1);
  await queue.take();
  for (let i = 0; i < 100; i++) queue.add('a');
  expect(queue.depth).toBe(0);
  queue.done('a');
  expect(queue.depth).toBe(1);
});

test('waits after failures grow per key, respect what the server asked for, and are forgotten', () => {
  const { queue } = clockedQueue();
  const waits = Array.from({ length: 12 }, () => queue.retry('a'));
  for (let i = 1; i < 7; i++) expect(waits[i]).toBeGreaterThanOrEqual((waits[i - 1] as number) * 0.999);
  expect(Math.max(...waits)).toBeLessThanOrEqual(10_000);
  expect(waits.at(-1)).toBeGreaterThanOrEqual(5_000);
  expect(queue.failuresOf('a')).toBe(12);
  expect(queue.retry('b')).toBeLessThanOrEqual(50);
  queue.forget('a');
  expect(queue.retry('a')).toBeLessThanOrEqual(50);
  expect(queue.retry('c', 30_000)).toBe(30_000);
});

test('keys that failed let the others go first, but not for ever', async () => {
  const clocked = clockedQueue();
  const { queue } = clocked;
  queue.retry('failing', 0);
  queue.add('failing');
  for (const well of ['1', '2', '3']) queue.add(well);
  expect([await queue.take(), await queue.take(), await queue.take()]).toEqual(['1', '2', '3']);
  queue.add('other');
  clocked.advance(5_001);
  expect(await queue.take()).toBe('failing');
  queue.forget('failing');
  queue.done('failing');
  queue.add('failing');
  expect([await queue.take(), await queue.take()]).toEqual(['other', 'failing']);
});

test('however many of low priority have waited too long, the others come first three times of four', async () => {
  const { queue, advance } = clockedQueue();
  for (let i = 0; i < 100; i++) queue.add(`settled-${i}`, priorities.low);
  advance(60_000);
  for (let i = 0; i < 9; i++) queue.add(`new-${i}`);
  const order = await Promise.all(
    Array.from({ length: 12 }, async () => ((await queue.take()) as string).split('-')[0]),
  );
  const turn = ['new', 'new', 'new', 'settled'];
  expect(order).toEqual([...turn, ...turn, ...turn]);
});

test('urgent keys overtake the others; a key raised keeps only its urgent place', async () => {
  const { queue } = clockedQueue();
  queue.add('slow', priorities.low);
  queue.add('raised', priorities.low);
  queue.add('first');
  queue.add('raised');
  const order = [];
  while (queue.depth > 0) order.push(await queue.take());
  expect(order).toEqual(['first', 'raised', 'slow']);
});

test('a delayed key comes once, at its earliest due time, and not again when it was worked on meanwhile', async () => {
  const { queue, advance } = clockedQueue();
  queue.addAfter('a', 1000);
  queue.addAfter('a', 300);
  queue.addAfter('a', 2000);
  advance(299);
  expect(queue.depth).toBe(0);
  advance(1);
  expect(queue.depth).toBe(1);
  queue.done((await queue.take()) as string);
  advance(10_000);
  expect(queue.isIdle).toBe(true);
});

test('who waits for a key gets the next one, and undefined when the queue closes', async () => {
  const { queue } = clockedQueue();
  const taken = [queue.take(), queue.take()];
  queue.add('a');
  expect(await taken[0]).toBe('a');
  queue.close();
  expect(await taken[1]).toBeUndefined();
  queue.add('b');
  expect(await queue.take()).toBeUndefined();
});

test('a key that was not taken cannot be done', () => {
  expect(() => clockedQueue().queue.done('a')).toThrow('a was not taken');
});

test('metrics carry the names that Go operators use', async () => {
  const metrics = createMetrics({ processMetrics: false });
  const queue = new WorkQueue({ name: 'fieldjob', metrics });
  const other = new WorkQueue({ name: 'copyengine', metrics });
  queue.add('a');
  queue.add('b');
  other.add('c');
  await queue.take();
  queue.retry('b');
  queue.close();
  const page = await metrics.registry.metrics();
  expect(page).toContain('workqueue_depth{name="fieldjob",controller="fieldjob"} 1');
  expect(page).toContain('workqueue_depth{name="copyengine",controller="copyengine"} 1');
  expect(page).toContain('workqueue_adds_total{name="fieldjob",controller="fieldjob"} 2');
  expect(page).toContain('workqueue_retries_total{name="fieldjob",controller="fieldjob"} 1');
  for (const name of [
    'queue_duration_seconds',
    'work_duration_seconds',
    'unfinished_work_seconds',
    'longest_running_processor_seconds',
  ]) {
    expect(page).toContain(`workqueue_${name}`);
  }
});
