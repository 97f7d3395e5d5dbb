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

  test('skips no change, in whatever order transactions commit', async () => {
    const before = await record.position();
    await record.transaction(async (client) => {
      await client.query('insert into changes (bank) select number from banks where tenant = $1', [actor.tenant]);
      await record.register(actor, [item('later', 1)]);
      // The registration has committed with a later position; what comes before is still open, so nothing is told yet.
      expect((await record.changesAfter(before)).position).toBe(before);
    });
    const changes = await record.changesAfter(before);
    expect(changes).toMatchObject({ banksChanged: true, items: [{ id: 'later' }] });
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
      const named = () => replica.byProfile({ name: 'Wilhelmina Fetherstonhaugh' }, 0.85, true);
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
    for (let seed = 1000; killing.now || acknowledged.length < 20; seed++) {
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
