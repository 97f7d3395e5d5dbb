import { expect, test } from 'vitest';
import { inTurn } from './inTurn.ts';

test('a few are at work at once, and results keep their order', async () => {
  let working = 0;
  let most = 0;
  const results = await inTurn([...Array(50).keys()], async (item) => {
    most = Math.max(most, ++working);
    await new Promise((resolve) => setImmediate(resolve));
    working--;
    return item * 2;
  });
  expect(results).toEqual([...Array(50).keys()].map((item) => item * 2));
  expect(most).toBe(8);
});

test('a failure is thrown and starts no more', async () => {
  let started = 0;
  const failing = inTurn([...Array(50).keys()], async (item) => {
    started++;
    await Promise.resolve();
    if (item === 3) throw new Error('item 3');
    return item;
  });
  await expect(failing).rejects.toThrow('item 3');
  expect(started).toBeLessThan(50);
});
