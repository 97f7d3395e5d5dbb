// Bodies that come slowly, or not at all.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eachWithItsOwn, start, tokens } from './fixtures/engines.ts';

eachWithItsOwn();

/** An engine that counts the bytes of a body, and waits before it reads any. */
async function counting(longBody: boolean, wait = 0) {
  const { engine } = await start(
    { server: { requestTimeout: '1s' } },
    {
      routes: (server) => {
        server.addContentTypeParser('application/x-ndjson', (_, payload, done) => done(null, payload));
        server.post('/v1/count', { config: { longBody } }, async ({ body }) => {
          await sleep(wait);
          let bytes = 0;
          for await (const chunk of body as Readable) bytes += (chunk as Buffer).length;
          return { bytes };
        });
      },
    },
  );
  return async (type: string, parts: number, pause: number, length = parts) => {
    const socket = connect(Number(new URL(engine.url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (data: Buffer) => (text += data.toString()));
    socket.on('error', () => undefined);
    const closed = once(socket, 'close');
    await once(socket, 'connect');
    socket.write(
      `POST /v1/count HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${tokens.news}\r\nconnection: close\r\n` +
        `content-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`,
    );
    for (let i = 0; i < parts && socket.writable; i++) {
      socket.write('x');
      await sleep(pause);
    }
    await closed;
    return text;
  };
}

test('a body that does not come whole in time is refused', async () => {
  const send = await counting(false);
  const refused = await send('application/json', 1, 0, 10);
  expect(refused).toMatch(/^HTTP\/1\.1 408 /);
  expect(refused).toContain('REQUEST_TIMEOUT');
  expect(await send('application/json', 20, 100)).toMatch(/^HTTP\/1\.1 408 /);
});

test('a long body may take any time, as long as more of it comes', async () => {
  const send = await counting(true);
  expect(await send('application/x-ndjson', 14, 100)).toContain('{"bytes":14}');
  expect(await send('application/x-ndjson', 2, 0, 10)).toMatch(/^HTTP\/1\.1 408 /);
});

test('a long body may wait for whoever reads it', async () => {
  const send = await counting(true, 1200);
  expect(await send('application/x-ndjson', 5, 0, 5)).toContain('{"bytes":5}');
  const late = await send('application/x-ndjson', 5, 0, 6);
  expect(late).toMatch(/^HTTP\/1\.1 408 /);
});
