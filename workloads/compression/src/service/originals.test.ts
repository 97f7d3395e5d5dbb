import { connectRedis } from '@quintet/runtime';
import { eventually, startRedis } from '@quintet/runtime/testing';
import { expect, test } from 'vitest';
import { openOriginals } from './originals.ts';

test('without a store an original is forgotten after its retention', async () => {
  let time = 0;
  const originals = openOriginals(
    { redis: undefined, postgres: undefined, prefix: 'p' },
    () => 1000,
    () => time,
  );
  const { id, durable } = await originals.keep('news', 'a text');
  expect(durable).toBe(false);
  expect(await originals.get('news', id)).toBe('a text');
  await expect(originals.get('sport', id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  time = 1001;
  await expect(originals.get('news', id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('what was kept here while Redis was away is handed to it when it is back; services apart', async () => {
  const server = await startRedis();
  const redis = connectRedis({ url: server.url });
  const stores = { redis, postgres: undefined };
  const originals = openOriginals({ ...stores, prefix: 'one' }, () => 60_000);
  await server.kill();
  const { id, durable } = await originals.keep('news', 'a text');
  expect(durable).toBe(false);
  await server.start();
  const replica = openOriginals({ ...stores, prefix: 'one' }, () => 60_000);
  await eventually(async () => {
    await originals.flush();
    expect(await replica.get('news', id)).toBe('a text');
  });
  const other = openOriginals({ ...stores, prefix: 'two' }, () => 60_000);
  await expect(other.get('news', id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await redis.close();
  await server.stop();
}, 60_000);
