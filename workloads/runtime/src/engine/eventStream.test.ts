import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eventually } from '../testing/index.ts';
import { eachWithItsOwn, start } from './fixtures/engines.ts';

eachWithItsOwn();

/** An engine whose event streams last until they are told to end. */
async function streaming(drainTimeout: string) {
  const { promise, resolve: end } = Promise.withResolvers<void>();
  async function* events() {
    yield 'data: first\n\n';
    await promise;
    yield 'data: last\n\n';
  }
  const { call } = await start(
    { server: { drainTimeout } },
    {
      routes: (server) => {
        server.get('/v1/events', (_request, reply) => reply.type('text/event-stream').send(Readable.from(events())));
      },
    },
  );
  const page = async () => (await call('/metrics')).text();
  const figure = async (series: string) =>
    Number(new RegExp(`^${series}(?:\\{[^}]*\\})? (.*)$`, 'm').exec(await page())?.[1]);
  const open = async () => {
    const response = await call('/v1/events');
    await eventually(async () => expect(await figure('quintet_requests_in_flight')).toBe(1));
    return response;
  };
  return { open, end, figure };
}

test('an event stream that may still end within a drain does not last, and its speed is that of its first byte', async () => {
  const { open, end, figure } = await streaming('60s');
  const sent = performance.now();
  const response = await open();
  expect(await figure('quintet_streams_open')).toBe(0);
  await sleep(50);
  end();
  await response.text();
  const took = performance.now() - sent;
  await eventually(async () => expect(await figure('quintet_requests_in_flight')).toBe(0));
  expect((await figure('quintet_request_seconds_sum')) * 1000).toBeLessThan(took - 50);
});

test('where event streams outlast a drain each counts from its beginning', async () => {
  const { open, end, figure } = await streaming('1ms');
  const response = await open();
  await eventually(async () => expect(await figure('quintet_streams_open')).toBe(1));
  end();
  await response.text();
  await eventually(async () => expect(await figure('quintet_requests_in_flight')).toBe(0));
  expect(await figure('quintet_streams_open')).toBe(0);
});
