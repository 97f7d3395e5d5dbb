import { expect, test } from 'vitest';
import { decodersOf, Slots } from './slots.ts';

test('no more than the slots work at once, and all get their turn', async () => {
  const slots = new Slots(2);
  let [working, most, done] = [0, 0, 0];
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      slots.run(i, async () => {
        most = Math.max(most, ++working);
        await Promise.resolve();
        working--;
        done++;
      }),
    ),
  );
  expect([working, most, done, slots.waiting]).toEqual([0, 2, 20, 0]);
});

test('a small file goes before larger ones that came a little earlier, and behind those that came long before', async () => {
  let now = 0;
  const slots = new Slots(1, () => now);
  const order: string[] = [];
  const first = Promise.withResolvers<void>();
  const runs = [slots.run(0, () => first.promise)];
  const add = (name: string, bytes: number) => runs.push(slots.run(bytes, async () => void order.push(name)));
  add('large', 20_000_000);
  now = 1800;
  add('small', 10_000);
  add('as small, later', 10_000);
  now = 1950;
  add('small, long after', 10_000);
  first.resolve();
  await Promise.all(runs);
  expect(order).toEqual(['small', 'as small, later', 'large', 'small, long after']);
});

test('who leaves while waiting is not worked for, and what fails gives its slot back', async () => {
  const slots = new Slots(1);
  const caller = new AbortController();
  const first = Promise.withResolvers<void>();
  const failing = slots.run(1, () => first.promise);
  let worked = 0;
  const work = async () => ++worked;
  const left = slots.run(1, work, caller.signal);
  const stays = slots.run(2, work);
  caller.abort();
  await expect(left).rejects.toMatchObject({ code: 'CANCELLED' });
  await expect(slots.run(1, work, caller.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  first.reject(new Error('not an image'));
  await expect(failing).rejects.toThrow('not an image');
  expect(await stays).toBe(1);
});

test.each([
  [undefined, 3],
  ['16', 15],
  ['1', 1],
  ['0', 1],
  ['many', 1],
])('of %s threads, images are decoded by %d', (threads, wanted) => {
  expect(decodersOf(threads)).toBe(wanted);
});
