import { expect, test } from 'vitest';
import type { Kept, Part } from '../record/everything.ts';
import type { IndexedItem, Recorded } from '../record/record.ts';
import { hashOf } from '../testing/items.ts';
import { Replica } from './replica.ts';

const items = Array.from(
  { length: 8 },
  (_, number): IndexedItem => ({
    tenant: 'default',
    id: `item-${number}`,
    number,
    hash: Buffer.from(hashOf(number)),
    bank: 0,
    state: 'Enabled',
    disabledUntil: null,
    quality: 100,
    sha256: null,
    profile: null,
    features: null,
    embedding: null,
    embeddingModel: null,
  }),
);

/** A record of eight items, whose reading goes on when `before` resolves. */
function recordOf(before: (kept: Kept) => Promise<void>): Recorded {
  const record: Partial<Recorded> = {
    url: 'postgres://127.0.0.1:1/none',
    position: async () => ({ position: 1, mark: 1 }),
    banks: async () => [],
    changesAfter: async (at) => ({ ...at, items: [], banksChanged: false, full: false }),
    async *all(kept): AsyncGenerator<Part> {
      for (const item of items) {
        await before(kept);
        yield { items: [item] };
      }
    },
  };
  return record as Recorded;
}

const open = async (record: Recorded) =>
  await Replica.open({ record, refresh: 1_000_000, shard: { own: 0, of: 2 }, tables: 0 });
const heldBy = (replica: Replica) => items.flatMap(({ number }) => (replica.bankOf(number) === 0 ? [number] : []));

test('what a pod held is gone before it reads another shard', async () => {
  const reading = Promise.withResolvers<void>();
  const replica = await open(recordOf(async ({ shard }) => (shard.own === 1 ? await reading.promise : undefined)));
  expect(heldBy(replica)).toEqual([0, 2, 4, 6]);
  const taken = replica.take({ own: 1, of: 2 });
  expect(heldBy(replica)).toEqual([]);
  reading.resolve();
  await taken;
  expect(heldBy(replica)).toEqual([1, 3, 5, 7]);
  await replica.close();
});

test('a shard whose reading fails is read when it is tried again', async () => {
  let fails = true;
  const replica = await open(
    recordOf(async ({ shard }) => {
      if (shard.own === 1 && fails) throw new Error('PostgreSQL is away');
    }),
  );
  await expect(replica.take({ own: 1, of: 2 })).rejects.toThrow('PostgreSQL is away');
  expect(heldBy(replica)).toEqual([]);
  fails = false;
  await replica.take({ own: 1, of: 2 });
  expect(heldBy(replica)).toEqual([1, 3, 5, 7]);
  await replica.close();
});

test('closing ends the reading of a shard', async () => {
  let parts = 0;
  const replica = await open(
    recordOf(async ({ shard }) => {
      if (shard.own === 1) parts++;
      await new Promise((resolve) => setImmediate(resolve));
    }),
  );
  const taken = replica.take({ own: 1, of: 2 }).catch((error: unknown) => error);
  await replica.close();
  expect(await taken).toMatchObject({ message: expect.stringContaining('closed') as string });
  expect(parts).toBeLessThan(3);
});
