import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Slot, Slots } from './slots.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

let strangers = 0;
async function take(slots: Slots, taken: Slot[], kin = `stranger-${++strangers}`): Promise<void> {
  const slot = await slots.take();
  slot.begin(kin);
  taken.push(slot);
}

test('so many at once, the others in their turn', async () => {
  const slots = new Slots({ quick: 2, slow: 0, slowAfterMs: 100 });
  const taken: Slot[] = [];
  for (let i = 0; i < 4; i++) void take(slots, taken);
  await vi.advanceTimersByTimeAsync(1000);
  expect(taken).toHaveLength(2);
  taken[0]?.release();
  await vi.advanceTimersByTimeAsync(0);
  expect(taken).toHaveLength(3);
});

test('what takes long makes room for another, as often as there is room for slow ones', async () => {
  const slots = new Slots({ quick: 1, slow: 2, slowAfterMs: 100 });
  const taken: Slot[] = [];
  for (let i = 0; i < 5; i++) void take(slots, taken);
  await vi.advanceTimersByTimeAsync(99);
  expect(taken).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(taken).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1000);
  expect(taken).toHaveLength(3);
  taken[0]?.release(); // a slow one: its room is the next slow one's, not a quick one's
  await vi.advanceTimersByTimeAsync(0);
  expect(taken).toHaveLength(3);
  taken[2]?.release();
  await vi.advanceTimersByTimeAsync(0);
  expect(taken).toHaveLength(4);
});

test('the kin of what is slow makes room at once, until none of it was slow for a minute', async () => {
  const slots = new Slots({ quick: 1, slow: 9, slowAfterMs: 100 });
  const first = await slots.take();
  first.begin('kin');
  const taken: Slot[] = [];
  for (let i = 0; i < 3; i++) void take(slots, taken, 'kin');
  await vi.advanceTimersByTimeAsync(100);
  // One slow one made room; each of its kin passes the room on to the next.
  expect(taken).toHaveLength(3);
  for (const slot of [first, ...taken.splice(0)]) slot.release();
  await vi.advanceTimersByTimeAsync(60_001);
  for (let i = 0; i < 3; i++) void take(slots, taken, 'kin');
  await vi.advanceTimersByTimeAsync(50);
  expect(taken).toHaveLength(1);
});

test('never more than quick and slow together, and all that were asked for in the end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 4 }),
      fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 30 }),
      async (quick, slow, lengths) => {
        const slots = new Slots({ quick, slow, slowAfterMs: 100 });
        let now = 0;
        let most = 0;
        let done = 0;
        const run = async (length: number): Promise<void> => {
          const slot = await slots.take();
          slot.begin('kin');
          most = Math.max(most, ++now);
          await new Promise((resolve) => setTimeout(resolve, length));
          now--;
          done++;
          slot.release();
        };
        for (const length of lengths) void run(length);
        await vi.advanceTimersByTimeAsync(300 * lengths.length);
        expect(done).toBe(lengths.length);
        expect(most).toBeLessThanOrEqual(quick + slow);
      },
    ),
  );
});
