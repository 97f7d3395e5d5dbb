import '../testing/commonjs.ts';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@quintet/runtime/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withinMinute } from '../testing/items.ts';
import { startPool, type TestPool } from '../testing/pool.ts';

let pool: TestPool;
beforeAll(async () => {
  pool = await startPool();
}, 120_000);
afterAll(() => pool?.stop());

describe('items', () => {
  test('are everywhere soon: registered, disabled, enabled, deleted', async () => {
    const { id, png } = await pool.registered();
    const seen = async (wanted: boolean) => {
      const matched = async () =>
        await Promise.all([...pool.replicas.keys()].map(async (at) => (await pool.match({ image: png }, at)).matched));
      await eventually(async () => expect(await matched()).toEqual(pool.replicas.map(() => wanted)));
    };
    await seen(true);
    await pool.call('PUT', `/api/v1/items/${id}/state`, { state: 'Disabled' });
    await seen(false);
    await pool.call('PUT', `/api/v1/items/${id}/state`, { state: 'Enabled' });
    await seen(true);
    expect((await pool.call('DELETE', `/api/v1/items/${id}`)).status).toBe(204);
    await seen(false);
    expect((await pool.call('GET', `/api/v1/items/${id}`)).status).toBe(404);
  });

  test('disabled until a moment are silent until then, on every replica and through its cache', async () => {
    const { id, png } = await pool.registered();
    const seen = async () =>
      await Promise.all([0, 1].map(async (at) => (await pool.match({ image: png }, at)).matched));
    expect(await seen()).toEqual([true, true]);
    const until = new Date(Date.now() + 6000);
    const state = { state: 'Disabled', until: until.toISOString() };
    expect(await pool.call('PUT', `/api/v1/items/${id}/state`, state)).toMatchObject({
      status: 200,
      body: { state: 'Disabled', disabledUntil: state.until },
    });
    await eventually(async () => expect(await seen()).toEqual([false, false]), 6000);
    await eventually(async () => expect(await seen()).toEqual([true, true]), 15_000);
    expect(Date.now()).toBeGreaterThanOrEqual(until.getTime());
    const wrong = { state: 'Disabled', until: 'tomorrow' };
    expect((await pool.call('PUT', `/api/v1/items/${id}/state`, wrong)).status).toBe(400);
  });

  test('are imported with progress, each refusal with its reason, and twice without harm', async () => {
    const good = [1, 2, 3].map((i) => ({ id: `import-${i}`, hash: `${i}`.repeat(64) }));
    const items = [...good, { id: 'bad', hash: 'xyz' }, { id: 'none' }];
    for (const [added, known] of [
      [3, 0],
      [0, 3],
    ]) {
      const response = await pool.post('/api/v1/items/import', { items });
      const lines = (await response.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      expect(lines.at(-1)).toMatchObject({ total: 5, done: 5, added, known, refused: 2 });
      expect(lines[0]).toMatchObject({ refusals: [{ index: 3 }, { index: 4 }] });
    }
    const feed = (await pool.call('GET', '/api/v1/feed?limit=1000')).body as {
      entries: { id: string }[];
      cursor: number;
    };
    expect(feed.entries.map(({ id }) => id)).toEqual(expect.arrayContaining(['import-1', 'import-2', 'import-3']));
    expect((await pool.call('GET', `/api/v1/feed?cursor=${feed.cursor}`)).body).toMatchObject({ entries: [] });
  });

  test('are imported line by line too, and one that the record refuses takes no other with it', async () => {
    const item = (i: number) => ({ id: `line-${i}`, hash: i.toString(16).padStart(64, '3') });
    const lines = [item(1), { ...item(2), bank: 'nowhere' }, 'no json', { ...item(3), id: 'zero\u0000' }, item(4)];
    const response = await fetch(`${pool.replicas[0]?.url}/api/v1/items/import`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
    });
    const told = (await response.text()).trim().split('\n');
    expect(JSON.parse(told.at(-1) ?? '')).toMatchObject({
      done: 5,
      added: 2,
      refused: 3,
      refusals: [{ index: 2 }, { index: 3 }, { index: 1, reason: 'bank nowhere does not exist' }],
    });
    expect((await pool.call('GET', '/api/v1/items/line-4')).status).toBe(200);
  });

  test('with more metadata than pool.replicas should read are refused', async () => {
    const metadata = { text: 'x'.repeat(17_000) };
    const { status, body } = await pool.call('POST', '/api/v1/items', { id: 'big', hash: 'b'.repeat(64), metadata });
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: { message: expect.stringContaining('16384 bytes') as string } });
  });

  test('are listed by pages, and exported as lines that another pool imports and finds by hash, bytes and name', async () => {
    const bank = 'exported';
    for (const name of [bank, 'imported']) await pool.call('PUT', `/api/v1/banks/${name}`, {});
    const { png } = await pool.registered({ bank, profile: { name: 'Wilhelmina Strandberg' }, metadata: { case: 7 } });
    for (let i = 0; i < 4; i++)
      await pool.call('POST', '/api/v1/items', { id: `e-${i}`, bank, hash: `${i}e`.repeat(32) });
    await pool.call('PUT', '/api/v1/items/e-3/state', { state: 'Disabled' });
    const page = async (query: string) =>
      (await pool.call('GET', `/api/v1/items?bank=${bank}&limit=3${query}`)).body as {
        cursor: number;
        items: { id: string; state: string }[];
      };
    const first = await page('');
    const second = await page(`&cursor=${first.cursor}`);
    const all = [...first.items, ...second.items];
    expect([first.items.length, all.length]).toEqual([3, 5]);
    expect((await page('&state=Disabled')).items).toMatchObject([{ id: 'e-3', state: 'Disabled' }]);

    const exported = await fetch(`${pool.replicas[0]?.url}/api/v1/items?bank=${bank}&state=Enabled`, {
      headers: { accept: 'application/x-ndjson' },
    });
    const lines = (await exported.text()).trim().split('\n');
    expect(lines).toHaveLength(4);
    for (const { id } of all) await pool.call('DELETE', `/api/v1/items/${id}`);
    const response = await fetch(`${pool.replicas[0]?.url}/api/v1/items/import`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n').replaceAll(`"bank":"${bank}"`, '"bank":"imported"'),
    });
    expect(JSON.parse((await response.text()).trim().split('\n').at(-1) ?? '')).toMatchObject({ added: 4, refused: 0 });
    const metadata = { case: 7 };
    const found = { matches: [{ bank: 'imported', metadata }] };
    await eventually(async () =>
      expect(await pool.match({ image: png })).toMatchObject({ decidedBy: 'Exact', ...found }),
    );
    expect(await pool.match({ profile: { name: 'Wilhelmina Strandberg' } })).toMatchObject(found);
  });

  test('come back from an export as much in force as they were', async () => {
    const bank = 'silenced';
    for (const name of [bank, 'silenced-again']) await pool.call('PUT', `/api/v1/banks/${name}`, {});
    const until = '2099-01-01T00:00:00.000Z';
    const states: [object, object][] = [
      [{}, { state: 'Enabled', disabledUntil: null }],
      [{ state: 'Disabled' }, { state: 'Disabled', disabledUntil: null }],
      [
        { state: 'Disabled', disabledUntil: until },
        { state: 'Disabled', disabledUntil: until },
      ],
      [{ state: 'Quarantined' }, { state: 'Quarantined', disabledUntil: null }],
    ];
    for (const [i, [given]] of states.entries()) {
      const body = { id: `silent-${i}`, bank, hash: `${i}b`.repeat(32), ...given };
      expect((await pool.call('POST', '/api/v1/items', body)).status).toBe(201);
    }
    const exported = await fetch(`${pool.replicas[0]?.url}/api/v1/items?bank=${bank}`, {
      headers: { accept: 'application/x-ndjson' },
    });
    const lines = (await exported.text()).replaceAll(`"bank":"${bank}"`, '"bank":"silenced-again"');
    for (const i of states.keys()) await pool.call('DELETE', `/api/v1/items/silent-${i}`);
    const response = await fetch(`${pool.replicas[0]?.url}/api/v1/items/import`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines,
    });
    expect(JSON.parse((await response.text()).trim())).toMatchObject({ added: 4, refused: 0 });
    for (const [i, [, wanted]] of states.entries()) {
      const { body } = await pool.call('GET', `/api/v1/items/silent-${i}`);
      expect(body).toMatchObject({ bank: 'silenced-again', ...wanted });
    }
    const wrong = { id: 'silent-never', hash: 'ab'.repeat(32), disabledUntil: until };
    expect((await pool.call('POST', '/api/v1/items', wrong)).status).toBe(400);
  });

  test('tell how many confirm and reject them, and banks who changed them', async () => {
    const { id } = await pool.registered();
    expect((await pool.call('GET', `/api/v1/items/${id}`)).body).toMatchObject({ opinions: { confirm: 0, reject: 0 } });
    await pool.call('POST', `/api/v1/items/${id}/opinions`, { opinion: 'Confirm' });
    await pool.call('POST', `/api/v1/items/${id}/opinions`, { opinion: 'Reject', note: 'a mistake' });
    expect((await pool.call('GET', `/api/v1/items/${id}`)).body).toMatchObject({ opinions: { confirm: 0, reject: 1 } });
    await pool.call('PUT', '/api/v1/banks/watched', { maxDistance: 20 });
    await pool.call('PUT', '/api/v1/banks/watched', { enabledRatio: 0.5 });
    expect((await pool.call('GET', '/api/v1/banks/watched/audit')).body).toMatchObject({
      entries: [
        { action: 'SetBank', before: { enabledRatio: 1, maxDistance: 20 }, after: { enabledRatio: 0.5 } },
        { before: null, after: { maxDistance: 20 } },
      ],
    });
  });

  test('beyond a client’s share of a minute wait for a person, whichever replicas they come to', async () => {
    const config = { quarantine: { itemsPerMinute: 3 } };
    const replicas = [await pool.replica('held-1', config), await pool.replica('held-2', config)];
    const from = pool.replicas.push(...replicas) - 2;
    try {
      await withinMinute();
      const states: string[] = [];
      for (let i = 0; i < 5; i++) {
        const body = { id: `flood-${i}`, hash: `f${i}`.repeat(32) };
        const answer = await pool.call('POST', '/api/v1/items', body, from + (i % 2));
        states.push((answer.body as { state: string }).state);
      }
      expect(states).toEqual(['Enabled', 'Enabled', 'Enabled', 'Quarantined', 'Quarantined']);
      const ofFlood = async (i: number) => await pool.match({ hash: `f${i}`.repeat(32) });
      await eventually(async () => expect((await ofFlood(2)).matched).toBe(true));
      expect((await ofFlood(4)).matched).toBe(false);
      expect((await pool.call('POST', '/api/v1/items', { id: 'flood-1', hash: 'f1'.repeat(32) }, from)).status).toBe(
        409,
      );
      await pool.call('PUT', '/api/v1/items/flood-4/state', { state: 'Enabled' });
      await eventually(async () => expect((await ofFlood(4)).matched).toBe(true));
    } finally {
      pool.replicas.splice(from);
      await Promise.all(replicas.map((each) => each.drain()));
    }
  });

  test('of one tenant are neither found, read, changed nor listed by another', async () => {
    const directory = join(pool.directory, 'tokens');
    await mkdir(directory);
    const tokens = { red: 'red-token-0123456789', blue: 'blue-token-0123456789' };
    for (const [tenant, token] of Object.entries(tokens)) await writeFile(join(directory, tenant), token);
    const engine = await pool.replica('tenants', { auth: { secretRef: { name: 'tokens' }, directory } });
    try {
      const call = async (tenant: keyof typeof tokens, method: string, path: string, body?: object) => {
        const headers = {
          authorization: `Bearer ${tokens[tenant]}`,
          ...(body && { 'content-type': 'application/json' }),
        };
        const answer = await fetch(`${engine.url}${path}`, {
          method,
          headers,
          ...(body && { body: JSON.stringify(body) }),
        });
        return { status: answer.status, text: await answer.text() };
      };
      const item = { id: 'secret', hash: 'c5'.repeat(32), profile: { name: 'Ottoline Vandermeer' } };
      expect((await call('red', 'POST', '/api/v1/items', item)).status).toBe(201);
      const queries = [{ hash: item.hash }, { profile: item.profile }];
      const matched = async (tenant: keyof typeof tokens) =>
        await Promise.all(
          queries.map(async (query) => {
            const { text } = await call(tenant, 'POST', '/api/v1/match', query);
            return (JSON.parse(text) as { matched: boolean }).matched;
          }),
        );
      await eventually(async () => expect(await matched('red')).toEqual([true, true]));
      expect(await matched('blue')).toEqual([false, false]);
      for (const [method, path, body] of [
        ['GET', '/api/v1/items/secret'],
        ['DELETE', '/api/v1/items/secret'],
        ['PUT', '/api/v1/items/secret/state', { state: 'Disabled' }],
        ['POST', '/api/v1/items/secret/opinions', { opinion: 'Reject' }],
      ] as const) {
        expect({ path, status: (await call('blue', method, path, body)).status }).toEqual({ path, status: 404 });
      }
      for (const path of [
        '/api/v1/items',
        '/api/v1/items/secret/audit',
        '/api/v1/feed',
        '/api/v1/banks/default/audit',
      ]) {
        expect((await call('blue', 'GET', path)).text).not.toMatch(/secret|red/);
      }
      expect(await matched('red')).toEqual([true, true]);
    } finally {
      await engine.drain();
    }
  });

  test('a negative bank suppresses with the reason, a bank’s ratio and distance are obeyed', async () => {
    const { id, png } = await pool.registered();
    await pool.call('PUT', '/api/v1/banks/known-good', { kind: 'Negative', suppresses: ['default'] });
    await eventually(async () => {
      const { status } = await pool.call('POST', '/api/v1/items', {
        id: `${id}-good`,
        bank: 'known-good',
        image: png.toString('base64'),
      });
      expect([201, 409]).toContain(status);
    });
    await eventually(async () =>
      expect(await pool.match({ image: png })).toMatchObject({
        matched: false,
        suppressed: [{ item: id, evidence: { suppressedBecause: expect.stringContaining('known-good') as string } }],
      }),
    );
    await pool.call('DELETE', `/api/v1/items/${id}-good`);
    await eventually(async () => expect((await pool.match({ image: png })).matched).toBe(true));
    await pool.call('PUT', '/api/v1/banks/default', { enabledRatio: 0 });
    await eventually(async () => expect((await pool.match({ image: png })).matched).toBe(false));
    await pool.call('PUT', '/api/v1/banks/default', { enabledRatio: 1 });
    await eventually(async () => expect((await pool.match({ image: png })).matched).toBe(true));
  });
});
