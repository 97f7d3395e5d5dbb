// Streams: what goes in comes out in parts, and how each ends.
import { eventually } from '@quintet/runtime/testing';
import { expect, test } from 'vitest';
import { long, openStream, plain, replica, shareOneService, stream } from './fixtures/replicas.ts';

shareOneService();

test('takes chunks without a start, and closes a stream by whose fault its end was', async () => {
  const said = async (...messages: readonly string[]) => {
    const { socket, parts, closed } = await openStream(plain.engine.url);
    for (const message of messages) socket.send(message);
    return { last: (await closed).code, parts };
  };
  const chunk = JSON.stringify({ type: 'chunk', text: long.slice(0, 2000) });
  const end = JSON.stringify({ type: 'end' });
  const { last, parts } = await said(chunk, end);
  expect([last, parts.map(({ type }) => type)]).toEqual([1000, ['part', 'done']]);
  expect(await said('{"type":')).toMatchObject({ last: 1007, parts: [{ type: 'error' }] });
  expect(await said('{"type":"begin"}')).toMatchObject({ last: 1008, parts: [{ type: 'error' }] });
  const unknown = JSON.stringify({ type: 'start', strategy: 'nope' });
  expect(await said(unknown, chunk, end)).toMatchObject({ last: 1008, parts: [{ type: 'error' }] });
});

test('streams compressed parts that tile what was sent', async () => {
  const { engine } = plain;
  const parts = await stream(engine.url, [long.slice(0, 7000), long.slice(7000, 15_000), long.slice(15_000)]);
  expect(parts.at(-1)).toMatchObject({ type: 'done' });
  const bounds = parts.slice(0, -1).map(({ start, end }) => [start, end]);
  expect(bounds.length).toBeGreaterThan(2);
  expect(bounds.flat().filter((at, i, all) => i > 0 && i % 2 === 0 && at !== all[i - 1])).toEqual([]);
  expect([bounds[0]?.[0], bounds.at(-1)?.[1]]).toEqual([0, long.length]);
});

test('ends with streams open: parts under way come out, the client is told, and nothing waits for it', async () => {
  const { engine } = await replica(
    { server: { host: '127.0.0.1', port: 0, drainDelay: '0ms', drainTimeout: '20s' } },
    false,
  );
  const idle = await openStream(engine.url);
  const busy = await openStream(engine.url);
  busy.socket.send(JSON.stringify({ type: 'start', ratio: 8 }));
  busy.socket.send(JSON.stringify({ type: 'chunk', text: long }));
  await eventually(() => expect(busy.parts.length).toBeGreaterThan(0));
  await engine.drain();
  expect(await idle.closed).toMatchObject({ code: 1001 });
  expect(await busy.closed).toMatchObject({ code: 1001 });
});

test('streams a text without a line end in bounded parts, whose originals come back', async () => {
  const { engine, client } = plain;
  const text = 'ab '.repeat(40_000);
  const parts = await stream(engine.url, [text.slice(0, 70_000), text.slice(70_000)]);
  const [first] = parts;
  expect(parts.at(-1)).toMatchObject({ type: 'done' });
  expect(Math.max(...parts.slice(0, -1).map(({ start, end }) => end - start))).toBeLessThanOrEqual(24_000);
  expect(await client().original(first?.original?.id ?? '')).toBe(text.slice(0, first?.end));
  const refused = await stream(engine.url, [long], { strategy: 'frequency' });
  expect(refused.at(-1)).toMatchObject({ type: 'error', error: { field: 'strategy' } });
});
