// Ends: of the engine, of connections, of clients that went away.
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../testing/index.ts';
import { eachWithItsOwn, errorOf, seen, start } from './fixtures/engines.ts';

eachWithItsOwn();

test('ends although a connection was upgraded and its client stays', async () => {
  let drained = false;
  const { engine } = await start(
    { server: { drainTimeout: '50ms' } },
    {
      onDrain: () => void (drained = true),
      routes: (server) => {
        server.server.on('upgrade', (_request, socket) => {
          socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: news\r\nConnection: upgrade\r\n\r\n');
        });
      },
    },
  );
  const { port } = new URL(engine.url);
  const client = connect(Number(port), '127.0.0.1');
  const ended = new Promise((resolve) => client.once('close', resolve));
  client.on('error', () => undefined);
  client.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: news\r\nConnection: upgrade\r\n\r\n');
  await new Promise((resolve) => client.once('data', resolve));
  await engine.drain();
  await ended;
  expect(drained).toBe(true);
});

test('finishes requests under way when it drains, while telling probes that it is not ready', async () => {
  let drained = false;
  const { engine, call } = await start({ server: { drainDelay: '200ms' } }, { onDrain: () => void (drained = true) });
  const slow = call('/v1/slow');
  await eventually(async () => expect(await (await call('/metrics')).text()).toContain('quintet_requests_in_flight 1'));
  const draining = engine.drain();
  expect((await call('/readyz')).status).toBe(503);
  const late = await call('/v1/greeting');
  expect([late.status, late.headers.get('connection')]).toEqual([200, 'close']);
  expect(drained).toBe(false);
  expect(await (await slow).json()).toEqual({ done: true });
  await draining;
  expect(drained).toBe(true);
  await expect(fetch(`${engine.url}/healthz`)).rejects.toThrow('fetch failed');
});

test('closes connections of clients that send nothing, or headers without end', async () => {
  const { engine } = await start({ server: { headerLimit: 2048 } });
  const { port } = new URL(engine.url);
  const answer = await new Promise<string>((resolve) => {
    let text = '';
    const socket = connect(Number(port), '127.0.0.1', () =>
      socket.write(`GET / HTTP/1.1\r\nx: ${'a'.repeat(4000)}\r\n\r\n`),
    );
    socket.on('data', (chunk) => (text += chunk.toString())).on('close', () => resolve(text));
  });
  expect(answer).toMatch(/^HTTP\/1\.1 431/);
});

test('counts a client that went away as 499 and not as an error', async () => {
  const { call } = await start();
  const caller = new AbortController();
  const slow = call('/v1/slow', { signal: caller.signal }).catch(() => undefined);
  await eventually(async () => expect(await (await call('/metrics')).text()).toContain('quintet_requests_in_flight 1'));
  caller.abort();
  await slow;
  await eventually(async () =>
    expect(await (await call('/metrics')).text()).toContain('route="/v1/slow",method="GET",status="499"} 1'),
  );
});

test('tells a handler through its signal that the client went away or its time is up, and not before', async () => {
  const { post } = await start();
  expect(await errorOf(await post('/v1/wait', { text: 'a' }))).toMatchObject({
    status: 504,
    code: 'DEADLINE_EXCEEDED',
  });
  await eventually(() => expect(seen).toEqual([false, 'DEADLINE_EXCEEDED']));
  const caller = new AbortController();
  const left = post('/v1/wait', { text: 'b' }, { signal: caller.signal }).catch(() => undefined);
  await eventually(() => expect(seen.length).toBe(3));
  caller.abort();
  await left;
  await eventually(() => expect(seen.slice(2)).toEqual([false, 'CANCELLED']));
});
