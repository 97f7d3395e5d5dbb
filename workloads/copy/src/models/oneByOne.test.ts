import { expect, test } from 'vitest';
import { oneByOne } from './oneByOne.ts';

test('who goes away while others compute is let go at once, and its work is not begun', async () => {
  const inTurn = oneByOne();
  const order: string[] = [];
  const { promise, resolve: finish } = Promise.withResolvers<void>();
  const stays = new AbortController().signal;
  const running = inTurn(() => promise.then(() => order.push('running ends')), stays);
  const leaves = new AbortController();
  const waiting = inTurn(async () => order.push('never'), leaves.signal).catch((error: Error) =>
    order.push(error.message),
  );
  const after = inTurn(async () => order.push('after'), stays);
  leaves.abort(new Error('gone'));
  await waiting;
  finish();
  await Promise.all([running, after]);
  expect(order).toEqual(['gone', 'running ends', 'after']);
});

test('who goes away while its own work runs does not wait for it, and the next one does', async () => {
  const inTurn = oneByOne();
  const order: string[] = [];
  const begun = Promise.withResolvers<void>();
  const { promise, resolve: finish } = Promise.withResolvers<void>();
  const leaves = new AbortController();
  const own = inTurn(() => {
    begun.resolve();
    return promise.then(() => order.push('own ends'));
  }, leaves.signal).catch(() => order.push('gone'));
  const after = inTurn(async () => order.push('after'), new AbortController().signal);
  await begun.promise;
  leaves.abort(new Error('gone'));
  await own;
  finish();
  await after;
  expect(order).toEqual(['gone', 'own ends', 'after']);
});
