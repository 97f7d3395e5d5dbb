import type { Priority } from '@quintet/runtime';
import { expect, test } from 'vitest';
import { type Turns, turns } from './turns.ts';

const signal = new AbortController().signal;
const turn = (tenant: string, priority: Priority = 'Normal') => ({ tenant, priority, cost: 1 });

/** What both say of one more request; those that wait are kept. */
async function verdicts(queue: Turns, tenant: string, priority: Priority): Promise<[string, string]> {
  const codeOf = (error: unknown) => (error as { code: string }).code;
  let checked = 'admitted';
  try {
    queue.check(turn(tenant, priority));
  } catch (error) {
    checked = codeOf(error);
  }
  const taken = queue.take(turn(tenant, priority), signal).then(
    () => 'admitted',
    (error: unknown) => codeOf(error),
  );
  const waits = new Promise<string>((resolve) => setImmediate(() => resolve('admitted')));
  return [checked, await Promise.race([taken, waits])];
}

test('a check says what taking a turn would, before anything is done for the request', async () => {
  const queue = turns({ parallel: () => 1, maxQueue: 4, weightOf: () => 1 });
  const done = await queue.take(turn('a'), signal);
  const asked: [string, Priority][] = [
    ['a', 'Low'],
    ['a', 'Normal'],
    ['a', 'High'],
    ['b', 'Low'],
    ['c', 'Normal'],
    ['d', 'Low'],
    ['d', 'Normal'],
    ['d', 'Normal'],
    ['d', 'Normal'],
    ['d', 'High'],
    ['e', 'High'],
  ];
  const seen: string[] = [];
  for (const [tenant, priority] of asked) {
    const [checked, taken] = await verdicts(queue, tenant, priority);
    expect(checked, `${tenant} ${priority}`).toBe(taken);
    seen.push(checked);
  }
  expect(new Set(seen)).toEqual(new Set(['admitted', 'TENANT_QUEUE_FULL', 'OVERLOADED']));
  done();
});

test('places of those that go are free again', async () => {
  const queue = turns({ parallel: () => 1, maxQueue: 2, weightOf: () => 1 });
  const done = await queue.take(turn('a'), signal);
  const control = new AbortController();
  const gone = queue.take(turn('a'), control.signal);
  expect(() => queue.check(turn('a'))).toThrow(expect.objectContaining({ code: 'TENANT_QUEUE_FULL' }));
  control.abort();
  await expect(gone).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(() => queue.check(turn('a'))).not.toThrow();
  const next = queue.take(turn('a'), signal);
  done();
  (await next)();
  expect(() => queue.check(turn('a'))).not.toThrow();
  expect(queue).toMatchObject({ waiting: 0, running: 0 });
});

test('who must wait is told of, but not what is of low priority or begins at once', async () => {
  let told = 0;
  const one = turns({ parallel: () => 1, maxQueue: 8, weightOf: () => 1, onWait: () => void told++ });
  const take = (priority: 'Low' | 'Normal') =>
    one.take({ tenant: 'a', priority, cost: 1 }, new AbortController().signal);
  const done = await take('Normal');
  const low = take('Low');
  expect(told).toBe(0);
  const normal = take('Normal');
  expect(told).toBe(1);
  done();
  (await normal)();
  (await low)();
  expect(one.running).toBe(0);
});
