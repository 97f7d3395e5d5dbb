import { expect, test, vi } from 'vitest';
import { item, withinMinute } from '../testing/items.ts';
import { actor, postgres, record, useRecord, useTenant } from '../testing/record.ts';
import { arrive, forgetArrivals } from './arrivals.ts';
import { enableDue } from './due.ts';
import { openRecord } from './record.ts';

useRecord();
useTenant();

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
  items[21] = item('half\udc11pair', 4);
  items[33] = { ...item('i33', 3), metadata: { text: 'x'.repeat(20_000) } };
  const { added, refused } = await record.registerEach(actor, items);
  expect(added).toHaveLength(36);
  expect(refused).toEqual([
    { index: 7, reason: 'bank nowhere does not exist' },
    { index: 20, reason: expect.stringContaining('not well-formed') as string },
    { index: 21, reason: expect.stringContaining('not well-formed') as string },
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

test('enables items whose date has come, once, with a line in the audit and a change that feeds give out', async () => {
  await record.register(actor, [item('due', 1), item('later', 2), item('for good', 3)]);
  await record.setState(actor, 'due', 'Disabled', new Date(Date.now() - 1000));
  await record.setState(actor, 'later', 'Disabled', new Date(Date.now() + 60_000));
  await record.setState(actor, 'for good', 'Disabled');
  const { position } = await record.page(actor.tenant, 0, 100);
  const enabled = await Promise.all([record.transaction(enableDue), record.transaction(enableDue)]);
  expect(enabled.toSorted((a, b) => a - b)).toEqual([0, 1]);
  expect((await record.page(actor.tenant, position, 100)).items).toMatchObject([{ id: 'due', state: 'Enabled' }]);
  expect(await record.audit(actor.tenant, 'item/due')).toMatchObject([
    {
      actor: 'date',
      action: 'SetState',
      before: { state: 'Disabled', disabledUntil: expect.any(String) as string },
      after: { state: 'Enabled' },
    },
    {},
    {},
  ]);
  expect(await record.item(actor.tenant, 'later')).toMatchObject({ state: 'Disabled' });
});

test('counts what a client registers in a minute, whichever replica it comes to', async () => {
  await withinMinute();
  const comes = (items: number, client = 'flood') =>
    record.transaction((connection) => arrive(connection, { tenant: actor.tenant, client, items, most: 10 }));
  expect(await comes(8)).toBe(8);
  expect((await Promise.all([comes(2), comes(2)])).toSorted((a, b) => a - b)).toEqual([0, 2]);
  expect([await comes(1), await comes(1, 'other')]).toEqual([0, 1]);
  await record.transaction(forgetArrivals);
  expect(await comes(1)).toBe(0);
});

test('enables many with one statement for the audit of a tenant, before it holds up all other changes', async () => {
  const ids = Array.from({ length: 20 }, (_, i) => `due-${i}`);
  await record.register(
    actor,
    ids.map((id, i) => ({ ...item(id, i), state: 'Disabled' as const, disabledUntil: new Date(Date.now() - 1000) })),
  );
  const statements = await record.transaction(async (client) => {
    const query = vi.spyOn(client, 'query');
    expect(await enableDue(client)).toBe(20);
    const said = query.mock.calls.map(([text]) => text);
    query.mockRestore();
    return said.map((text) => ['into audit', 'advisory_xact_lock', 'into changes'].find((part) => text.includes(part)));
  });
  expect(statements).toEqual([undefined, 'into audit', 'advisory_xact_lock', 'into changes', undefined]);
});

test('two that register the same items in another order do not stop each other', async () => {
  const items = Array.from({ length: 900 }, (_, i) => item(`same-${i}`, 9000 + i));
  for (let round = 0; round < 5; round++) {
    const own = items.map((each) => ({ ...each, id: `${each.id}-${round}` }));
    const registered = await Promise.all([record.register(actor, own), record.register(actor, own.toReversed())]);
    expect(registered.flatMap(({ added }) => added)).toHaveLength(900);
  }
});

test('does a transaction once more that PostgreSQL ended for the sake of another', async () => {
  let tried = 0;
  const result = await record.transaction(async (client) => {
    tried++;
    if (tried === 1) await client.query(`do $$ begin raise exception 'deadlock' using errcode = '40P01'; end $$`);
    return 'done';
  });
  expect([result, tried]).toEqual(['done', 2]);
});

test('counts what is new for the share of a client, and nothing of what fails', async () => {
  await withinMinute();
  const share = { client: 'importer', most: 3 };
  const states = async () =>
    (await record.list({ tenant: actor.tenant, after: 0, limit: 10 })).map(({ state }) => state);
  await record.register(actor, [item('z', 1), item('a', 2)], share);
  const wrong = record.register(actor, [item('b', 3), { ...item('c', 4), bank: 'nowhere' }], share);
  await expect(wrong).rejects.toMatchObject({ code: 'BankUnknown' });
  await record.register(actor, [item('z', 1), item('a', 2), item('y', 5), item('d', 6)], share);
  expect(await states()).toEqual(['Enabled', 'Enabled', 'Quarantined', 'Enabled']);
  const off = { ...item('off', 7), state: 'Disabled' as const };
  const { added } = await record.register(actor, [off, { ...off, id: 'dated', disabledUntil: new Date() }], share);
  expect(added.map(({ state }) => state)).toEqual(['Disabled', 'Quarantined']);
});

test('refuses an identifier that no index holds', async () => {
  const long = record.register(actor, [item('\u{1F600}'.repeat(600), 1)]);
  await expect(long).rejects.toMatchObject({ code: 'ItemInvalid' });
});
