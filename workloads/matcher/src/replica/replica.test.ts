import { eventually } from '@quintet/runtime/testing';
import { expect, test } from 'vitest';
import { hashOf, item } from '../testing/items.ts';
import { actor, postgres, record, useRecord, useTenant } from '../testing/record.ts';
import { Replica } from './replica.ts';

useRecord();
useTenant();

test('replicas miss nothing that is registered side by side', async () => {
  const replica = await Replica.open({ record, refresh: 20 });
  try {
    const seeds = Array.from({ length: 240 }, (_, index) => 3000 + index);
    const register = async (own: number[]) => {
      for (const seed of own) await record.register(actor, [item(`s${seed}`, seed)]);
    };
    await Promise.all(Array.from({ length: 8 }, (_, lane) => register(seeds.filter((seed) => seed % 8 === lane))));
    await eventually(() => {
      expect(seeds.filter((seed) => replica.byHash(hashOf(seed), 0).length !== 1)).toEqual([]);
    });
  } finally {
    await replica.close();
  }
}, 60_000);

test('replicas that start anew have what those have that followed each change, whatever is kept of an item', async () => {
  const options = { record, minQuality: 50, features: true, embedding: { version: 'model', dimensions: 2 } };
  const follower = await Replica.open(options);
  const embedding = new Uint8Array(new Float32Array([0.6, 0.8]).buffer);
  const sha256 = 'cd'.repeat(32);
  const name = 'Ottoline Quatermain';
  const plain = Array.from({ length: 30 }, (_, i) => item(`plain-${i}`, 5000 + i));
  await record.register(actor, [
    ...plain,
    { ...item('named', 5100), profile: { name } },
    { ...item('flat', 5101), quality: 20, sha256 },
    { ...item('vector', 5102), embedding, embeddingModel: 'model' },
    { ...item('other-vector', 5103), embedding, embeddingModel: 'other' },
    { id: 'bare', bank: 'faces', profile: { name: `${name}e` } },
    { ...item('waiting', 5104), state: 'Quarantined' },
  ]);
  for (const [id, until] of [
    ['plain-3', null],
    ['plain-4', new Date(Date.now() + 600_000)],
  ] as const) {
    await record.setState(actor, id, 'Disabled', until);
  }
  await record.setState(actor, 'plain-5', 'Removed');
  await follower.look();
  const starter = await Replica.open(options);
  const seen = (replica: Replica) => ({
    counts: replica.counts,
    hashes: Array.from({ length: 110 }, (_, i) => replica.byHash(hashOf(5000 + i), 0)),
    bytes: replica.byBytes(sha256),
    names: replica.byProfile({ name }, { minSimilarity: 0.85 }),
    vectors: replica.byEmbedding(new Float32Array([0.6, 0.8]), {
      minSimilarity: 0.9,
      banks: new Set(replica.banksOf(actor.tenant).map(({ number }) => number)),
      admits: () => true,
    }),
  });
  expect(seen(starter)).toEqual(seen(follower));
  expect(seen(starter).hashes.flat()).toHaveLength(30);
  expect(seen(starter)).toMatchObject({ bytes: [{}], names: [{}, {}], vectors: [{}] });
  await Promise.all([follower.close(), starter.close()]);
});

test('replicas see a new item, its end and its return without being asked', async () => {
  const [a, b] = [await Replica.open({ record }), await Replica.open({ record })];
  try {
    await record.register(actor, [item('a', 41)]);
    for (const replica of [a, b]) await eventually(() => expect(replica.byHash(hashOf(41), 0)).toHaveLength(1));
    await record.setState(actor, 'a', 'Disabled');
    for (const replica of [a, b]) await eventually(() => expect(replica.byHash(hashOf(41), 0)).toHaveLength(0));
    await record.setState(actor, 'a', 'Enabled');
    for (const replica of [a, b]) await eventually(() => expect(replica.byHash(hashOf(41), 0)).toHaveLength(1));
    await record.setState(actor, 'a', 'Removed');
    for (const replica of [a, b]) await eventually(() => expect(replica.byHash(hashOf(41), 0)).toHaveLength(0));
  } finally {
    await Promise.all([a.close(), b.close()]);
  }
});

test('replicas bring an item back when the date has passed, and find profiles only while they are in force', async () => {
  const replica = await Replica.open({ record, refresh: 50 });
  try {
    await record.register(actor, [{ ...item('a', 51), profile: { name: 'Wilhelmina Featherstonehaugh' } }]);
    const named = () => replica.byProfile({ name: 'Wilhelmina Fetherstonhaugh' }, { minSimilarity: 0.85 });
    await eventually(() => expect(named()).toHaveLength(1));
    await record.setState(actor, 'a', 'Disabled', new Date(Date.now() + 3000));
    await eventually(() => expect([...named(), ...replica.byHash(hashOf(51), 0)]).toHaveLength(0));
    await eventually(() => expect([...named(), ...replica.byHash(hashOf(51), 0)]).toHaveLength(2));
  } finally {
    await replica.close();
  }
});

test('replicas serve on while PostgreSQL is away, say how old they are, and miss nothing once it is back', async () => {
  const replica = await Replica.open({ record, refresh: 50 });
  try {
    await record.register(actor, [item('a', 71)]);
    await eventually(() => expect(replica.byHash(hashOf(71), 0)).toHaveLength(1));
    await postgres.kill();
    await expect(record.register(actor, [item('b', 72)])).rejects.toMatchObject({ code: 'RecordUnavailable' });
    expect(replica.byHash(hashOf(71), 0)).toHaveLength(1);
    await eventually(() => expect(replica.age).toBeGreaterThan(200));
    await postgres.start();
    await eventually(async () => {
      await record.register(actor, [item('b', 72)]);
    });
    await eventually(() => expect(replica.byHash(hashOf(72), 0)).toHaveLength(1));
    await eventually(() => expect(replica.age).toBeLessThan(1000));
  } finally {
    await replica.close();
  }
}, 60_000);

test('replicas lose nothing that was acknowledged, however often PostgreSQL is killed meanwhile', async () => {
  const acknowledged: number[] = [];
  const killing = { now: true };
  const kills = (async () => {
    for (let i = 0; i < 2; i++) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await postgres.kill();
      await postgres.start();
    }
    killing.now = false;
  })();
  // Refusals are quick, and seeds many: far from those of the other tests, whose items are in the same record.
  for (let seed = 1_000_000; killing.now || acknowledged.length < 20; seed++) {
    await record.register(actor, [item(`k${seed}`, seed)]).then(
      () => acknowledged.push(seed),
      (error: unknown) => expect(error).toMatchObject({ code: 'RecordUnavailable' }),
    );
  }
  await kills;
  const replica = await Replica.open({ record });
  try {
    for (const seed of acknowledged) expect(replica.byHash(hashOf(seed), 0)).toHaveLength(1);
  } finally {
    await replica.close();
  }
}, 60_000);
