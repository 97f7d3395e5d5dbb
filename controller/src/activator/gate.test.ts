import { describe, expect, it } from 'vitest';
import { Gate, type Room } from './gate.ts';
import type { Backend } from './routes.ts';

const pod = (host: string, isReady = true): Backend => ({ host, port: 8080, isReady });
const never = new AbortController().signal;
const gate = (options: { room?: Room; holdMs?: number; perBackend?: number } = {}) =>
  new Gate({ room: options.room ?? { requests: 10, bytes: 1_000 }, holdMs: 60_000, perBackend: 2, ...options });

describe('a gate', () => {
  it('holds requests until a pod is ready, and lets them through in the order they came', async () => {
    const one = gate({ perBackend: 9 });
    const order: number[] = [];
    const passes = [1, 2, 3].map(async (serial) => {
      await one.pass(1, never);
      order.push(serial);
    });
    expect([one.waiting, one.inFlight]).toEqual([3, 0]);
    one.setBackends([pod('10.0.0.1')]);
    await Promise.all(passes);
    expect(order).toEqual([1, 2, 3]);
    expect([one.waiting, one.inFlight]).toEqual([0, 3]);
  });

  it('sends each request to the pod with the fewest in work, and no more to one than it is given', async () => {
    const one = gate();
    one.setBackends([pod('10.0.0.1'), pod('10.0.0.2')]);
    const passes = await Promise.all([1, 2, 3, 4].map(() => one.pass(1, never)));
    expect(passes.map(({ backend }) => backend.host).sort()).toEqual(['10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.2']);
    const fifth = one.pass(1, never);
    expect(one.waiting).toBe(1);
    passes[1]?.release();
    expect((await fifth).backend).toEqual(passes[1]?.backend);
  });

  it('refuses at once what there is no room for, in number or in bytes, and has the room again afterwards', async () => {
    const room = { requests: 2, bytes: 100 };
    const [one, other] = [gate({ room }), gate({ room })];
    const first = one.pass(60, never);
    await expect(other.pass(60, never)).rejects.toMatchObject({ reason: 'Full' });
    const second = other.pass(40, never);
    await expect(other.pass(0, never)).rejects.toMatchObject({ reason: 'Full' });
    one.setBackends([pod('10.0.0.1')]);
    other.setBackends([pod('10.0.0.2')]);
    await Promise.all([first, second]);
    expect(room).toEqual({ requests: 2, bytes: 100 });
  });

  it('refuses what waited too long, and forgets who went away', async () => {
    const room = { requests: 2, bytes: 100 };
    const one = gate({ room, holdMs: 5 });
    const client = new AbortController();
    const gone = one.pass(1, client.signal, 60_000);
    client.abort();
    await expect(gone).rejects.toMatchObject({ reason: 'Gone' });
    await expect(one.pass(1, never)).rejects.toMatchObject({ reason: 'TimedOut' });
    expect(one.waiting).toBe(0);
    expect(room).toEqual({ requests: 2, bytes: 100 });
  });

  it('asks pods that are not ready only while requests wait for nothing better, and believes what they answer', async () => {
    const one = gate();
    one.setBackends([pod('10.0.0.1', false)]);
    expect(one.candidates).toEqual([]);
    const pass = one.pass(1, never);
    expect(one.candidates).toEqual([pod('10.0.0.1', false)]);
    one.prove(pod('10.0.0.1', false));
    expect((await pass).backend.host).toBe('10.0.0.1');
    // It was ready, and is not any more: what it once answered counts no longer.
    one.setBackends([pod('10.0.0.1', true)]);
    one.setBackends([pod('10.0.0.1', false)]);
    void one.pass(1, never).catch(() => undefined);
    expect(one.waiting).toBe(1);
    one.close('the test is over');
  });

  it('passes a pod over that refused a connection', async () => {
    const one = gate();
    one.setBackends([pod('10.0.0.1'), pod('10.0.0.2')]);
    one.distrust(pod('10.0.0.1'));
    const passes = await Promise.all([one.pass(1, never), one.pass(1, never)]);
    expect(passes.map(({ backend }) => backend.host)).toEqual(['10.0.0.2', '10.0.0.2']);
  });
});
