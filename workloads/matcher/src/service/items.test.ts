import '../testing/commonjs.ts';
import { eventually } from '@quintet/runtime/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startPool, type TestPool } from '../testing/pool.ts';

// Two engines and a database take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let pool: TestPool;
beforeAll(async () => {
  pool = await startPool();
}, 120_000);
afterAll(() => pool?.stop());

describe('items', () => {
  test('are everywhere within two seconds: registered, disabled, enabled, deleted', async () => {
    const { id, png } = await pool.registered();
    const seen = async (wanted: boolean) => {
      for (let i = 0; i < pool.replicas.length; i++) {
        await eventually(async () => expect((await pool.match({ image: png }, i)).matched).toBe(wanted), 2000);
      }
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
      refusals: [{ index: 2 }, { index: 1, reason: 'bank nowhere does not exist' }, { index: 3 }],
    });
    expect((await pool.call('GET', '/api/v1/items/line-4')).status).toBe(200);
  });

  test('with more metadata than pool.replicas should read are refused', async () => {
    const metadata = { text: 'x'.repeat(17_000) };
    const { status, body } = await pool.call('POST', '/api/v1/items', { id: 'big', hash: 'b'.repeat(64), metadata });
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: { message: expect.stringContaining('16384 bytes') as string } });
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
