import { expect, test } from 'vitest';
import { item } from '../testing/items.ts';
import { record, useRecord } from '../testing/record.ts';

useRecord();

test('a page of a tenant passes what others changed, so that it is looked at once, and skips nothing of its own', async () => {
  const quiet = { tenant: 'quiet', name: 'tester' };
  const busy = { tenant: 'busy', name: 'tester' };
  for (const actor of [quiet, busy]) await record.setBank(actor, 'faces', {});
  const others = async (from: number) =>
    await record.register(
      busy,
      Array.from({ length: 30 }, (_, i) => item(`busy-${from + i}`, from + i)),
    );
  await others(0);
  await record.register(quiet, [item('a', 101), item('b', 102), item('c', 103)]);
  await others(200);
  const first = await record.page('quiet', 0, 2);
  const second = await record.page('quiet', first.position, 2);
  expect([first, second].map(({ items }) => items.map(({ id }) => id))).toEqual([['a', 'b'], ['c']]);
  const { position: last } = await record.position();
  expect(second.position).toBe(last);
  expect(await record.page('quiet', last, 2)).toEqual({ items: [], position: last });
});
