import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Client } from './client.ts';
import { Elector, type ElectorOptions, type Lease, leases } from './lease.ts';
import { refuse, TestServer } from './testserver.ts';

let server: TestServer;
let client: Client;
const electors: Elector[] = [];
beforeEach(async () => {
  server = await TestServer.start();
  client = new Client(server.connection);
});
afterEach(async () => {
  server.intercept = undefined;
  await Promise.all(electors.splice(0).map((each) => each.release()));
  await client.close();
  await server.stop();
});

function elector(identity: string, options: Partial<ElectorOptions> = {}): Elector {
  const made = new Elector({
    client,
    namespace: 'a',
    name: 'quintet',
    identity,
    leaseDurationMs: 60_000,
    renewDeadlineMs: 40_000,
    retryPeriodMs: 50,
    onLost: () => undefined,
    ...options,
  });
  electors.push(made);
  return made;
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 15_000, interval: 5 });

function lease(): Lease {
  return server.get(leases, 'a', 'quintet') as Lease;
}

test('one of two leads; when it releases, the other follows at once', async () => {
  const first = elector('first');
  const second = elector('second');
  expect(await first.acquire()).toBe(true);
  const waiting = second.acquire();
  await until(() => expect(server.requests.length).toBeGreaterThan(6));
  expect([first.leads, second.leads]).toEqual([true, false]);
  await first.release();
  expect(await waiting).toBe(true);
  expect([first.leads, second.leads]).toEqual([false, true]);
  expect(lease().spec).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 });
});

test('times have six fractional digits, which the API server insists on', async () => {
  await elector('first').acquire();
  expect(lease().spec.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  expect(lease().spec.acquireTime).toMatch(/\.\d{6}Z$/);
});

test('a dead leader is followed after its lease ran out by our own clock, however wrong its timestamps are', async () => {
  for (const renewTime of ['1990-01-01T00:00:00.000000Z', '2090-01-01T00:00:00.000000Z']) {
    server.remove(leases, 'a', 'quintet');
    server.put(leases, {
      metadata: { namespace: 'a', name: 'quintet' },
      spec: { holderIdentity: 'dead', leaseDurationSeconds: 10, renewTime },
    });
    let now = 0;
    const candidate = elector(`candidate-${renewTime}`, {
      leaseDurationMs: 1000,
      renewDeadlineMs: 600,
      now: () => now,
    });
    const elected = candidate.acquire();
    const before = server.requests.length;
    // The second is asked once the first is answered: the lease was seen at 0.
    await until(() => expect(server.requests.length).toBeGreaterThan(before + 1));
    now = 9_999;
    await until(() => expect(server.requests.length).toBeGreaterThan(before + 4));
    expect(candidate.leads).toBe(false);
    now = 10_001;
    expect(await elected).toBe(true);
    await candidate.release();
  }
});

test('a leader that cannot renew gives up before others may take over', async () => {
  const lost = Promise.withResolvers<string>();
  let now = 0;
  const leader = elector('first', { onLost: lost.resolve, now: () => now });
  await leader.acquire();
  server.intercept = (request, response) => {
    refuse(response, 500, 'InternalError');
    return request !== undefined;
  };
  now = 39_999;
  const before = server.requests.length;
  await until(() => expect(server.requests.length).toBeGreaterThan(before + 2));
  expect(leader.leads).toBe(true);
  now = 40_001;
  expect(await lost.promise).toBe('not renewed within 40000 ms');
  expect(leader.leads).toBe(false);
});

test('a frozen leader knows on waking that it may not write, before any timer ran', async () => {
  let now = 0;
  const leader = elector('first', { now: () => now });
  await leader.acquire();
  expect(leader.leads).toBe(true);
  now = 60_001;
  expect(leader.leads).toBe(false);
});

test('a leader whose lease another took is told so', async () => {
  const lost = Promise.withResolvers<string>();
  await elector('first', { onLost: lost.resolve }).acquire();
  const stored = lease();
  server.put(leases, { ...stored, spec: { ...stored.spec, holderIdentity: 'thief' } });
  expect(await lost.promise).toBe('taken by thief');
});

test('of two that race for a free lease one wins', async () => {
  const contenders = [elector('first'), elector('second'), elector('third')];
  void Promise.all(contenders.map((contender) => contender.acquire()));
  await until(() => expect(contenders.filter(({ leads }) => leads)).toHaveLength(1));
  const before = server.requests.length;
  await until(() => expect(server.requests.length).toBeGreaterThan(before + 9));
  expect(contenders.filter(({ leads }) => leads)).toHaveLength(1);
});

test('who is released while acquiring leaves the lease free, also when the answer is lost', async () => {
  for (const isLost of [false, true]) {
    server.remove(leases, 'a', 'quintet');
    server.put(leases, { metadata: { namespace: 'a', name: 'quintet' }, spec: {} });
    const candidate = elector('first');
    const releasing = Promise.withResolvers<void>();
    server.intercept = ({ method }, response) => {
      if (method !== 'PUT') return false;
      server.intercept = undefined;
      void candidate.release().then(releasing.resolve);
      if (!isLost) return false;
      const stored = lease();
      server.put(leases, { ...stored, spec: { ...stored.spec, holderIdentity: 'first' } });
      response.destroy();
      return true;
    };
    expect(await candidate.acquire()).toBe(false);
    await releasing.promise;
    expect(candidate.leads).toBe(false);
    expect(lease().spec.holderIdentity).toBe('');
  }
});
