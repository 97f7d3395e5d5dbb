import { Registry } from '@quintet/runtime';
import { expect, test } from 'vitest';
import { writingAhead } from './ahead.ts';
import { copyRequest } from './schema.ts';
import type { CopyAnswer, Write } from './writer.ts';

const request = (product: string) => copyRequest.parse({ brief: { product } });
const signal = new AbortController().signal;

/** Writes nothing, and tells what it was asked to write ahead. */
function over({
  idle = true,
  write = async () => undefined,
}: {
  idle?: boolean;
  write?: (signal: AbortSignal) => Promise<void>;
} = {}) {
  const ahead: string[] = [];
  const state = { idle };
  const written: Write = async (tenant, { brief, priority }, within) => {
    if (priority === 'Low') {
      ahead.push(`${tenant}: ${brief.product}`);
      await write(within);
    }
    return {} as CopyAnswer;
  };
  const all = writingAhead({ write: written, idle: () => state.idle, registry: new Registry() });
  const ask = async (tenant: string, ...products: string[]) => {
    for (const product of products) await all.write(tenant, request(product), signal, true);
    await all.settled();
  };
  return { ...all, ask, ahead, state };
}

test('what a tenant asked for after a brief is written ahead when the brief comes again, for that tenant alone', async () => {
  const { ask, ahead } = over();
  await ask('a', 'ad', 'mail', 'page', 'ad', 'mail', 'page');
  ahead.splice(0);
  await ask('b', 'ad');
  expect(ahead).toEqual([]);
  await ask('a', 'ad');
  expect(ahead).toEqual(['a: mail']);
});

test('nothing is written ahead while the model has work', async () => {
  const { ask, ahead, state } = over({ idle: false });
  await ask('a', 'ad', 'mail', 'ad', 'mail', 'ad', 'mail');
  expect(ahead).toEqual([]);
  state.idle = true;
  await ask('a', 'ad');
  expect(ahead).toEqual(['a: mail']);
});

test('what is written ahead is broken off when somebody waits', async () => {
  const begun = Promise.withResolvers<AbortSignal>();
  const all = over({
    write: (within) => {
      begun.resolve(within);
      return new Promise((_, reject) => within.addEventListener('abort', () => reject(within.reason as Error)));
    },
  });
  void all.ask('a', 'ad', 'mail', 'ad', 'mail', 'ad');
  const within = await begun.promise;
  all.yield();
  expect(within.reason).toMatchObject({ code: 'CANCELLED' });
  await all.settled();
});
