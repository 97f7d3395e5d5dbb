// Who may pass: tokens, limits, origins, and what is the administrators' alone.
import { expect, test } from 'vitest';
import { eachWithItsOwn, errorOf, start, tokens } from './fixtures/engines.ts';

eachWithItsOwn();

test('refuses requests without a token, with a wrong one, and for others with the right of an administrator only', async () => {
  const { call } = await start({}, { actions: { clearCache: async (input) => ({ cleared: input }) } });
  for (const token of ['', 'wrong-token-0123456789']) {
    const refused = await call('/v1/greeting', { token });
    expect(refused.headers.get('www-authenticate')).toContain('Bearer');
    expect(await errorOf(refused)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
  }
  expect(await errorOf(await call('/v1/nothing', { token: '' }))).toMatchObject({ status: 401 });
  const act = (name: string, token: string) =>
    call(`/admin/actions/${name}`, {
      method: 'POST',
      token,
      body: '{"all":true}',
      headers: { 'content-type': 'application/json' },
    });
  expect(await errorOf(await act('clearCache', tokens.news))).toMatchObject({ status: 403, code: 'FORBIDDEN' });
  expect(await (await act('clearCache', tokens.admin)).json()).toEqual({
    action: 'clearCache',
    result: { cleared: { all: true } },
  });
  expect(await errorOf(await act('constructor', tokens.admin))).toMatchObject({ status: 404 });
});

test('says where no tokens are configured what would give an administrator one', async () => {
  const { call } = await start({ auth: undefined });
  const refused = await call('/admin/profile/cpu?seconds=0.1', { token: '' });
  expect(await errorOf(refused)).toMatchObject({
    status: 401,
    code: 'TOKENS_NOT_CONFIGURED',
    fix: expect.stringMatching(/Name a Secret that has the key _admin under auth/) as string,
  });
});

test('blocks an address that guesses tokens, without locking out others behind the same proxy', async () => {
  const { call } = await start();
  const codes = [];
  for (let at = 0; at < 23; at++)
    codes.push((await call('/v1/greeting', { token: `guess-${at}-0123456789abc` })).status);
  expect(codes.slice(0, 20)).toEqual(Array<number>(20).fill(401));
  expect(codes.slice(20)).toEqual([429, 429, 429]);
  expect(await errorOf(await call('/v1/greeting', { token: '' }))).toMatchObject({
    status: 429,
    code: 'CLIENT_BLOCKED',
  });
  expect((await call('/v1/greeting')).status).toBe(200);
});

test('limits each client and each tenant, and requests at once', async () => {
  const { call } = await start({
    rateLimits: { perClient: { requests: 3, window: '1m', blockFor: '5m' }, maxConcurrent: 1 },
    tenants: [{ name: 'sport', requestsPerMinute: 1 }],
  });
  const both = await Promise.all([
    call('/v1/slow', { token: tokens.admin }),
    call('/v1/slow', { token: tokens.admin }),
  ]);
  expect(both.map((response) => response.status).sort((a, b) => a - b)).toEqual([200, 429]);
  const codes = [];
  for (let at = 0; at < 5; at++) codes.push((await call('/v1/greeting')).status);
  expect(codes).toEqual([200, 200, 200, 429, 429]);
  expect((await call('/v1/greeting', { token: tokens.sport })).status).toBe(200);
  const over = await call('/v1/greeting', { token: tokens.sport });
  expect(Number(over.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await errorOf(over)).toMatchObject({ status: 429, code: 'QUOTA_EXCEEDED' });
});

test('lets the origins that were named call from browsers, without asking preflights for a token', async () => {
  const { call } = await start({ cors: { origins: ['https://app.example'] } });
  const preflight = (origin: string) =>
    call('/v1/echo', {
      method: 'OPTIONS',
      token: '',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });
  expect((await preflight('https://app.example')).headers.get('access-control-allow-origin')).toBe(
    'https://app.example',
  );
  expect((await preflight('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
});

test('gives CPU profiles and heap snapshots to administrators only, one at a time', async () => {
  const { call } = await start();
  expect((await call('/admin/profile/cpu?seconds=0.1')).status).toBe(403);
  const [one, other] = await Promise.all([
    call('/admin/profile/cpu?seconds=0.3', { token: tokens.admin }),
    call('/admin/profile/cpu?seconds=0.3', { token: tokens.admin }),
  ]);
  expect([one.status, other.status].sort((a, b) => a - b)).toEqual([200, 409]);
  const profile = (await (one.status === 200 ? one : other).json()) as { nodes: unknown[] };
  expect(profile.nodes.length).toBeGreaterThan(0);
  const heap = await call('/admin/profile/heap', { token: tokens.admin });
  const reader = heap.body?.getReader();
  const beginning = await reader?.read();
  expect(Buffer.from(beginning?.value ?? []).toString('utf8', 0, 100)).toContain('"snapshot"');
  await reader?.cancel();
}, 60_000);
