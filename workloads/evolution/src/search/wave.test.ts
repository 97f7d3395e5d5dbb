import { expect, it } from 'vitest';
import { Wave } from './wave.ts';

/** What has been told once everything that follows from it has happened. */
async function settled(promise: Promise<unknown>): Promise<unknown> {
  const waiting = Symbol('waiting');
  await new Promise((resolve) => setImmediate(resolve));
  const told = await Promise.race([promise, Promise.resolve(waiting)]);
  return told === waiting ? 'waiting' : told;
}

it('tells all who the best is once the last has told its scores, whatever their order', async () => {
  for (const order of [
    [0.1, 0.3, 0.2],
    [0.3, 0.2, 0.1],
  ]) {
    const wave = new Wave(3);
    const [first, second, third] = order as [number, number, number];
    const told = [wave.tell([first, 0.5]), wave.tell([second, 0.5])];
    expect(await settled(told[0]!)).toBe('waiting');
    told.push(wave.tell([third, 0.5]));
    expect(await Promise.all(told)).toEqual(Array.from({ length: 3 }, () => [0.3, 0.5]));
  }
});

it('waits at the next look for those alone that are still there', async () => {
  const wave = new Wave(3);
  await Promise.all([wave.tell([1]), wave.tell([2]), wave.tell([3])]);
  wave.leave();
  const told = wave.tell([2, 2]);
  expect(await settled(told)).toBe('waiting');
  wave.leave();
  expect(await settled(told)).toEqual([2, 2]);
});

it('lets nobody go on that would be compared with half of the others', async () => {
  const wave = new Wave(3);
  const told = wave.tell([1]);
  wave.stop();
  expect(await settled(told)).toBeUndefined();
  wave.leave();
  expect(await settled(wave.tell([2]))).toBeUndefined();
});
