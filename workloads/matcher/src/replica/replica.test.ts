import '../testing/commonjs.ts';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@quintet/runtime/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Actor, type NewItem, openRecord, type Recorded } from '../record/record.ts';
import { startPostgres, type TestPostgres } from '../testing/postgres.ts';
import { Replica } from './replica.ts';

let postgres: TestPostgres;
let record: Recorded;
let directory: string;
let actor: Actor;
let tenants = 0;

beforeAll(async () => {
  postgres = await startPostgres();
  record = await openRecord({ url: postgres.url });
  directory = await mkdtemp(join(tmpdir(), 'quintet-replica-'));
}, 60_000);

afterAll(async () => {
  await record?.close();
  await postgres?.stop();
  await rm(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  actor = { tenant: `tenant-${++tenants}`, name: 'tester' };
  await record.setBank(actor, 'faces', {});
});

describe('the record', () => {
  test('registers once, in whole batches or not at all', async () => {
    const first = await record.register(actor, [item('a', 1), item('b', 2)]);
    expect(first).toMatchObject({ added: [{ id: 'a' }, { id: 'b' }], known: [] });
    const second = await record.register(actor, [item('b', 2), item('c', 3)]);
    expect(second).toMatchObject({ added: [{ id: 'c' }], known: ['b'] });
    const wrong = record.register(actor, [item('d', 4), { ...item('e', 5), bank: 'nowhere' }]);
    await expect(wrong).rejects.toMatchObject({ code: 'BankUnknown' });
    expect(await record.item(actor.tenant, 'd')).toBeUndefined();
  });

  test('tells who changed what, when, from what to what', async () => {
    await record.register(actor, [item('a', 1)]);
    const until = new Date(Date.now() + 60_000);
    await record.setState({ ...actor, name: 'alice' }, 'a', 'Disabled', until);
    await record.giveOpinion({ ...actor, name: 'bob' }, 'a', 'Reject', 'not ours');
    expect(await record.audit(actor.tenant, 'item/a')).toMatchObject([
      { actor: 'bob', action: 'Opinion', after: { opinion: 'Reject', note: 'not ours' } },
      { actor: 'alice', action: 'SetState', before: { state: 'Enabled' }, after: { state: 'Disabled' } },
      { actor: 'tester', action: 'Register' },
    ]);
    await expect(record.setState(actor, 'nobody', 'Disabled')).rejects.toMatchObject({ code: 'ItemUnknown' });
  });

  test('takes what looks like SQL as text, and refuses what no text can hold', async () => {
    const id = "x'); drop table items; --";
    await record.register(actor, [{ ...item(id, 1), profile: { name: "Robert'); drop table items; --\u0000" } }]);
    expect((await record.item(actor.tenant, id))?.profile?.name).toMatch(/^Robert'\); drop/);
    await expect(record.register(actor, [item('zero\u0000byte', 2)])).rejects.toMatchObject({ code: 'ItemInvalid' });
  });

  test('registers what can be of many, and says of the others why not', async () => {
    const items = Array.from({ length: 40 }, (_, i) => item(`i${i}`, 4000 + i));
    items[7] = { ...item('i7', 1), bank: 'nowhere' };
    items[20] = item('zero\u0000byte', 2);
    items[33] = { ...item('i33', 3), metadata: { text: 'x'.repeat(20_000) } };
    const { added, refused } = await record.registerEach(actor, items);
    expect(added).toHaveLength(37);
    expect(refused).toEqual([
      { index: 7, reason: 'bank nowhere does not exist' },
      { index: 20, reason: expect.stringContaining('not storable') as string },
      { index: 33, reason: expect.stringContaining('metadata has more than 16384 bytes') as string },
    ]);
  });

  test('keeps a text that only looks like the escape of a zero byte', async () => {
    await record.register(actor, [{ ...item('a', 1), metadata: { text: String.raw`\u0000 \\u0000` } }]);
    expect((await record.item(actor.tenant, 'a'))?.metadata).toEqual({ text: String.raw`\u0000 \\u0000` });
  });

  test('tells of a change at once, whatever other transactions are open in the server', async () => {
    const before = await record.position();
    await record.transaction(async (client) => {
      await client.query('create table foreign_work (a int)');
      await record.register(actor, [item('later', 1)]);
      expect(await record.changesAfter(before)).toMatchObject({ full: false, items: [{ id: 'later' }] });
      await record.setState(actor, 'later', 'Disabled');
      expect(await record.changesAfter(before)).toMatchObject({ items: [{ id: 'later', state: 'Disabled' }] });
      await client.query('drop table foreign_work');
    });
  });

  test('knows a position of another history', async () => {
    await record.register(actor, [item('a', 1)]);
    const at = await record.position();
    expect(await record.changesAfter(at)).toMatchObject({ position: at.position, items: [] });
    expect(await record.changesAfter({ ...at, mark: at.mark / 2 })).toBeUndefined();
    expect(await record.changesAfter({ ...at, position: at.position + 10 })).toBeUndefined();
  });

  test('frees what a pod held that is lost in the middle of a change', async () => {
    const hasty = await openRecord({ url: postgres.url, timeout: 300 });
    try {
      const lost = hasty.transaction(async (client) => {
        await client.query(`select pg_advisory_xact_lock(hashtext('quintet changes of ' || current_schema()))`);
        await new Promise((resolve) => setTimeout(resolve, 2000));
      });
      const [outcome] = await Promise.all([
        lost.catch((error: unknown) => error),
        record.register(actor, [item('a', 1)]),
      ]);
      expect(outcome).toMatchObject({ code: 'RecordUnavailable' });
    } finally {
      await hasty.close();
    }
  });
});

describe('replicas', () => {
  test('miss nothing that is registered side by side', async () => {
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

  test('see a new item, its end and its return without being asked', async () => {
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

  test('bring an item back when the date has passed, and find profiles only while they are in force', async () => {
    const replica = await Replica.open({ record, refresh: 50 });
    try {
      await record.register(actor, [{ ...item('a', 51), profile: { name: 'Wilhelmina Featherstonehaugh' } }]);
      const named = () => replica.byProfile({ name: 'Wilhelmina Fetherstonhaugh' }, { minSimilarity: 0.85 });
      await eventually(() => expect(named()).toHaveLength(1));
      await record.setState(actor, 'a', 'Disabled', new Date(Date.now() + 700));
      await eventually(() => expect([...named(), ...replica.byHash(hashOf(51), 0)]).toHaveLength(0));
      await eventually(() => expect([...named(), ...replica.byHash(hashOf(51), 0)]).toHaveLength(2));
    } finally {
      await replica.close();
    }
  });

  test('start from a snapshot and the changes since, and from the record when it is damaged', async () => {
    const snapshot = join(directory, 'snapshot');
    const first = await Replica.open({ record, snapshot });
    await record.register(actor, [item('a', 61), item('b', 62)]);
    await first.look();
    await first.save();
    await first.close();
    await record.register(actor, [item('c', 63)]);
    await record.setState(actor, 'b', 'Disabled');
    for (const damage of [false, true]) {
      if (damage) {
        const bytes = await readFile(snapshot);
        bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 1;
        await writeFile(snapshot, bytes);
      }
      const second = await Replica.open({ record, snapshot });
      expect([61, 62, 63].map((seed) => second.byHash(hashOf(seed), 0).length)).toEqual([1, 0, 1]);
      await second.close();
    }
  });

  test('keep in a snapshot what has no hash to be found by, and what is not in force', async () => {
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

  test('start anew when the record was put back to an older state, also from their snapshot', async () => {
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

  test('serve on while PostgreSQL is away, say how old they are, and miss nothing once it is back', async () => {
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

  test('lose nothing that was acknowledged, however often PostgreSQL is killed meanwhile', async () => {
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
});

function item(id: string, seed: number): NewItem {
  return { id, bank: 'faces', hash: hashOf(seed), quality: 100 };
}

function hashOf(seed: number): Uint8Array {
  let state = Math.imul(seed + 1, 2_654_435_761) | 1;
  return Uint8Array.from({ length: 32 }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 255;
  });
}
