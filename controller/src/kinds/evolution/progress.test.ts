// The page of a coordinator, read beside the reconciling.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import type { Pod } from '../../objects/types.ts';
import { progressReader, timeLeft } from './progress.ts';

let answer = '{}';
const server = createServer((_, response) => response.end(answer)).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as { port: number };
afterEach(() => {
  answer = '{}';
});

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
  const read = progressReader({ port });
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
  const read = progressReader({ port });
  answer = JSON.stringify({ generation: 'many' });
  read(pod(), new Date());
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(read(pod(), new Date())).toBeUndefined();
  server.close();
});

it.each([
  [0, '0s'],
  [59.2, '1m'],
  [754.2, '12m35s'],
  [3600, '1h'],
  [7380, '2h3m'],
])('%d seconds are %s', (seconds, text) => expect(timeLeft(seconds)).toBe(text));
