import { Readable } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { whileRead } from './stall.ts';

test('a stream that nobody reads any more is ended, one that is read is not', async () => {
  const ended = vi.fn<() => void>();
  async function* endless() {
    try {
      for (;;) yield 'x'.repeat(1000);
    } finally {
      ended();
    }
  }
  const stalled = Promise.withResolvers<void>();
  const stream = Readable.from(
    whileRead(endless(), 20, () => stalled.resolve()),
    { objectMode: false },
  );
  stream.read(1);
  await stalled.promise;
  stream.destroy();
  await expect.poll(() => ended.mock.calls.length).toBe(1);

  const never = vi.fn<() => void>();
  async function* three() {
    yield* [1, 2, 3];
  }
  const read: number[] = [];
  for await (const value of whileRead(three(), 1000, never)) read.push(value);
  expect(read).toEqual([1, 2, 3]);
  expect(never).not.toHaveBeenCalled();
});
