// Queries over a real WebSocket.
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { close, type Json, post, service, truth, url, useService } from './testing.ts';

useService();

describe('a stream', () => {
  test('answers points as bytes, solves as JSON, and goes on with the newest solution', async () => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`);
    const heard: (Buffer | Json)[] = [];
    let wake = () => undefined as void;
    socket.on('message', (data: Buffer, binary: boolean) => {
      heard.push(binary ? data : (JSON.parse(data.toString()) as Json));
      wake();
    });
    const next = async (): Promise<Buffer | Json> => {
      while (heard.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return heard.shift()!;
    };
    await new Promise((resolve) => socket.once('open', resolve));
    const query = Buffer.alloc(16);
    query.writeUInt32LE(7, 0);
    [0, 0, 0.04].forEach((value, i) => query.writeFloatLE(value, 4 + 4 * i));
    socket.send(query);
    const bytes = (await next()) as Buffer;
    expect(bytes.readUInt32LE(0)).toBe(7);
    expect(close([bytes.readFloatLE(4), bytes.readFloatLE(8)], truth(0, 0, Math.fround(0.04)))).toBe(true);

    socket.send(JSON.stringify({ id: 'a', type: 'solve', targets: [{ position: [0.01, 0, 0.05] }] }));
    const solved = (await next()) as Json;
    expect(solved).toMatchObject({ id: 'a', type: 'solution', residual: expect.any(Number) });
    socket.send(JSON.stringify({ id: 'b', type: 'points', points: [[0.01, 0, 0.05]] }));
    expect(await next()).toMatchObject({ id: 'b', solution: solved['solution'] });
    socket.send(JSON.stringify({ id: 'c', type: 'points', points: [] }));
    expect(await next()).toMatchObject({ id: 'c', type: 'error', error: { code: 'INVALID_REQUEST', field: 'points' } });

    // Sent at once: bytes are of the solution that was asked for before them, and a solve that fails changes nothing.
    const solves = [
      [0, 0, 0.06],
      [0.005, 0, 0.06],
    ].map((position) => ({ type: 'solve', targets: [{ position }] }));
    for (const each of solves) socket.send(JSON.stringify({ ...each, id: 'd' }));
    socket.send(JSON.stringify({ type: 'solve', targets: [{ position: [0.005, 0.005, 0] }], id: 'e' }));
    socket.send(query);
    const answers = [await next(), await next(), await next(), await next()];
    const bytesNow = answers.find((each) => Buffer.isBuffer(each))!;
    const last = await post('/v1/solve', { targets: solves[1]!.targets });
    const points = [[0, 0, Math.fround(0.04)]];
    const now = await post('/v1/points', { solution: last.body['solution'], points });
    const [pressure] = (now.body['values'] as { pressure: [number, number][] }).pressure;
    expect(close([bytesNow.readFloatLE(4), bytesNow.readFloatLE(8)], pressure!)).toBe(true);
    socket.send('no JSON');
    expect(await next()).toMatchObject({ type: 'error' });
    socket.close();
  });

  test('is told when the service ends, and does not hold it up', async () => {
    const engine = await service();
    const socket = new WebSocket(`${engine.url.replace('http', 'ws')}/v1/stream`);
    await new Promise((resolve) => socket.once('open', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await engine.drain();
    expect(await closed).toBe(1001);
  });
});
