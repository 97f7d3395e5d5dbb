import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@quintet/runtime/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashOf, item } from '../testing/items.ts';
import { actor, record, useRecord, useTenant } from '../testing/record.ts';
import { Replica } from './replica.ts';

useRecord();
useTenant();

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-replica-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

test('replicas start from a snapshot and the changes since', async () => {
  const snapshot = join(directory, 'snapshot');
  const first = await Replica.open({ record, snapshot });
  await record.register(actor, [item('a', 61), item('b', 62)]);
  await first.look();
  await first.save();
  await first.close();
  await record.register(actor, [item('c', 63)]);
  await record.setState(actor, 'b', 'Disabled');
  const second = await Replica.open({ record, snapshot });
  expect([61, 62, 63].map((seed) => second.byHash(hashOf(seed), 0).length)).toEqual([1, 0, 1]);
  await second.close();
});

test('replicas read the record where the snapshot is damaged, cut off, of another version or no snapshot at all', async () => {
  const snapshot = join(directory, 'damaged');
  await record.register(actor, [item('a', 161), { ...item('b', 162), profile: { name: 'Archibald Pennyworth' } }]);
  const first = await Replica.open({ record, snapshot });
  await first.save();
  await first.close();
  await record.setState(actor, 'a', 'Disabled');
  const good = await readFile(snapshot);
  const flipped = (at: number) => Buffer.from(good.map((byte, i) => (i === at ? byte ^ 1 : byte)));
  const places = Array.from({ length: 12 }, (_, i) => Math.floor((i * good.length) / 12));
  const bad = [
    ...places.map(flipped),
    ...places.map((end) => good.subarray(0, end)),
    Buffer.concat([good, Buffer.from('more')]),
    Buffer.from(good.toString('latin1').replace('snapshot-3', 'snapshot-2'), 'latin1'),
    Buffer.from('not a snapshot'.repeat(10)),
  ];
  for (const bytes of bad) {
    await writeFile(snapshot, bytes);
    const errors: Error[] = [];
    const replica = await Replica.open({ record, snapshot, onError: (error) => errors.push(error) });
    expect([161, 162].map((seed) => replica.byHash(hashOf(seed), 0).length)).toEqual([0, 1]);
    expect(errors).toEqual([]);
    // What was read anew is kept again.
    await eventually(async () => expect((await readFile(snapshot)).subarray(0, 20)).toEqual(good.subarray(0, 20)));
    await replica.close();
  }
});

test('replicas keep in a snapshot what has no hash to be found by, and what is not in force', async () => {
  const snapshot = join(directory, 'bare');
  const options = { record, snapshot, minQuality: 50 };
  const first = await Replica.open(options);
  const sha256 = 'ab'.repeat(32);
  const named = (id: string, name: string) => ({ id, bank: 'faces', profile: { name } });
  await record.register(actor, [
    { ...item('flat', 81), sha256, quality: 20 },
    named('seen', 'Ottoline Quatermain'),
    named('hidden', 'Ottoline Quatermaine'),
  ]);
  await record.setState(actor, 'hidden', 'Disabled');
  await first.look();
  const query = (replica: Replica) => ({
    hash: replica.byHash(hashOf(81), 0).length,
    bytes: replica.byBytes(sha256).length,
    names: replica.byProfile({ name: 'Ottoline Quatermain' }, { minSimilarity: 0.85 }).length,
    counts: replica.counts,
  });
  const before = query(first);
  expect(before).toMatchObject({ hash: 0, bytes: 1, names: 1 });
  await first.save();
  await first.close();
  const second = await Replica.open(options);
  await second.save();
  await second.close();
  const third = await Replica.open(options);
  expect(query(third)).toEqual(before);
  await third.close();
  // Of other settings it would hide what is now to be found.
  const other = await Replica.open({ ...options, minQuality: 10 });
  expect(query(other)).toMatchObject({ hash: 1, bytes: 0 });
  await other.close();
});

test('replicas start anew when the record was put back to an older state, also from their snapshot', async () => {
  const snapshot = join(directory, 'restored');
  const replica = await Replica.open({ record, snapshot });
  await record.register(actor, [item('a', 91)]);
  const kept = await record.position();
  await record.register(actor, [item('phantom', 92)]);
  await replica.look();
  await replica.save();
  await record.transaction(async (client) => {
    await client.query(`delete from items where tenant = $1 and id = 'phantom'`, [actor.tenant]);
    await client.query('delete from changes where position > $1', [kept.position]);
    await client.query(`select setval('changes_position_seq', $1)`, [kept.position]);
  });
  await record.register(actor, [item('b', 93), item('c', 94)]);
  await replica.look();
  const late = await Replica.open({ record, snapshot });
  for (const each of [replica, late]) {
    expect([91, 92, 93, 94].map((seed) => each.byHash(hashOf(seed), 0).length)).toEqual([1, 0, 1, 1]);
  }
  expect(replica.generation).toBe(1);
  await Promise.all([replica.close(), late.close()]);
});
