// The page of a coordinator, read beside the reconciling.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterAll, afterEach, expect, it } from 'vitest';
import type { Pod } from '../../objects/types.ts';
import { coordinatorsOf, timeLeft } from './progress.ts';

let answer = '{}';
const heardOf: string[] = [];
const server = createServer(({ method, url }, response) => {
  heardOf.push(`${method} ${url}`);
  response.end(answer);
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as { port: number };
afterEach(() => {
  answer = '{}';
});
afterAll(() => server.close());

const pod = (podIP = '127.0.0.1'): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'c', uid: 'u' },
  status: { phase: 'Running', podIP },
});

/** Looks until something is heard. */
async function heard(read: () => unknown): Promise<unknown> {
  for (let i = 0; i < 500; i++) {
    const said = read();
    if (said) return said;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return undefined;
}

it('gives what was heard last, and asks anew only after a while', async () => {
  const { progress: read } = coordinatorsOf({ port });
  answer = JSON.stringify({ generation: 2, percent: 10, phase: 'Search' });
  const now = new Date();
  expect(read(pod(), now)).toBeUndefined();
  expect(await heard(() => read(pod(), now))).toEqual({ generation: 2, percent: 10 });
  answer = JSON.stringify({ generation: 5 });
  expect(read(pod(), now)).toEqual({ generation: 2, percent: 10 });
  const later = new Date(now.getTime() + 5000);
  expect(await heard(() => (read(pod(), later)?.generation === 5 ? 'new' : undefined))).toBe('new');
});

it('believes no page that is of another kind', async () => {
  const { progress: read } = coordinatorsOf({ port });
  answer = JSON.stringify({ generation: 'many' });
  read(pod(), new Date());
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(read(pod(), new Date())).toBeUndefined();
});

it('tells a coordinator that runs, also one that is told to end already, that its resource is gone', async () => {
  const { cancel } = coordinatorsOf({ port });
  cancel({ ...pod(), status: { phase: 'Pending' } });
  cancel({ ...pod(), metadata: { ...pod().metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
  expect(await heard(() => heardOf.find((each) => each.startsWith('POST')))).toBe('POST /cancelled');
  expect(heardOf.filter((each) => each.startsWith('POST'))).toHaveLength(1);
});

it.each([
  [0, '0s'],
  [59.2, '1m'],
  [754.2, '12m35s'],
  [3600, '1h'],
  [7380, '2h3m'],
])('%d seconds are %s', (seconds, text) => expect(timeLeft(seconds)).toBe(text));
