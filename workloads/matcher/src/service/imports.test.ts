import '../testing/commonjs.ts';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPool, type TestPool } from '../testing/pool.ts';
import { batches } from './lines.ts';

let pool: TestPool;
beforeAll(async () => {
  pool = await startPool({
    server: { host: '127.0.0.1', port: 0, drainDelay: '10ms', requestTimeout: '1s' },
    images: { maxSize: '2Mi' },
  });
}, 120_000);
afterAll(() => pool?.stop());

const item = (i: number) => ({ id: `import-${i}`, hash: i.toString(16).padStart(64, '5') });

test('an import takes longer than a request may', async () => {
  const socket = connect(Number(new URL(pool.replicas[0]?.url ?? '').port), '127.0.0.1');
  let text = '';
  socket.on('data', (data: Buffer) => (text += data.toString()));
  const closed = once(socket, 'close');
  const lines = Array.from({ length: 8 }, (_, i) => `${JSON.stringify(item(i))}\n`);
  socket.write(
    'POST /api/v1/items/import HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/x-ndjson\r\n' +
      `content-length: ${lines.join('').length}\r\n\r\n`,
  );
  for (const line of lines) {
    socket.write(line);
    await sleep(200);
  }
  await closed;
  expect(text).toContain('"done":8,"added":8');
  expect(text).not.toContain('408');
});

test('an import holds no image that it has looked at', async () => {
  const image = Buffer.alloc(2 << 20, 1).toString('base64');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  const before = process.memoryUsage().heapUsed;
  let most = 0;
  const body = async function* () {
    for (let i = 1; i <= 60; i++) {
      yield Buffer.from(`{"id":"large-${i}","image":"${image}"}\n`);
      if (i % 20 !== 0) continue;
      collect();
      most = Math.max(most, process.memoryUsage().heapUsed - before);
    }
  };
  const response = await fetch(`${pool.replicas[0]?.url}/api/v1/items/import`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: body(),
    duplex: 'half',
  });
  expect(JSON.parse((await response.text()).trim())).toMatchObject({ done: 60, refused: 60 });
  expect(most).toBeLessThan(60 << 20);
});

test('what is written together is bounded by items and by bytes', async () => {
  const cut = async (...weights: number[]) => {
    const all: number[][] = [];
    for await (const batch of batches(weights, 3, { most: 10, of: (weight) => weight })) all.push(batch);
    return all;
  };
  expect(await cut(1, 1, 1, 1)).toEqual([[1, 1, 1], [1]]);
  expect(await cut(6, 6, 20, 1, 1)).toEqual([[6, 6], [20], [1, 1]]);
  expect(await cut()).toEqual([]);
});

test('an item of a feed can be registered, looked at, disabled and deleted, however long its name', async () => {
  const id = `${'n'.repeat(253)}:${'i'.repeat(512)}`;
  expect((await pool.call('POST', '/api/v1/items', { id, hash: 'ac'.repeat(32) })).status).toBe(201);
  expect((await pool.call('GET', `/api/v1/items/${id}`)).status).toBe(200);
  expect((await pool.call('PUT', `/api/v1/items/${id}/state`, { state: 'Disabled' })).status).toBe(200);
  expect((await pool.call('DELETE', `/api/v1/items/${id}`)).status).toBe(204);
});
